"""Every failure of a plugin that a user may see."""

from __future__ import annotations

__all__ = [
    "MistakeError",
    "NotCoveredError",
    "OperationFailedError",
    "PartlyMadeError",
    "PluginError",
    "advice",
]


class PluginError(Exception):
    """A failure with a message that is complete: what happened, on what, and what to do next."""


class NotCoveredError(PluginError):
    """The genuine plugin has this, the offline one has not."""

    def __init__(self, what: str, *, plugin: str, covered: str) -> None:
        """Names what was asked for, and the way to get it.

        Args:
            what: The type or function token that is missing here.
            plugin: The plugin's name, such as 'postgresql'.
            covered: The resources that it has, in words.
        """
        super().__init__(
            f"{what}: the offline {plugin} plugin covers only {covered}; {advice(plugin)}"
        )


class OperationFailedError(PluginError):
    """The server refused something."""

    def __init__(self, message: str, *, taken: bool = False) -> None:
        """Keeps the server's own words.

        Args:
            message: Those, without any secret.
            taken: Whether an object of that name exists already.
        """
        super().__init__(message)
        self.taken = taken


class PartlyMadeError(Exception):
    """An object was made, but is not what was asked for; the state keeps it."""

    def __init__(self, identity: str, reason: str) -> None:
        """Says which object, and what is wrong with it.

        Args:
            identity: The id under which the engine keeps it.
            reason: Why it is not as asked for, and what to do.
        """
        super().__init__(reason)
        self.identity = identity


class MistakeError(ValueError):
    """A single input is wrong; its text says why and is shown beside the input's name."""


def advice(plugin: str) -> str:
    """How to get the genuine plugin, as the end of a sentence.

    Args:
        plugin: The plugin's name.
    """
    return (
        f"install the genuine one with `pulumi plugin install resource {plugin}` from a machine "
        "that reaches its download site"
    )
