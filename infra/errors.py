"""The one base of every failure that a user is meant to read."""

from __future__ import annotations

__all__ = ["GroundworkError"]


class GroundworkError(Exception):
    """A failure in the words of the user: what happened, on what, what was kept, what to do.

    The text is shown as it stands, without a traceback, and never holds a secret.
    """
