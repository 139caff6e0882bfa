"""Every failure of lint."""

from __future__ import annotations

from infra.errors import GroundworkError

__all__ = ["LintError"]


class LintError(GroundworkError):
    """The pending revisions could not be looked at as the stack asks for."""
