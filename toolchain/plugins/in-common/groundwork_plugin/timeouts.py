"""What a program gives a call for time, in the option `custom_timeouts` of a resource."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["deletion_seconds", "limit_deletion"]

_DELETION: ContextVar[float] = ContextVar("deletion", default=0.0)


def limit_deletion(seconds: float) -> None:
    """Notes how long the deletion that this task answers for may take.

    Args:
        seconds: As the engine sends them; zero: the program says nothing.
    """
    _DELETION.set(seconds)


def deletion_seconds(usual: float) -> float:
    """How long the deletion that this task answers for may wait.

    Args:
        usual: Where the program says nothing.
    """
    return _DELETION.get() or usual
