"""What a plugin consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .resource import Resource
    from .values import Values

__all__ = ["Plugin"]

Backend = TypeVar("Backend")


@dataclass(frozen=True, kw_only=True)
class Plugin(Generic[Backend]):
    """All that the engine's side of a plugin needs to know of it.

    Attributes:
        name: Of the package, such as 'postgresql'.
        version: Of the genuine plugin whose resources it answers for.
        description: One sentence for the package's schema.
        resources: By the token that the SDK registers them under.
        aliases: Older tokens that the SDK still has a class for, and the newer ones.
        settings: Every setting of the genuine provider, with its type in the package's schema.
        secret_settings: Those that the state encrypts.
        problems: What is wrong with the settings, by name.
        connect: Takes the settings and gives what the resources work with; opens no connection.
    """

    name: str
    version: str
    description: str
    resources: Mapping[str, Resource[Backend]]
    aliases: Mapping[str, str]
    settings: Mapping[str, str]
    secret_settings: tuple[str, ...]
    problems: Callable[[Values], Mapping[str, str]]
    connect: Callable[[Values], Backend]

    @property
    def covered(self) -> str:
        """The resources, in words."""
        names = [token.rpartition(":")[2] for token in self.resources]
        return f"{', '.join(names[:-1])} and {names[-1]}"
