"""Every failure of the plugin that a user may see."""

from __future__ import annotations

__all__ = [
    "ConnectionFailedError",
    "MistakeError",
    "NotCoveredError",
    "OperationFailedError",
    "PluginError",
]

COVERED = "Role, Database, Extension, Schema, Grant, GrantRole and DefaultPrivileges"


class PluginError(Exception):
    """A failure with a message that is complete: what happened, on what, and what to do next."""


class NotCoveredError(PluginError):
    """The genuine plugin has this, the offline one has not."""

    def __init__(self, what: str) -> None:
        """Names what was asked for, and the way to get it.

        Args:
            what: The type or function token, or the setting, that is missing here.
        """
        super().__init__(
            f"{what}: the offline postgresql plugin covers only {COVERED}; install the genuine "
            "one with `pulumi plugin install resource postgresql` from a machine that reaches "
            "its download site"
        )


class ConnectionFailedError(PluginError):
    """No session could be opened, so nothing was read and nothing was changed."""


class OperationFailedError(PluginError):
    """PostgreSQL refused a statement."""


class MistakeError(ValueError):
    """A single input is wrong; its text says why and is shown beside the input's name."""
