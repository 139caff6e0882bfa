"""The one base of every failure that a user is meant to read."""

from __future__ import annotations

import os

__all__ = ["GroundworkError", "unreachable"]


class GroundworkError(Exception):
    """A failure in the words of the user: what happened, on what, what was kept, what to do.

    The text is shown as it stands, without a traceback, and never holds a secret.
    """


def unreachable(where: str, exc: OSError) -> str:
    """Word that nobody answers at `where`."""
    # The loop's own words repeat the address, a look-up's number is not the system's, and a
    # time-out has neither.
    system = exc.errno is not None and exc.errno > 0
    reason = os.strerror(exc.errno or 0) if system else exc.strerror or "no answer"
    return f"The server at {where} does not answer: {reason}."
