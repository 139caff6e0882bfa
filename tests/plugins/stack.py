"""Drives one stack on a plugin, without the engine: its calls, at a small part of the time.

What the driver makes of a declaration is what the engine makes of it: the same calls with the
same properties, in the same order. `test_engine.py` of each plugin holds it to that.
"""

from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING, Any

from tests.plugins import monitor
from tests.plugins.deployment import Deployment, ResourceFailedError
from tests.plugins.refresh import adopt, refresh
from tests.plugins.state import Resource, State
from tests.plugins.update import Update

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.plugins.declaration import Declared
    from tests.plugins.provider import Provider, Providers
    from tests.plugins.run import Run

__all__ = ["Stack"]


class Stack:
    """Resources of one package, whose state is in memory."""

    def __init__(
        self, providers: Providers, *, folder: Path, package: str, environment: Mapping[str, str]
    ) -> None:
        """Has no resources yet.

        Args:
            providers: The session's clients.
            folder: Where the plugin is.
            package: Whose resources the program declares, such as 'postgresql'.
            environment: How the provider reaches the server.
        """
        self._providers = providers
        self._folder = folder
        self._package = package
        self._environment = dict(environment)
        self._clients: dict[str, Provider] = {}
        self._declared: Mapping[str, Declared] = {}
        self._state = State()

    def declare(self, **resources: Declared) -> None:
        """Sets what the program declares.

        Args:
            resources: By logical name and in order.
        """
        self._declared = resources

    def up(self, *flags: str, **resources: Declared) -> Run:
        """Deploys, after declaring the resources where some are given."""
        if resources:
            self.declare(**resources)
        return self._update(Update(self._state, self._clients), *flags)

    def preview(self) -> Run:
        """What an update would do."""
        return self._update(Update(self._state, self._clients, preview=True))

    def refresh(self) -> Run:
        """Takes into the state what has changed."""
        deployment = Deployment(self._state, self._clients)
        refresh(deployment)
        return deployment.run()

    def drift(self) -> Run:
        """What a refresh would find, without taking it into the state."""
        deployment = Deployment(self._state, self._clients, preview=True)
        refresh(deployment)
        return deployment.run()

    def destroy(self) -> Run:
        """Removes every resource."""
        deployment = Deployment(self._state, self._clients)
        deployment.delete(self._state.resources)
        return deployment.run()

    def adopt(self, **resources: tuple[str, str]) -> Run:
        """Imports objects.

        Args:
            resources: Type token and id, by the logical name.
        """
        update = Update(self._state, self._clients)
        version = importlib.metadata.version(f"pulumi-{self._package}")
        provider = monitor.default_provider(self._package, version)
        try:
            update.register_provider(provider, self._find(provider))
        except ResourceFailedError:
            return update.run()
        wanted = [
            Resource(urn=monitor.urn(token, name), id=identity, provider=provider.reference)
            for name, (token, identity) in resources.items()
        ]
        adopt(update, wanted)
        return update.run()

    def assert_settled(self) -> None:
        """Fails unless an update would change nothing."""
        run = self.preview()
        assert run.steps == {}, run.output

    def exported(self) -> str:
        """The state as text, secrets encrypted."""
        return json.dumps(self._state.exported(), ensure_ascii=False)

    def outputs(self) -> dict[str, dict[str, Any]]:
        """The outputs of each resource, its id under `id`, by logical name."""
        return {
            resource["urn"].rpartition("::")[2]: {**resource["outputs"], "id": resource["id"]}
            for resource in self._state.exported()["resources"]
        }

    def _update(self, update: Update, *flags: str) -> Run:
        unknown = {*flags} - {"--refresh", "--continue-on-error"}
        assert not unknown, f"the driver knows no {unknown}"
        if "--refresh" in flags:
            refresh(update, noted=False)
        answering = monitor.Monitor(
            update, self._find, continue_on_error="--continue-on-error" in flags
        )
        try:
            monitor.run(answering, self._package, self._declared, preview=update.preview)
        except (AssertionError, NotImplementedError, TypeError):
            raise  # the driver's own
        except Exception:
            # Of a resource that failed, the SDK tells in its own words what the update knows.
            if not update.failures:
                raise
        update.delete_undeclared()
        return update.run()

    def _find(self, provider: Resource) -> Provider:
        return self._providers.find(self._folder, self._package, self._environment, provider.inputs)
