"""Remakes a live database on a throwaway server: everything that it is, nothing that it holds."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from infra.errors import GroundworkError
from infra.schema import apply, catalog, dsn, ledger, live, plan
from infra.schema.errors import LateError, RehearsalError
from infra.schema.model import Catalog, Live, Policy
from infra.schema.rehearsing import (
    dumping,
    forwarder,
    making,
    materialized,
    rows,
    statistics,
    surroundings,
)
from infra.schema.rehearsing.limit import Limit
from infra.schema.rehearsing.rows import Generated
from infra.schema.running import connecting
from infra.schema.running.versions import VersionTable
from infra.schema.statements.sql import identifier
from infra.servers import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from infra.schema.invocation import Invocation
    from infra.schema.model import History
    from infra.schema.rehearsing.forwarder import Target
    from infra.schema.rehearsing.statistics import Statistics
    from infra.schema.rehearsing.surroundings import Surroundings
    from infra.servers.throwaway import Throwaway

__all__ = ["Remade", "empty", "remake"]

_NAME = "groundwork rehearsal"
_BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s';
"""
_DIFFERENCES = 20
_REMADE = "while the live schema was remade"
_LONGEST = 60  # bytes of the folder above a socket's, whose whole path may have 107
_READABLE = """
SELECT n.nspname::text AS schema, c.relname::text AS table,
       has_schema_privilege(n.oid, 'USAGE') AS enters
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p')
  AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
ORDER BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class Remade:
    """A database on a throwaway server that is like the live one.

    Attributes:
        url: Its libpq URL, for the live server's login role, so that role settings act as there.
        admin: The same database for a superuser.
        base: What it is, in words: "the live schema, without its rows".
        rows: Rows of each table of the live database by the planner's estimate, by name as in the
            catalog without "table "; what was never analysed is not in it.
        bytes: Size of each table there, without indexes and TOAST.
        generated: Rows that were made up here, by table.
        notes: What a reader should know, a line each: what could not be remade, for example.
    """

    url: str
    admin: str
    base: str
    rows: Mapping[str, int] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    generated: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What was read from the live server.

    Attributes:
        around: Roles, schemas and so on.
        scope: The schemas of the project.
        unreadable: Tables in them that the role may not read, as schema and name.
        target: How to get there again.
        statistics: How much there is.
        filled: Materialized views that have their rows.
    """

    around: Surroundings
    scope: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    target: Target
    statistics: Statistics
    filled: tuple[str, ...]


def remake(  # noqa: PLR0913 - where, what, and how much of it
    server: Throwaway,
    history: History,
    there: Live,
    url: str,
    *,
    folder: Path,
    invocation: Invocation,
    generate: int = 0,
    deletes: Sequence[str] = (),
    limit: Limit | None = None,
) -> Remade:
    """Make a database like the live one; there, catalogs are read and nothing else is done.

    PostgreSQL's pg_dump reads the definitions, never rows, in a transaction that can only read;
    see `dumping.dump` for the locks that it takes. Where it can't, the files make the schema up
    to the live heads, and a note says why.

    Args:
        server: An empty throwaway server.
        history: The files.
        there: What the live database says of itself, its catalog included.
        url: The live database's.
        folder: The Alembic directory, for revisions that run live.
        invocation: How Alembic is called there.
        generate: How many rows to make up in each table at most; none for 0, see `rows.generate`
            for -1.
        deletes: Statements that take those of them out that the live rows have none of.
        limit: How long it may take; None for any time.

    Raises:
        LiveError: The live database can't be reached any more.
        RehearsalError: It could not be remade.
    """
    limit = limit or Limit("")
    with _private() as private:
        seen, dumped, why = limit.run(
            _take(server, history, there, url, private), "while the live schema was read"
        )
        server, notes = limit.run(
            making.surround(server, seen.around, there, whole=not dumped), _REMADE
        )
        made = Remade(
            url=server.url(user=seen.around.login, database=seen.around.name),
            admin=server.url(user=server.user, database=seen.around.name),
            base="the live schema, without its rows",
            rows=seen.statistics.rows,
            bytes=seen.statistics.bytes,
        )
        if dumped:
            notes += limit.run(_fill(server, seen, history, there, dumped), _REMADE)
        else:
            terms = apply.Terms(
                url=made.url, folder=folder, invocation=invocation, deadline=limit.left()
            )
            _from_files(history, there, terms, limit, why=why)
            base = "the schema that the files make up to the live revision, without rows"
            made = replace(made, base=base)
            notes = [f"pg_dump did not read the live schema: {why}. The files made it.", *notes]
    made_up = limit.run(
        _generated(server, seen, history, there, generate, deletes), "while rows were made up"
    )
    unfilled = limit.run(_finish(server, seen), "while materialized views were filled")
    notes += [*_differences(history, there, made), *made_up.notes, *unfilled]
    return replace(made, generated=made_up.rows, notes=tuple(dict.fromkeys(notes)))


def empty(
    server: Throwaway, history: History, limit: Limit | None = None, schema: str = ""
) -> Remade:
    """Make a database with nothing in it but pgvector, where there is no live one yet.

    Args:
        server: A throwaway server.
        history: The files, for the schema of their version table.
        limit: How long it may take; None for any time.
        schema: That migrations work in; empty takes `public`.
    """
    work = making.plain(server, history, schema)
    name = (limit or Limit("")).run(work, "while the database was made")
    url = server.url(user=server.user, database=name)
    return Remade(url=url, admin=url, base="nothing")


# -- reading ------------------------------------------------------------------------------


@contextmanager
def _private() -> Iterator[Path]:
    """Make a folder that nobody else may enter, of a name that a socket's path has room for."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _LONGEST:
        parent = "/tmp"  # noqa: S108 - the folder in it is made for us alone
    with leftovers.folder("groundwork-rehearsal-", parent=parent) as folder:
        yield folder.path


async def _take(
    server: Throwaway, history: History, there: Live, url: str, private: Path
) -> tuple[_Seen, Path | None, str]:
    """Read what there is; gives the dump, or why there is none."""
    import asyncpg  # noqa: PLC0415 - whoever has a connection has loaded it

    connection = await connecting.connect(url, _NAME)
    try:
        seen = await _see(connection, history, there)
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # the server went in the middle of an answer
    ) as exc:
        msg = (
            f"The catalogs of {dsn.place(url)} could not be read, so that there is nothing to"
            f" rehearse on: {surroundings.said(exc)}. Nothing was changed. Run again, or turn the"
            " rehearsal off."
        )
        raise RehearsalError(msg) from exc
    finally:
        # Before pg_dump connects: the role may not have many connections.
        await connecting.hang_up(connection)
    try:
        dumped = await dumping.dump(
            seen.target,
            server.programs,
            private,
            without=_left_out(seen),
            role=there.role,
        )
    except dumping.DumpError as exc:
        return seen, None, str(exc)
    return seen, dumped, ""


async def _see(connection: Any, history: History, there: Live) -> _Seen:
    await connection.execute(_BEGIN)
    await connection.execute(f"SET LOCAL ROLE {identifier(there.role)}")
    around = await surroundings.read(connection)
    scope = await catalog.schemas(
        connection,
        version_table=history.version_table,
        version_schema=history.version_schema or there.schema,
    )
    unreadable = await connection.fetch(_READABLE, [*scope, ledger.SCHEMA])
    found = await statistics.read(connection, scope)
    filled = await materialized.read(connection, scope)
    await connection.execute("ROLLBACK")
    return _Seen(
        around=around,
        scope=scope,
        unreadable=tuple((row["schema"], row["table"]) for row in unreadable),
        target=forwarder.target(connection),
        statistics=found,
        filled=filled,
    )


def _left_out(seen: _Seen) -> Iterator[tuple[str, str]]:
    """Name what pg_dump is to leave out: other people's schemas, and what the role can't read."""
    kept = {*seen.scope, ledger.SCHEMA}
    for each in seen.around.schemas:
        if each["name"] not in kept:
            yield "schema", _pattern(each["name"])
    for schema, table in seen.unreadable:
        yield "table", f"{_pattern(schema)}.{_pattern(table)}"


def _pattern(name: str) -> str:
    """Write a name as a pattern that means itself, in a filter file."""
    return identifier(name).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


# -- making -------------------------------------------------------------------------------


async def _fill(
    server: Throwaway, seen: _Seen, history: History, there: Live, dumped: Path
) -> list[str]:
    """Restore the dump, and write down the live revisions; gives what could not be done."""
    name = seen.around.name
    notes = [
        f"not remade: table {schema}.{table}: {there.role} may not read it"
        for schema, table in seen.unreadable
    ]
    notes += await dumping.restore(server, name, dumped)
    if there.heads:
        home = history.version_schema or there.schema
        table = VersionTable(
            schema=home, table=history.version_table, columns=history.version_columns
        )
        steps = [("the version table", sql) for sql in table.move((), there.heads)]
        notes += await making.attempt(server, name, steps)
    return notes


async def _generated(
    server: Throwaway,
    seen: _Seen,
    history: History,
    there: Live,
    generate: int,
    deletes: Sequence[str],
) -> Generated:
    """Make up rows where they are wanted."""
    if generate == 0:
        return Generated()
    connection = await surroundings.connect(server, seen.around.name)
    try:
        made = await rows.generate(
            connection,
            seen.scope,
            seen.statistics,
            generate,
            left_out=(history.version_schema or there.schema, history.version_table),
        )
        await rows.fit(connection, made, deletes, there.search_path)
        return made
    finally:
        await connection.close()


async def _finish(server: Throwaway, seen: _Seen) -> list[str]:
    """Fill materialized views; then the statistics, which ANALYZE would write anew."""
    connection = await surroundings.connect(server, seen.around.name)
    try:
        notes = await materialized.fill(connection, seen.filled)
        await statistics.write(connection, seen.statistics)
    finally:
        await connection.close()
    return notes


def _from_files(
    history: History, there: Live, terms: apply.Terms, limit: Limit, *, why: str
) -> None:
    """Have the files make the schema up to the live heads.

    Raises:
        RehearsalError: They can't.
    """
    known = history.by_id
    unknown = [head for head in there.heads if head not in known]
    try:
        if unknown:
            msg = f"the files have no revision {', '.join(unknown)}"
            raise RehearsalError(msg)
        # To all of the live heads, however many, and no further.
        until = replace(history, heads=there.heads)
        steps = plan.make(until, Live(), Policy(target="heads"))
        apply.run(steps, history, terms)
    except LateError as exc:
        raise limit.late(_REMADE) from exc
    except GroundworkError as exc:
        msg = (
            f"The live schema of {there.database} could not be remade on the throwaway server."
            f" pg_dump did not read it: {why}. Its files did not make it either: {exc} The live"
            " database is as it was. Correct the one or the other, or turn the rehearsal off."
        )
        raise RehearsalError(msg) from exc


def _differences(history: History, there: Live, made: Remade) -> Iterator[str]:
    """Say what is not as it is there."""
    if there.catalog is None:
        return
    here = live.read_for(history, made.url)
    nothing = Catalog(format=catalog.FORMAT, objects={})
    found = catalog.compare(there.catalog, here.catalog or nothing)
    majors = there.server // 10000, here.server // 10000
    if majors[0] != majors[1]:
        # Each words views and the like in its own way.
        alike = [drift for drift in found if drift.change != "changed"]
        if len(alike) < len(found):
            yield (
                f"the live server is PostgreSQL {majors[0]}, and words {len(found) - len(alike)}"
                f" definitions otherwise than {majors[1]} does"
            )
        found = tuple(alike)
    for drift in found[:_DIFFERENCES]:
        yield f"not remade: {catalog.worded(drift).removesuffix(' was removed')}"
    if len(found) > _DIFFERENCES:
        yield f"not remade: {len(found) - _DIFFERENCES} more"
