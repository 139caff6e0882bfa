"""What the stack's own state says, read while the graph is declared."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pulumi

from infra.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StackState"]

_READ_STATE = "pulumi:pulumi:readStackResourceOutputs"
_PAUSES = (0.1, 0.3, 0.9)  # seconds; a file backend's file is half written for a moment


@dataclass(frozen=True, kw_only=True)
class StackState:
    """The resources of the stack's state with their outputs; secrets are not to be read from it.

    Attributes:
        resources: By URN: `type` and `outputs`, a mapping.
    """

    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> StackState:
        """Ask the engine, which takes 20 ms with a state of 43 resources in a file backend.

        Raises:
            GroundworkError: The state can't be read: where the server is, is not known then.
        """
        for pause in _PAUSES:
            try:
                return cls(resources=_ask())
            except Exception:  # noqa: BLE001 - the SDK raises nothing narrower
                time.sleep(pause)
        try:
            return cls(resources=_ask())
        except Exception as exc:
            raise GroundworkError(
                "The stack's own state could not be read, and it alone says where the server is."
                f" Nothing was changed. Run the same command again. The engine says: {exc}"
            ) from exc

    def outputs(self, kind: str, name: str) -> Mapping[str, Any]:
        """Give the outputs of the resource of a type and a name; empty where there is none."""
        for urn, each in self.resources.items():
            if each["type"] == kind and urn.rpartition("::")[2] == name:
                found: Mapping[str, Any] = each["outputs"]
                return found
        return {}

    def names(self, kind: str) -> set[str]:
        """Give the output `name` of each resource of a type."""
        found = (each for each in self.resources.values() if each["type"] == kind)
        return {str(each["outputs"].get("name")) for each in found}


@cache
def _ask() -> Mapping[str, Mapping[str, Any]]:
    answer = pulumi.runtime.invoke(_READ_STATE, {"stackName": pulumi.get_stack()}).value or {}
    found: Mapping[str, Mapping[str, Any]] = answer.get("outputs", {})
    return found
