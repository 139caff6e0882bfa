"""The base of this project's dynamic providers: failures reach the user as plain messages."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from pulumi import contains_unknowns, dynamic

from infra.errors import GroundworkError
from toolchain import orphans
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["Provider", "known"]

# The program imports this module, and the process of the dynamic resources does.
orphans.end_with_engine()


def known(value: object) -> bool:
    """Tell whether an input has its value already: in a preview, it may be still to come."""
    return not contains_unknowns(value)


class Provider(dynamic.ResourceProvider):
    """A dynamic provider whose methods may raise `GroundworkError`.

    Subclasses override the methods of `pulumi.dynamic.ResourceProvider` as usual. They hold no
    state: an instance is pickled by reference into every state file, so that the path of its
    module and the name of its class are an interface.
    """

    # Nothing is captured, so nothing secret is; as a secret it would hide in every diff.
    serialize_as_secret_always = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods that the engine calls."""
        super().__init_subclass__(**kwargs)
        for name in ("check", "diff", "create", "read", "update", "delete"):
            method = cls.__dict__.get(name)
            if method is not None:
                setattr(cls, name, _reporting(method))


def _reporting(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return _shown(method(*args, **kwargs))
        except GroundworkError as exc:
            _abort(str(exc), exc)
        except Exception as exc:  # noqa: BLE001 - the last place where one can be worded
            frame = traceback.extract_tb(exc.__traceback__)[-1]
            where = f"{frame.name} at {frame.filename}:{frame.lineno}"
            _abort(f"groundwork failed in {where}: {type(exc).__name__}: {exc}", exc)

    call.__name__ = method.__name__
    call.__doc__ = method.__doc__
    return call


def _shown(answer: Any) -> Any:
    if isinstance(answer, dynamic.CheckResult):
        for failure in answer.failures:
            failure.reason = visible(failure.reason)
    return answer


def _abort(message: str, exc: Exception) -> NoReturn:
    """End the call of the engine with `message` and nothing else.

    The SDK lets an exception run into gRPC, which prints a traceback and answers 'Exception
    calling application'. A call that is aborted through its own context shows the message
    alone; the SDK does not hand that context on, so it is taken from the calling frame.
    """
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the way to walk the stack
    while frame is not None:
        context = frame.f_locals.get("context")
        if isinstance(context, grpc.ServicerContext):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, visible(message))
        frame = frame.f_back
    raise exc
