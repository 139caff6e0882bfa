"""What adopted roles lack for logging in: LOGIN, and a password where the stack sets one.

Everything else of such a role stays as it is. It goes with nothing: `destroy` takes neither away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pulumi import dynamic

from infra.database import admin
from infra.dynamic import Provider, known
from infra.schema.statements.sql import identifier
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

__all__ = ["AdoptedLogins", "AdoptedLoginsProvider"]

_CLOSED = "SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[]) AND NOT rolcanlogin"


class AdoptedLoginsProvider(Provider):
    """Lets roles log in, and sets passwords; takes nothing away."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare with the state, and with the server where it answers."""
        wanted = news["logins"]
        if not known(wanted) or wanted != olds.get("logins"):
            return dynamic.DiffResult(changes=True)
        closed, failure = admin.look(lambda: _closed(news), place=news["admin"])
        if failure is None and closed:
            print(visible(f"{', '.join(closed)} lost LOGIN outside of this stack: it comes back"))  # noqa: T201 - the engine shows it
        return dynamic.DiffResult(changes=failure is None and bool(closed))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Add what is missing."""
        asyncio.run(_complete(props, {}))
        return dynamic.CreateResult("logins", _given(props))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Add what is missing, and set passwords that are new."""
        asyncio.run(_complete(news, olds.get("logins") or {}))
        return dynamic.UpdateResult(_given(news))


class AdoptedLogins(dynamic.Resource, module="groundwork", name="AdoptedLogins"):
    """Adopted roles that log in."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        logins: Mapping[str, pulumi.Input[str] | None],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare that roles which were there may log in.

        Args:
            name: Of the resource.
            admin: As `infra.database.admin.inputs` gives it.
            logins: By role, the SCRAM verifier of its password; None leaves it as it is.
            opts: The engine's.
        """
        # Without null: the engine drops it of a map.
        wanted = {role: "" if verifier is None else verifier for role, verifier in logins.items()}
        super().__init__(AdoptedLoginsProvider(), name, {"admin": admin, "logins": wanted}, opts)


def _given(props: Mapping[str, Any]) -> dict[str, Any]:
    return {key: props[key] for key in ("admin", "logins")}


async def _closed(props: Mapping[str, Any]) -> list[str]:
    async with admin.session(props["admin"]) as connection:
        return [row[0] for row in await connection.fetch(_CLOSED, list(props["logins"]))]


async def _complete(props: Mapping[str, Any], before: Mapping[str, str]) -> None:
    logins = props["logins"]
    async with admin.session(props["admin"]) as connection:
        closed = [row[0] for row in await connection.fetch(_CLOSED, list(logins))]
        opened = [f"ALTER ROLE {identifier(role)} LOGIN" for role in closed]
        await admin.execute(connection, opened, doing="letting adopted roles log in")
        for role, verifier in logins.items():
            if verifier and verifier != before.get(role):
                # The text of a failing statement has no verifier.
                await admin.set_password(connection, role, verifier)
