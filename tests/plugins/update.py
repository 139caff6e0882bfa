"""Brings resources to what a program declares, as the engine's step generator does."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.plugins.deployment import Deployment
from tests.plugins.properties import UNKNOWN, Properties
from tests.plugins.provider import ProviderError

if TYPE_CHECKING:
    from tests.plugins.provider import Provider
    from tests.plugins.state import Resource, State

__all__ = ["Update"]


class Update(Deployment):
    """Creates, updates, replaces and deletes."""

    def __init__(
        self, state: State, clients: dict[str, Provider], *, preview: bool = False
    ) -> None:
        """Knows of no declaration yet."""
        super().__init__(state, clients, preview=preview)
        self._registered: set[str] = set()
        self._condemned: set[str] = set()

    def register_provider(self, new: Resource, client: Provider) -> None:
        """Configures a provider.

        Args:
            new: With the settings of the program.
            client: Which to configure.
        """
        self._registered.add(new.urn)
        old = self.state.current(new.urn)
        try:
            settings, failures = client.check_config(new, old)
            if failures:
                raise self.fail(new, "\n".join(failures))
            new.id = old.id if old else str(uuid.uuid4())
            if old and client.diff_config(old, settings).replaces:
                raise NotImplementedError("the driver replaces no provider")
            new.inputs = settings
            client.configure(new)
        except ProviderError as error:
            raise self.fail(new, str(error)) from error
        self.clients[new.reference] = client
        self.take(new, settings)

    def register(self, new: Resource, *, delete_before_replace: bool | None = None) -> None:
        """Gets a resource to where the program wants it, and into the state.

        Args:
            new: With the inputs of the program.
            delete_before_replace: The program's choice between the two orders of a replacement;
                None: the provider's.
        """
        self._registered.add(new.urn)
        old, declared = self.state.current(new.urn), new.inputs
        try:
            if new.urn in self._condemned:
                new.inputs = self._checked(new, declared)
                self.step(new, "replace")
                self._create(new, "create-replacement")
            elif old is None:
                new.inputs = self._checked(new, declared)
                self._create(new, "create")
            else:
                new.inputs = self._checked(new, declared, olds=old.inputs)
                self._advance(old, new, declared, delete_before=delete_before_replace)
        except ProviderError as error:
            raise self.fail(new, str(error)) from error

    def delete_undeclared(self) -> None:
        """Deletes what has been replaced or is declared no more."""
        if self.failures:
            return
        listed = self.state.resources
        self.delete([each for each in listed if each.delete or each.urn not in self._registered])

    def _checked(
        self, new: Resource, declared: Properties, *, olds: Properties | None = None
    ) -> Properties:
        inputs, failures = self.client(new).check(new, declared, olds=olds)
        if failures:
            raise self.fail(new, "\n".join(failures))
        return inputs

    def _advance(
        self, old: Resource, new: Resource, declared: Properties, *, delete_before: bool | None
    ) -> None:
        """From a resource that exists to the one that is wanted."""
        if old.provider != new.provider:
            raise NotImplementedError("the driver moves no resource to another provider")
        changes = self.client(new).diff(old, new.inputs)
        if old.pending_replacement or (changes.found and changes.replaces):
            new.inputs = self._checked(new, declared)
            chosen = changes.delete_before_replace if delete_before is None else delete_before
            self._replace(old, new, changes.replaces, delete_before=chosen)
        elif changes.found or old.init_errors:
            self._update(old, new, changes.names)
        else:
            new.id = old.id
            self.take(new, old.outputs)

    def _replace(
        self, old: Resource, new: Resource, names: list[str], *, delete_before: bool
    ) -> None:
        if not delete_before:
            # The old one stays in the state beside the new one, and goes after all others.
            old.delete = not old.pending_replacement
            try:
                self._create(new, "create-replacement")
            except ProviderError:
                old.delete = False
                raise
            self.step(new, "replace", names=names)
            return
        for dependent in reversed(self._replaced_with(old)):
            self.delete_before(dependent)
            self._condemned.add(dependent.urn)
        if not old.pending_replacement:
            self.delete_before(old)
        self.step(new, "replace", names=names)
        self._create(new, "create-replacement")

    def _replaced_with(self, root: Resource) -> list[Resource]:
        """What has to be replaced once the outputs of a resource are other ones."""
        urns, found = {root.urn}, []
        for resource in self.state.dependents(root):
            if resource.pending_replacement or resource.urn in self._registered:
                continue
            inputs = {
                key: UNKNOWN if urns & {*resource.property_dependencies.get(key, [])} else value
                for key, value in resource.inputs.items()
            }
            if inputs != resource.inputs and self.client(resource).diff(resource, inputs).replaces:
                urns.add(resource.urn)
                found.append(resource)
        return found

    def _create(self, new: Resource, operation: str) -> None:
        self.step(new, operation)
        try:
            new.id, outputs = self.client(new).create(new, preview=self.preview)
        except ProviderError as error:
            if error.partial:
                new.id, new.init_errors = error.partial.id, error.partial.reasons
                self.take(new, error.partial.outputs)
            raise
        self.take(new, outputs)

    def _update(self, old: Resource, new: Resource, names: list[str]) -> None:
        self.step(new, "update", names=names)
        new.id = old.id
        try:
            outputs = self.client(new).update(old, new, preview=self.preview)
        except ProviderError as error:
            if error.partial:
                new.init_errors = error.partial.reasons
                self.take(new, error.partial.outputs)
            raise
        self.take(new, outputs)
