"""The failure of a configuration that can't be used."""

from __future__ import annotations

from infra.errors import GroundworkError
from infra.project import spelled

__all__ = ["SettingsError"]


class SettingsError(GroundworkError):
    """The stack's configuration has mistakes; the message lists all of them.

    Attributes:
        mistakes: One line each, beginning with the key to set.
    """

    def __init__(self, mistakes: list[str]) -> None:
        """Word the message from the mistakes."""
        self.mistakes = mistakes
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        super().__init__(
            f"The configuration of this stack has {count}; nothing was changed:\n{lines}\n"
            f"Set a key with: pulumi config set {spelled('KEY')} VALUE\n"
            "All keys: docs/settings.md"
        )
