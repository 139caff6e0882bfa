"""Tells the ledger of the schema which privileges the program changed itself: they are no drift."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pulumi import dynamic

from infra.database import admin as administrator
from infra.database import recorded_grants
from infra.database.names import privileges_by_group
from infra.database.recorded_grants import Own
from infra.dynamic import Provider, known
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.roles import Roles

__all__ = ["OwnPrivileges", "OwnPrivilegesProvider"]

_KEPT = ("database", "owner", "groups", "logins")


class OwnPrivilegesProvider(Provider):
    """Records privileges once, and again where the program gives others."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Report a change where the program gives other privileges."""
        same = known(news["groups"]) and all(olds.get(key) == news[key] for key in _KEPT)
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Record what the program has changed in a database from before."""
        return dynamic.CreateResult("privileges", _record(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Record what it has changed now."""
        return dynamic.UpdateResult(_record(news))


class OwnPrivileges(dynamic.Resource, module="groundwork", name="OwnPrivileges"):
    """The privileges of the groups, as the ledger of the schema has them."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        database: str,
        roles: Roles,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare that what the program gives the groups is not reported as drift.

        Args:
            name: Of the resource.
            admin: As `infra.database.admin.inputs` gives it.
            database: Its name.
            roles: Those of the database.
            opts: The engine's; it depends on all privileges.
        """
        inputs = {
            "admin": admin,
            "database": database,
            "owner": roles.owner,
            "groups": privileges_by_group(roles),
            "logins": [roles.app, roles.reader],
        }
        super().__init__(OwnPrivilegesProvider(), name, inputs, opts)


def _record(props: Mapping[str, Any]) -> dict[str, Any]:
    asyncio.run(_absorb(props))
    return {key: props[key] for key in _KEPT}


async def _absorb(props: Mapping[str, Any]) -> None:
    import asyncpg  # noqa: PLC0415 - of a provider's process alone

    own = Own(owner=props["owner"], groups=props["groups"], logins=props["logins"])
    async with administrator.session(props["admin"], props["database"]) as connection:
        try:
            number = await recorded_grants.absorb(connection, own)
        except asyncpg.InsufficientPrivilegeError as exc:
            print(visible(f"privileges that were given now are reported as drift: {exc}"))  # noqa: T201 - the engine shows it
            return
    if number:
        print(visible(f"{number} privileges that the program changed itself are no drift"))  # noqa: T201 - as above
