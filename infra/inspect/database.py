"""Looks into the database of an application: its tables, its logins, its revision."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.database.urls import TLS, url
from infra.errors import GroundworkError
from infra.inspect import catalog
from infra.schema import ledger
from infra.schema.running import connecting
from infra.servers.remote import adminurl

if TYPE_CHECKING:
    from infra.schema.running.versions import VersionTable
    from infra.servers.remote.adminurl import AdminUrl
    from infra.servers.remote.facts import Facts

__all__ = [
    "InspectionError",
    "Login",
    "Table",
    "choose",
    "database_url",
    "heads",
    "logins",
    "tables",
]

_NAME = "groundwork inspect"
_MOST = 20


class InspectionError(GroundworkError):
    """The server can't be inspected as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the database.

    Attributes:
        schema: Its schema.
        name: Its name.
        owner: Whose it is.
        readable: Whether the admin may read it.
        versions: Whether it could be a version table of Alembic's.
    """

    schema: str
    name: str
    owner: str
    readable: bool
    versions: bool


@dataclass(frozen=True, kw_only=True)
class Login:
    """A role, by what it has to do with the tables of a schema.

    Attributes:
        name: Its name.
        superuser: Whether it is one.
        login: Whether it may log in.
        owns: How many of the tables are its own.
        writes: How many of them it may write.
        owns_database: Whether the database is its own.
    """

    name: str
    superuser: bool
    login: bool
    owns: int
    writes: int
    owns_database: bool


def database_url(
    admin: AdminUrl, seen: Facts, database: str, options: dict[str, str] | None = None
) -> str:
    """Give the admin's URL of a database, on the host that takes writes.

    Args:
        admin: How to log in.
        seen: Which host that is.
        database: Its name.
        options: More of libpq's.
    """
    return url(
        user=admin.user,
        password=admin.password,
        addresses=adminurl.written(seen.host, seen.port),
        database=database,
        options={name: getattr(admin, name) for name in TLS} | (options or {}),
    )


def choose(admin: AdminUrl, seen: Facts) -> str:
    """Give the one database that has tables.

    Raises:
        InspectionError: There is none, or more than one; the message lists them.
    """
    return asyncio.run(_choose(admin, seen))


async def _choose(admin: AdminUrl, seen: Facts) -> str:
    here = database_url(admin, seen, admin.database)
    names = [str(row["name"]) for row in await _ask(here, catalog.DATABASES)]
    counts = {}
    for name in names[:_MOST]:
        rows = await _ask(database_url(admin, seen, name), catalog.TABLE_COUNT)
        counts[name] = rows[0][0]
    used = [name for name, count in counts.items() if count]
    if len(used) == 1:
        return used[0]
    listed = ", ".join(f"{name!r} ({counts.get(name, 'some')} tables)" for name in used or names)
    raise InspectionError(
        f"Which database? This server has {listed or 'none but its own'}. Nothing was changed."
        " Name one with --database, or make inspect DATABASE=NAME."
    )


def tables(where: str) -> list[Table]:
    """List the tables of a database, by its URL."""
    return [Table(**row) for row in asyncio.run(_ask(where, catalog.TABLES, ledger.SCHEMA))]


def logins(where: str, schema: str) -> list[Login]:
    """List the roles of the server, by what they have to do with the tables of a schema."""
    return [Login(**row) for row in asyncio.run(_ask(where, catalog.LOGINS, schema))]


def heads(where: str, table: VersionTable) -> list[str]:
    """Read a version table; one that is another program's of that name has none."""
    try:
        rows = asyncio.run(_ask(where, table.rows))
    except InspectionError:
        return []
    return list(rows[0][0] or ())


async def _ask(where: str, query: str, *arguments: Any) -> list[Any]:
    import asyncpg  # noqa: PLC0415 - loaded with the connection

    connection = await connecting.connect(where, _NAME)
    try:
        async with connection.transaction(readonly=True):
            return list(await connection.fetch(query, *arguments))
    except asyncpg.PostgresError as exc:
        said = f"PostgreSQL refused a question to its catalog: {exc}. Nothing was changed."
        raise InspectionError(said) from exc
    finally:
        await connecting.hang_up(connection)
