"""One run of a stack on its provider, with the calls that the engine makes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.plugins.properties import Properties, is_secret, secret
from tests.plugins.provider import ProviderError
from tests.plugins.run import Run, RunError
from tests.plugins.state import Resource, State, deletion_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.plugins.provider import Provider

__all__ = ["Deployment", "ResourceFailedError"]

_CALLS_AT_ONCE = 8

_READINGS = ("same", "refresh")
"""Operations that change nothing, and are no step."""


class ResourceFailedError(Exception):
    """A resource did not get where it was to get; the deployment knows why."""


class Deployment:
    """What a run does, what it tells, and the state that it leaves."""

    def __init__(
        self, state: State, clients: dict[str, Provider], *, preview: bool = False
    ) -> None:
        """Has done nothing yet.

        Args:
            state: What there is before; what there is after, except of a preview.
            clients: The stack's configured providers, by their reference.
            preview: Nothing is changed, in the state neither.
        """
        self.state = state.copy() if preview else state
        self.clients = clients
        self.preview = preview
        self.failures: list[str] = []
        self._printed = {each: each.process.printed() for each in clients.values()}
        self._told: list[str] = []
        self._steps: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def step(self, resource: Resource, operation: str, *, names: Iterable[str] = ()) -> None:
        """Notes that an operation on a resource begins.

        Args:
            resource: Which one.
            operation: In the engine's words.
            names: Properties that are the reason.
        """
        if operation in _READINGS or resource.is_provider:
            return
        with self._lock:
            listed = self._steps.setdefault(resource.name, [])
            if operation not in listed:
                listed.append(operation)
            self._told.append(f"{operation} {resource.name} [{', '.join(names)}]")

    def warn(self, resource: Resource, message: str) -> None:
        """Notes what does not end the run."""
        with self._lock:
            self._told.append(f"warning: {resource.name}: {message}")

    def fail(self, resource: Resource, message: str) -> ResourceFailedError:
        """Notes what ends the run, and gives what is to be raised."""
        with self._lock:
            self.failures.append(f"error: {resource.type} ({resource.name}): {message}")
        return ResourceFailedError(message)

    def run(self) -> Run:
        """What the run has done; raises where something failed."""
        printed = sorted(
            each.process.printed().removeprefix(self._printed.get(each, ""))
            for each in {*self.clients.values()}
        )
        output = "\n".join([*self._told, *self.failures, *printed])
        if self.failures:
            raise RunError(output)
        return Run(output=output, steps=dict(self._steps))

    def client(self, resource: Resource) -> Provider:
        """The provider of a resource."""
        return self.clients[resource.provider]

    def take(self, resource: Resource, outputs: Properties) -> None:
        """Takes a resource's new outputs into the state, with what the engine knows as secret."""
        resource.outputs = {
            key: secret(value)
            if not is_secret(value)
            and (key in resource.secret_outputs or is_secret(resource.inputs.get(key)))
            else value
            for key, value in outputs.items()
        }
        self.state.put(resource)

    def in_parallel(self, work: Callable[[Resource], None], resources: Iterable[Resource]) -> None:
        """Does something with resources that do not need each other."""

        def attempt(resource: Resource) -> None:
            try:
                work(resource)
            except ProviderError as error:
                self.fail(resource, str(error))

        with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
            list(pool.map(attempt, resources))

    def delete(self, condemned: Iterable[Resource]) -> None:
        """Deletes resources, each before what it needs, until one fails."""
        listed = list(condemned)
        for group in deletion_order([each for each in listed if not each.is_provider]):
            if not self.failures:
                self.in_parallel(self._delete, group)
        if not self.failures:
            for provider in (each for each in listed if each.is_provider):
                self.state.drop(provider)

    def delete_before(self, resource: Resource) -> None:
        """Deletes a resource that is to be made again, which its place in the state shows."""
        self.step(resource, "delete-replaced")
        if not self.preview:
            try:
                self.client(resource).delete(resource)
            except ProviderError as error:
                raise self.fail(resource, str(error)) from error
        resource.pending_replacement = True

    def _delete(self, resource: Resource) -> None:
        if resource.pending_replacement:
            self.step(resource, "remove-pending-replace")
        else:
            self.step(resource, "delete-replaced" if resource.delete else "delete")
            if not self.preview:
                self.client(resource).delete(resource)
        self.state.drop(resource)
