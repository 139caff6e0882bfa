"""Makes a database on a throwaway server, with what is to be around its schema."""

# ruff: noqa: S608 - these statements take no parameters: every name and value here is quoted

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.schema import ledger
from infra.schema.rehearsing import surroundings
from infra.schema.statements.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.model import History, Live
    from infra.schema.rehearsing.surroundings import Statement, Surroundings
    from infra.servers.throwaway import Throwaway

__all__ = ["attempt", "plain", "run", "surround"]

_EMPTY = "rehearsed"
_EXTENSION = re.compile(
    r"\bCREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?vector\b", re.IGNORECASE
)


async def surround(
    server: Throwaway, around: Surroundings, there: Live, *, whole: bool
) -> tuple[Throwaway, list[str]]:
    """Make roles, the database, its settings, schemas and extensions.

    Args:
        server: Where.
        around: What the live server has.
        there: The live database.
        whole: Whether to make what a dump would bring, too.

    Returns:
        The server with the superuser that it has then, and what could not be made, a line each.
    """
    server = await _own_superuser(server, around)
    main = "template1" if around.name == "postgres" else "postgres"
    existing = await _fetch(server, main, "SELECT rolname FROM pg_roles")
    roles = {row["rolname"] for row in existing}
    notes = await attempt(server, main, surroundings.outside(around, server, there.role, roles))
    notes += await _database(server, main, around)
    notes += await attempt(server, main, surroundings.settings(around))
    here = await _extensions_here(server, around)
    lacking = [each["name"] for each in around.extensions if each["name"] not in here]
    notes += await attempt(server, around.name, surroundings.inside(around, lacking))
    for name in lacking:
        notes.append(f"not remade: extension {name}: PostgreSQL on this machine lacks it")
    notes += await attempt(server, around.name, _extensions(around, here, notes))
    if whole:
        notes += await attempt(server, around.name, surroundings.defaults(around))
        notes += await attempt(server, around.name, _ledger(around, there.role))
    return server, notes


async def plain(server: Throwaway, history: History, schema: str = "") -> str:
    """Make an empty database with pgvector; gives its name.

    Args:
        server: Where.
        history: The files.
        schema: That migrations work in; empty takes `public`.
    """
    await run(server, "postgres", [f"CREATE DATABASE {identifier(_EMPTY)} TEMPLATE template0"])
    statements = []
    if history.version_schema:
        statements.append(f"CREATE SCHEMA IF NOT EXISTS {identifier(history.version_schema)}")
    if schema:
        statements += [
            f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}",
            f"ALTER DATABASE {identifier(_EMPTY)} SET search_path = {identifier(schema)}, public",
        ]
    # Unless a revision makes it: then as its own, or it would stumble over one that is there.
    every = (text for revision in history.revisions for text in revision.upgrade.statements)
    if not any(_EXTENSION.search(text) for text in every):
        statements.append("CREATE EXTENSION vector SCHEMA public")
    await run(server, _EMPTY, statements)
    return _EMPTY


async def run(server: Throwaway, database: str, statements: Iterable[str]) -> None:
    """Run statements as the superuser, each for itself.

    Raises:
        asyncpg.PostgresError: One failed; those after it did not run.
    """
    connection = await surroundings.connect(server, database)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def attempt(server: Throwaway, database: str, statements: Iterable[Statement]) -> list[str]:
    """Run statements as the superuser, each for itself; gives those that failed, a line each."""
    import asyncpg  # noqa: PLC0415 - 160 ms, for those who need a throwaway server

    notes = []
    connection = await surroundings.connect(server, database)
    try:
        for what, statement in statements:
            try:
                await connection.execute(statement)
            except asyncpg.PostgresError as exc:
                notes.append(f"not remade: {what}: {surroundings.said(exc)}")
    finally:
        await connection.close()
    return notes


async def _fetch(server: Throwaway, database: str, query: str) -> list[Any]:
    connection = await surroundings.connect(server, database)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def _own_superuser(server: Throwaway, around: Surroundings) -> Throwaway:
    """Free the superuser's name where it is an ordinary role's on the live server."""
    if all(r["rolname"] != server.user or r["rolsuper"] for r in around.roles):
        return server
    name = f"groundwork {secrets.token_hex(4)}"
    secret = literal(server.password)
    role = f"CREATE ROLE {identifier(name)} SUPERUSER LOGIN PASSWORD {secret}"
    await run(server, "template1", [role])
    former = f"ALTER ROLE {identifier(server.user)} RENAME TO {identifier(f'{name} first')}"
    server = replace(server, user=name)
    await run(server, "template1", [former])
    return server


async def _database(server: Throwaway, main: str, around: Surroundings) -> list[str]:
    """Make it anew, as alike as this machine can."""
    import asyncpg  # noqa: PLC0415 - 160 ms, for those who need a throwaway server

    name, notes = around.name, []
    await run(
        server,
        main,
        [
            f"UPDATE pg_database SET datistemplate = false WHERE datname = {literal(name)}",
            f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)",
        ],
    )
    ways = list(surroundings.alone(around))
    for (what, statement), (instead, _) in zip(ways, [*ways[1:], ("", "")], strict=True):
        try:
            await run(server, main, [statement])
        except asyncpg.PostgresError as exc:
            if not instead:
                raise
            notes.append(f"not remade: {what}: {surroundings.said(exc)}; {instead} instead")
        else:
            break
    return notes


async def _extensions_here(server: Throwaway, around: Surroundings) -> dict[str, set[str]]:
    """List the versions of the extensions that this machine has."""
    query = "SELECT name, version FROM pg_available_extension_versions"
    rows = await _fetch(server, around.name, query)
    here: dict[str, set[str]] = {}
    for row in rows:
        here.setdefault(row["name"], set()).add(row["version"])
    return here


def _extensions(
    around: Surroundings, here: Mapping[str, set[str]], notes: list[str]
) -> Iterator[Statement]:
    """Write the extensions, with owner and comment."""
    for each in around.extensions:
        name, version = each["name"], each["version"]
        if name not in here:
            continue
        if version not in here[name]:
            found = ", ".join(sorted(here[name]))
            notes.append(f"not remade: extension {name} {version}: here it is {found}")
            version = ""
        what = f"extension {name}"
        yield what, surroundings.extension(name, each["schema"], version)
        # There is no ALTER EXTENSION ... OWNER TO.
        owner = f"{literal(identifier(each['owner']))}::regrole"
        yield what, f"UPDATE pg_extension SET extowner = {owner} WHERE extname = {literal(name)}"
        comment = "NULL" if each["comment"] is None else literal(each["comment"])
        yield what, f"COMMENT ON EXTENSION {identifier(name)} IS {comment}"


def _ledger(around: Surroundings, role: str) -> Iterator[Statement]:
    """Write the ledger where it is there: who migrates may not be able to make it."""
    if all(each["name"] != ledger.SCHEMA for each in around.schemas):
        return
    what, owner = "the ledger", identifier(role)
    yield what, ledger.CREATE
    yield what, f"ALTER SCHEMA {ledger.SCHEMA} OWNER TO {owner}"
    for table in ("events", "catalogs"):
        yield what, f"ALTER TABLE {ledger.SCHEMA}.{table} OWNER TO {owner}"
