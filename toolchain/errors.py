"""The one failure that the toolchain reports to its user."""

__all__ = ["ToolchainError"]


class ToolchainError(Exception):
    """Something could not be got, and the message says what, why and what to do next.

    The message is meant for a terminal as it stands, may have several lines, and
    holds no secret: addresses are stripped of their credentials before they get here.
    """
