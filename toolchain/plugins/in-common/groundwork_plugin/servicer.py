"""The gRPC service, with failures as messages for users instead of stack traces."""

from __future__ import annotations

import functools
import os
import traceback
from typing import TYPE_CHECKING, Any, cast

import grpc
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import ReadResponse, provider_pb2, status_pb2

from .errors import PluginError
from .provider import InitFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .provider import PluginProvider

    _Method = Callable[[ProviderServicer, Any, Any], Coroutine[Any, Any, Any]]

__all__ = ["Servicer"]

_TRACE = "GROUNDWORK_PLUGIN_TRACE"
"""Set to anything, it has unexpected failures written to stderr in full."""


_METHODS = (
    "GetSchema",
    "CheckConfig",
    "DiffConfig",
    "Configure",
    "Invoke",
    "Check",
    "Diff",
    "Create",
    "Read",
    "Update",
    "Delete",
    "Parameterize",
)


def _polite(method: _Method) -> _Method:
    @functools.wraps(method)
    async def call(self: ProviderServicer, request: Any, context: Any) -> Any:
        details: tuple[tuple[str, bytes], ...] = ()
        try:
            return await method(self, request, context)
        except PluginError as error:
            code, message = grpc.StatusCode.FAILED_PRECONDITION, str(error)
        except InitFailedError as error:
            code, message = grpc.StatusCode.UNKNOWN, str(error)
            details = (("grpc-status-details-bin", _init_failed(error)),)
        except NotImplementedError:
            code = grpc.StatusCode.UNIMPLEMENTED
            message = f"{_title(self)} does not implement {method.__name__}"
        except Exception as error:  # noqa: BLE001 - the last stop before the user
            if os.environ.get(_TRACE):
                traceback.print_exc()
            code = grpc.StatusCode.INTERNAL
            message = (
                f"{_title(self)} failed in {method.__name__} with "
                f"{type(error).__name__}: {error}; set {_TRACE}=1 to see where, and report it"
            )
        await context.abort(code, message, trailing_metadata=details)
        raise AssertionError("unreachable: an abort raises")

    return call


def _title(servicer: ProviderServicer) -> str:
    # The service is only ever made for such a provider, and the SDK's class keeps it to itself.
    provider = cast("PluginProvider[Any]", servicer._provider)  # noqa: SLF001 - see above
    return f"the offline {provider.plugin.name} plugin"


def _init_failed(error: InitFailedError) -> bytes:
    """The status that tells the engine what to keep of an object that is not as asked for."""
    failed = provider_pb2.ErrorResourceInitFailed(
        id=error.identity,
        properties=PropertyValue.marshal_map(error.outputs),
        inputs=PropertyValue.marshal_map(error.inputs),
        reasons=[str(error)],
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(failed)
    return bytes(status.SerializeToString())


class Servicer(ProviderServicer):
    """The SDK's service; each method ends in an answer or in one clear message."""

    async def Read(self, request: Any, context: Any) -> ReadResponse:  # noqa: N802 - gRPC's name
        """Leaves the properties of an object that is not there out, rather than empty.

        The engine takes empty ones for an object without properties, and would import it.
        """
        answer: ReadResponse = await super().Read(request, context)  # type: ignore[no-untyped-call]  # the SDK gives it no types
        return answer if answer.id else ReadResponse()


for _name in _METHODS:
    setattr(Servicer, _name, _polite(getattr(Servicer, _name)))
