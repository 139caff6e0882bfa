"""The gRPC service, with failures as messages for users instead of stack traces."""

from __future__ import annotations

import functools
import os
import traceback
from typing import TYPE_CHECKING, Any

import grpc
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import ReadResponse

from .errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

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
        try:
            return await method(self, request, context)
        except PluginError as error:
            code, message = grpc.StatusCode.FAILED_PRECONDITION, str(error)
        except NotImplementedError:
            code = grpc.StatusCode.UNIMPLEMENTED
            message = f"the offline postgresql plugin does not implement {method.__name__}"
        except Exception as error:  # noqa: BLE001 - the last stop before the user
            if os.environ.get(_TRACE):
                traceback.print_exc()
            code = grpc.StatusCode.INTERNAL
            message = (
                f"the offline postgresql plugin failed in {method.__name__} with "
                f"{type(error).__name__}: {error}; set {_TRACE}=1 to see where, and report it"
            )
        await context.abort(code, message)
        raise AssertionError("unreachable: an abort raises")

    return call


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
