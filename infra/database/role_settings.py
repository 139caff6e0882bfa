"""Settings that a role has in one database: the provider `postgresql` knows neither all nor where.

They are kept in pg_db_role_setting. Of a role's settings there, these are the project's own, and
exact; others, such as a work_mem that somebody gave the application, stay as they are.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi import dynamic

from infra.database import admin
from infra.database.watched import Watched
from infra.schema.statements.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pulumi

__all__ = ["RoleSettings", "RoleSettingsProvider", "own_settings"]

_PATH = "search_path"
_OWN = (
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "role",
    _PATH,
    "statement_timeout",
)
_HELD = """
SELECT r.rolname::text AS role, s.setconfig AS entries
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
JOIN pg_roles r ON r.oid = s.setrole
WHERE d.datname = $1
"""
_EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
_ROLES = "SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY ($1::text[])"
# As PostgreSQL writes a list of names: quoted where one needs it, with a comma between.
_PATH_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+))\s*(?:,|$)')


class RoleSettingsProvider(Watched):
    """Brings the settings of some roles in a database to what is wanted."""

    inputs: ClassVar[tuple[str, ...]] = ("database", "settings")
    watched: ClassVar[str] = "settings"
    noun: ClassVar[str] = "settings of roles"

    async def find(self, props: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
        """See `Watched.find`: by role, then by name."""
        async with admin.session(props["admin"]) as connection:
            if not await connection.fetchval(_EXISTS, props["database"]):
                return None
            held = await _held(connection, props["database"])
        return {role: held.get(role, {}) for role in props["settings"]}

    async def bring(self, props: Mapping[str, Any]) -> None:
        """See `Watched.bring`."""
        database, wanted = props["database"], props["settings"]
        async with admin.session(props["admin"]) as connection:
            held = await _held(connection, database)
            statements = list(_statements(database, held, wanted))
            await admin.execute(connection, statements, doing="giving roles their settings")

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Take the settings away from the roles that are still there."""
        asyncio.run(self._take_away(props))

    async def _take_away(self, props: Mapping[str, Any]) -> None:
        database, given = props["database"], props["settings"]
        async with admin.session(props["admin"]) as connection:
            if not await connection.fetchval(_EXISTS, database):
                return
            there = [row["name"] for row in await connection.fetch(_ROLES, list(given))]
            held = await _held(connection, database)
            statements = list(_statements(database, held, {role: {} for role in there}))
            await admin.execute(connection, statements, doing="taking settings from roles")


class RoleSettings(dynamic.Resource, module="groundwork", name="RoleSettings"):
    """What sessions of each role begin with in a database."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        database: str,
        settings: Mapping[str, Mapping[str, str | list[str]]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare settings of roles that exist in a database that exists.

        Args:
            name: Of the resource.
            admin: As `infra.database.admin.inputs` gives it.
            database: Its name.
            settings: By role, then by name; search_path is a list. Names that are left out, of
                those that this resource knows, are not set.
            opts: The engine's.
        """
        wanted = {role: dict(sorted(own.items())) for role, own in sorted(settings.items())}
        inputs = {"admin": admin, "database": database, "settings": wanted}
        super().__init__(RoleSettingsProvider(), name, inputs, opts)


async def _held(connection: Any, database: str) -> dict[str, dict[str, Any]]:
    """Give the project's own settings in a database, by role and name."""
    held = {}
    for row in await connection.fetch(_HELD, database):
        held[row["role"]] = own_settings(dict(entry.split("=", 1) for entry in row["entries"]))
    return held


def own_settings(entries: Mapping[str, str]) -> dict[str, Any]:
    """Give those that this resource knows, as it takes them.

    Args:
        entries: Values by name, as pg_db_role_setting has them.
    """
    own: dict[str, Any] = {name: entries[name] for name in sorted(entries) if name in _OWN}
    if _PATH in own:
        own[_PATH] = _path(own[_PATH])
    return own


def _path(text: str) -> list[str]:
    return [
        quoted.replace('""', '"') if quoted else plain.strip()
        for quoted, plain in _PATH_PART.findall(text)
        if quoted or plain.strip()
    ]


def _statements(
    database: str,
    held: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    for role, settings in wanted.items():
        alter = f"ALTER ROLE {identifier(role)} IN DATABASE {identifier(database)}"
        before = held.get(role, {})
        for name in _OWN:
            value = settings.get(name)
            if value == before.get(name):
                continue
            if value is None:
                yield f"{alter} RESET {name}"
            elif name == _PATH:
                yield f"{alter} SET {name} TO {', '.join(map(identifier, value))}"
            else:
                yield f"{alter} SET {name} TO {literal(value)}"
