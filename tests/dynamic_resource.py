"""One dynamic resource through its life, by the calls that the engine makes of its provider."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra import declarations

if TYPE_CHECKING:
    from pulumi import dynamic

__all__ = ["CheckFailed", "DynamicResource", "Step"]


class CheckFailed(Exception):  # noqa: N818 - the engine's own word
    """The provider refused the inputs; the text has each reason."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is to be done with the resource.

    Attributes:
        operation: "create", "update" or "same".
        inputs: As `check` gave them.
    """

    operation: str
    inputs: dict[str, Any]


@dataclass(kw_only=True)
class DynamicResource:
    """A resource that has a state, and whose provider is called as the engine calls it.

    Attributes:
        provider: Its provider, called in this process.
        inputs: Of the last `up`; None where there is no resource.
        outputs: The same.
        id: The same.
    """

    provider: dynamic.ResourceProvider
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    id: str = ""

    def plan(self, wanted: dict[str, Any]) -> Step:
        """Check the inputs and find what to do.

        Raises:
            CheckFailed: The provider refused the inputs.
        """
        checked = self.provider.check(self.inputs or {}, wanted)
        if checked.failures:
            raise CheckFailed(
                "\n".join(f"{each.property}: {each.reason}" for each in checked.failures)
            )
        if self.inputs is None:
            return Step(operation="create", inputs=checked.inputs)
        found = self.provider.diff(self.id, self.outputs, checked.inputs)
        assert not found.replaces, "no resource of these tests is replaced"
        return Step(operation="update" if found.changes else "same", inputs=checked.inputs)

    def apply(self, step: Step) -> None:
        """Do what was found to do."""
        if step.operation == "create":
            created = self.provider.create(step.inputs)
            self.id, self.outputs = str(created.id), _stored(created.outs)
        elif step.operation == "update":
            updated = self.provider.update(self.id, self.outputs, step.inputs)
            self.outputs = _stored(updated.outs)
        self.inputs = _stored(step.inputs)

    def refresh(self) -> None:
        """Read what there is into the state; what is gone leaves it."""
        found = self.provider.read(self.id, self.outputs)
        if found.id:
            self.outputs = _stored(found.outs)
            self.inputs = _stored(found.inputs)
        else:
            self.forget()

    def replace(self, wanted: dict[str, Any], *, deletion_first: bool) -> None:
        """Replace it, as `pulumi up --replace` does: what it was is not told to `check`."""
        identity, before = self.id, self.outputs
        checked = self.provider.check({}, wanted)
        assert not checked.failures
        if deletion_first:
            self.provider.delete(identity, before)
        self.apply(Step(operation="create", inputs=checked.inputs))
        if not deletion_first:
            self.provider.delete(identity, before)

    def destroy(self) -> None:
        """Delete it, in a process that has seen no program."""
        declarations.clear()
        self.provider.delete(self.id, self.outputs)
        self.forget()

    def forget(self) -> None:
        """Lose the state."""
        self.inputs, self.outputs, self.id = None, {}, ""


def _stored(properties: Any) -> dict[str, Any]:
    """Give properties as they come back out of a state, which is JSON."""
    stored: dict[str, Any] = json.loads(json.dumps(properties))
    return stored
