"""What the state has of a database and its roles, and what was removed from the server since.

The provider `postgresql` looks at the server in a refresh alone: in an `up`, a role or a database
that was dropped is "unchanged", and all that needs it fails. So the first resource of the
component compares the server with the state, and makes again what is missing, as the state has it.
What the provider then does finds what it expects.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.database import admin as administrator
from infra.database import lost_objects
from infra.dynamic import Provider, known
from infra.servers.stack_state import StackState
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RecordedObjects", "RecordedObjectsProvider"]

_COMPONENT = "groundwork:infra:Database$postgresql:"
# Set once a refresh has gone before in this process. The engine has then taken out of its state
# what is missing, and makes it itself; the state that the program has read is the one before.
_refreshed: list[bool] = []


class RecordedObjectsProvider(Provider):
    """Makes again what is in the state and not on the server."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Take the inputs as they are."""
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Ask the server what is missing; another state alone is no change."""
        if _refreshed:
            return dynamic.DiffResult(changes=False)
        if not known(news):
            return dynamic.DiffResult(changes=True)
        found, _ = administrator.look(lambda: _find(news), place=news)
        for each in found or ():
            print(visible(f"{each} is not as it was made: it will be put right"))  # noqa: T201 - the engine shows it
        return dynamic.DiffResult(changes=bool(found))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Make what is missing; with a new stack, nothing is."""
        if not _refreshed:
            asyncio.run(_restore(props))
        return dynamic.CreateResult("objects", {})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Make what is missing."""
        if not _refreshed:
            asyncio.run(_restore(news))
        return dynamic.UpdateResult({})

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Leave it to the refresh of each object to find out."""
        _refreshed.append(True)
        return dynamic.ReadResult(id_, props)


class RecordedObjects(dynamic.Resource, module="groundwork", name="RecordedObjects"):
    """The objects of a component `Database` that were made before this run."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare that the server has what the state has.

        Args:
            name: Of the component, with which the names of its resources begin.
            admin: As `infra.database.admin.inputs` gives it.
            opts: The engine's.
        """
        objects = [
            {"kind": each["type"].rpartition(":")[2], **each["outputs"]}
            for urn, each in StackState.read().resources.items()
            if _COMPONENT in urn and urn.rpartition("::")[2].startswith(f"{name}-")
        ]
        # Roles have verifiers of passwords.
        inputs = {"admin": admin, "objects": pulumi.Output.secret(objects)}
        super().__init__(RecordedObjectsProvider(), f"{name}-recorded-objects", inputs, opts)


async def _find(props: Mapping[str, Any]) -> list[str]:
    return await lost_objects.find(props["admin"], props["objects"])


async def _restore(props: Mapping[str, Any]) -> None:
    await lost_objects.restore(props["admin"], props["objects"])
