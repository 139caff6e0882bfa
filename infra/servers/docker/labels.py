"""How what a stack makes in Docker is told from what others make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Stack", "belongs", "of"]

_PROJECT = "groundwork.project"
_STACK = "groundwork.stack"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack and the Docker that it uses.

    Attributes:
        owner: "project/stack" as its things in Docker have it: of a stack that was renamed, its
            name when it made them, since another label would be another volume.
        docker_host: The setting docker:host; "" where there is none.
    """

    owner: str
    docker_host: str


def of(owner: str) -> dict[str, str]:
    """Give the labels of everything that a stack makes.

    Args:
        owner: "project/stack".
    """
    project, _, stack = owner.partition("/")
    return {_PROJECT: project, _STACK: stack}


def belongs(thing: Mapping[str, Any], owner: str) -> bool:
    """Tell whether a container or a volume, as Docker describes it, is a stack's."""
    found = thing.get("Labels") or {}
    return all(found.get(name) == value for name, value in of(owner).items())
