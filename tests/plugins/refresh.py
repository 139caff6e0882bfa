"""Brings a state to what is really there, as the engine's refreshes and imports do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugins.deployment import Deployment
    from tests.plugins.state import Resource

__all__ = ["adopt", "refresh"]


def refresh(deployment: Deployment, *, noted: bool = True) -> None:
    """Reads every resource, and takes into the state what has changed.

    Args:
        deployment: Whose state.
        noted: Whether changes are steps of the run, which they are not where an update follows.
    """
    note = deployment.step if noted else (lambda *_, **__: None)

    def read(resource: Resource) -> None:
        identity, outputs, inputs = deployment.client(resource).read(resource)
        if not identity or outputs is None:
            note(resource, "delete")
            deployment.state.drop(resource)
            return
        found = replace(resource, id=identity, init_errors=[])
        found.inputs = resource.inputs if inputs is None else inputs
        found.outputs = outputs
        # What an update would do next, since the program is what counts.
        changes = deployment.client(resource).diff(found, resource.inputs)
        if changes.found:
            note(resource, "update", names=changes.names)
        deployment.take(found, outputs)

    resources = deployment.state.resources
    deployment.in_parallel(
        read,
        [each for each in resources if not (each.is_provider or each.pending_replacement)],
    )


def adopt(deployment: Deployment, resources: list[Resource]) -> None:
    """Takes objects into the state that others have made.

    Args:
        deployment: Whose state.
        resources: Each with the id that is to be imported.
    """

    def read(resource: Resource) -> None:
        if deployment.state.current(resource.urn) is not None:
            deployment.fail(resource, f"resource {resource.urn!r} already exists")
            return
        deployment.step(resource, "import")
        identity, outputs, inputs = deployment.client(resource).read(resource, adopting=True)
        if outputs is None or inputs is None:
            deployment.fail(resource, f"resource {resource.id!r} does not exist")
            return
        resource.id, resource.inputs = identity or resource.id, inputs
        _, failures = deployment.client(resource).check(resource, inputs, olds=inputs)
        for failure in failures:
            deployment.warn(resource, failure)
        deployment.take(resource, outputs)

    deployment.in_parallel(read, resources)
