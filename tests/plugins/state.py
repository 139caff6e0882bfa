"""The state of a stack, in memory."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.plugins.properties import Properties, encrypted

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Resource", "State", "deletion_order"]

_PROVIDER = "pulumi:providers:"


@dataclass(kw_only=True)
class Resource:
    """What a state holds of a resource.

    Attributes:
        urn: Its name in the stack.
        id: Its name for the provider.
        inputs: As the provider has checked them.
        outputs: As the provider told them last.
        provider: The URN and the id of its provider, with `::` between.
        dependencies: The URNs of all resources that it needs.
        property_dependencies: Those, by the input that needs them.
        secret_outputs: Outputs that are secret, whatever the provider says.
        timeouts: Seconds that the program gives a call, by its name.
        init_errors: What the provider says of an object that is not as asked for.
        delete: It has been replaced, and is still to be deleted.
        pending_replacement: It has been deleted, and its successor is still to be made.
    """

    urn: str
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    secret_outputs: list[str] = field(default_factory=list)
    timeouts: dict[str, float] = field(default_factory=dict)
    init_errors: list[str] = field(default_factory=list)
    delete: bool = False
    pending_replacement: bool = False

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def type(self) -> str:
        """The type token."""
        return self.urn.split("::")[2]

    @property
    def reference(self) -> str:
        """How resources name it as their provider."""
        return f"{self.urn}::{self.id}"

    @property
    def is_provider(self) -> bool:
        """Whether it is a provider of other resources."""
        return self.type.startswith(_PROVIDER)

    @property
    def needs(self) -> set[str]:
        """The URNs of what must outlive it."""
        return {*self.dependencies, self.provider.rpartition("::")[0]}


class State:
    """The resources of a stack, in the order in which they were first registered."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        """Holds the resources."""
        self.resources = list(resources)
        self._lock = threading.Lock()

    def copy(self) -> State:
        """Another state with the same content, for a preview."""
        return State(copy.deepcopy(self.resources))

    def current(self, urn: str) -> Resource | None:
        """The resource of a URN, other than those that have been replaced."""
        found = (each for each in self.resources if each.urn == urn and not each.delete)
        return next(found, None)

    def put(self, resource: Resource) -> None:
        """Takes a resource in, in the place of the one of its URN."""
        with self._lock:
            old = self.current(resource.urn)
            if old is None:
                self.resources.append(resource)
            else:
                self.resources[self.resources.index(old)] = resource

    def drop(self, resource: Resource) -> None:
        """Leaves a resource out, and whatever says that it is needed."""
        with self._lock:
            self.resources = [each for each in self.resources if each is not resource]
            if self.current(resource.urn) is not None:
                return
            for other in self.resources:
                other.dependencies = [urn for urn in other.dependencies if urn != resource.urn]

    def dependents(self, resource: Resource) -> list[Resource]:
        """What needs a resource, directly or not, in the order of the state."""
        urns = {resource.urn}
        found = []
        for other in self.resources:
            if other.needs & urns and not other.delete:
                urns.add(other.urn)
                found.append(other)
        return found

    def exported(self) -> dict[str, Any]:
        """What `pulumi stack export` shows of it."""
        return {
            "resources": [
                {
                    "urn": each.urn,
                    "id": each.id,
                    "inputs": encrypted(each.inputs),
                    "outputs": encrypted(each.outputs),
                }
                for each in self.resources
            ]
        }


def deletion_order(condemned: Iterable[Resource]) -> list[list[Resource]]:
    """Groups to delete one after the other: what others need goes after them.

    Args:
        condemned: All that is to be deleted.
    """
    left = list(condemned)
    groups = []
    while left:
        needed = set().union(*(each.needs for each in left))
        group = [each for each in left if each.urn not in needed]
        assert group, f"a cycle: {left}"
        groups.append(group)
        left = [each for each in left if each.urn in needed]
    return groups
