"""Reads a database: which revisions it has, what the ledger remembers, what its catalog holds."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from infra.schema import catalog as catalogs
from infra.schema import dsn, ledger, unreached
from infra.schema.errors import LiveError
from infra.schema.model import Applied, Catalog, Live, Script
from infra.schema.running import connecting, failures
from infra.schema.running.versions import VersionTable
from infra.schema.statements import losses, session
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from infra.schema.model import History
    from infra.schema.statements.losses import Loss

__all__ = ["ask", "count", "events_for", "read", "read_for", "read_on"]

_NAME = "groundwork look"
_SETTINGS = {**connecting.LOOKING, "idle_in_transaction_session_timeout": "10s"}
_SECONDS = 60.0
_CLOSE_SECONDS = 2.0
_KEPT = "Nothing was changed."
_NOTHING = "NULL::text"
_ROLE = "SELECT current_user::text"
_LOGIN = "SET SESSION AUTHORIZATION DEFAULT"
_AUTHORIZE = "SELECT pg_catalog.set_config('session_authorization', $1, false)"
_ACT = "SELECT pg_catalog.set_config('role', $1, false)"

# A preview neither writes nor waits for long behind somebody's lock. Repeatable read, so that
# heads, ledger and catalog are of one moment.
_LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s';"
_BEGIN = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"

# PostgreSQL words definitions as of now, not as of the snapshot: of what goes away meanwhile there
# is none. What another session is changing will be there or gone a moment later.
_MOVING = frozenset({"XX000", "42P01", "42704"})
_TRIES = 6
_LOCKED = "55P03"
_PAUSE = 0.1

# All of it from catalogs that everybody may read, so that a missing right can be named.
_FACTS = """
SELECT current_setting('server_version_num')::int AS server, current_database()::text AS database,
       coalesce(current_schema()::text, '') AS schema, current_user::text AS role,
       current_setting('search_path') AS search_path,
       current_setting('role') AS acting, session_user::text AS session,
       own.role AS ledger_role,
       (SELECT json_object_agg(extname, nspname)::text
        FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace s ON s.oid = x.extnamespace
       ) AS extensions,
       home.name AS home, format('%I.%I', coalesce(home.name, ''), $1::text) AS key,
       has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS identified,
       v.oid IS NOT NULL AS versioned,
       EXISTS (SELECT FROM pg_catalog.pg_attribute
               WHERE attrelid = v.oid AND attname = 'version_num' AND NOT attisdropped) AS alembic,
       has_schema_privilege(n.oid, 'USAGE') AS enters,
       has_any_column_privilege(v.oid, 'SELECT') AS reads,
       e.oid IS NOT NULL AS remembered,
       has_schema_privilege(own.role, l.oid, 'USAGE') AS ledger_enters,
       has_table_privilege(own.role, e.oid, 'SELECT') AS ledger_reads,
       c.oid IS NOT NULL AS recorded,
       EXISTS (SELECT FROM pg_catalog.pg_attribute
               WHERE attrelid = c.oid AND attname = 'unaccepted' AND NOT attisdropped) AS drifts,
       has_table_privilege(own.role, c.oid, 'SELECT') AS recorded_reads
FROM (SELECT coalesce(nullif($2::text, ''), current_schema()::text) AS name) home
CROSS JOIN (SELECT coalesce($4::text, current_user::text) AS role) own
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = home.name
LEFT JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = $1::text
     AND v.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_catalog.pg_namespace l ON l.nspname = $3::text
LEFT JOIN pg_catalog.pg_class e ON e.relnamespace = l.oid AND e.relname = 'events'
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = l.oid AND c.relname = 'catalogs'
"""


def read(
    url: str,
    *,
    version_table: str = "alembic_version",
    version_schema: str = "",
    prologue: Iterable[str] = (),
    catalog: bool = True,
) -> Live:
    """Connect and read; nothing is written, and read rights are enough.

    Args:
        url: libpq URL; whose role it is decides about the schema where nothing else does.
        version_table: Name of Alembic's table.
        version_schema: Its schema; empty takes the first of the search_path that is there, as
            Alembic does, and never one further down: that table would be somebody else's.
        prologue: SQL that env.py sends before the revisions; what sets something for the session
            (search_path, role) is sent here too, as it decides where the table is.
        catalog: Whether to read the catalog, and the one recorded after the last apply.

    Raises:
        DatabaseMissingError: The server has no such database.
        LiveError: No connection, a server before PostgreSQL 14, a missing right, a table that is
            not Alembic's, or no answer in time.
    """
    return asyncio.run(
        _read(
            url,
            session.settings(prologue),
            version_table=version_table,
            version_schema=version_schema,
            catalog=catalog,
        )
    )


def read_for(history: History, url: str, *, catalog: bool = True) -> Live:
    """Read where the env.py of a history would look; see `read`."""
    return read(
        url,
        version_table=history.version_table,
        version_schema=history.version_schema,
        prologue=history.prologue,
        catalog=catalog,
    )


def events_for(history: History, url: str) -> list[dict[str, Any]]:
    """List what the ledger has of a history, from the first event to the last; empty without one.

    Raises:
        LiveError: As for `read`.
    """
    return asyncio.run(_events(history, url))


async def _events(history: History, url: str) -> list[dict[str, Any]]:
    async with _reading(url, _SECONDS) as connection:
        role = await connection.fetchval(_ROLE)
        await _set(connection, session.settings(history.prologue))
        if not await connection.fetchval(ledger.EXISTS):
            return []
        schema = history.version_schema or await connection.fetchval("SELECT current_schema()")
        await connection.execute(_LOGIN)
        await connection.execute(_ACT, role)
        place = (history.version_table, schema)
        return [dict(row) for row in await connection.fetch(ledger.EVENTS, *place)]


def ask(
    history: History,
    url: str,
    question: Callable[[Any], Awaitable[Any]],
    *,
    seconds: float | None = _SECONDS,
) -> Any:
    """Ask something of our own where the env.py of a history would look; nothing is written.

    Args:
        history: Whose settings the session gets.
        url: As for `read`.
        question: Asks on a connection of asyncpg, in a transaction that can't write.
        seconds: How long all of it may take; None for any time.

    Raises:
        LiveError: As for `read`.
    """
    return asyncio.run(_ask(history, url, question, seconds))


async def _ask(
    history: History,
    url: str,
    question: Callable[[Any], Awaitable[Any]],
    seconds: float | None,
) -> Any:
    async with _reading(url, seconds) as connection:
        await _set(connection, session.settings(history.prologue))
        await connection.execute(_BEGIN)
        return await question(connection)


def count(url: str, found: Mapping[str, tuple[Loss, ...]]) -> dict[str, tuple[Loss, ...]]:
    """Count the rows of what will go; what is not there is left out.

    Args:
        url: As for `read`.
        found: What each revision takes away.

    Raises:
        LiveError: As for `read`.
    """
    return asyncio.run(_count(url, found))


async def _count(url: str, found: Mapping[str, tuple[Loss, ...]]) -> dict[str, tuple[Loss, ...]]:
    async with _reading(url, None) as connection:
        await connection.transaction(readonly=True).start()
        await connection.execute(_LIMITS)
        return {id_: await losses.counted(connection, each) for id_, each in found.items()}


async def _read(url: str, settings: Iterable[str], **options: Any) -> Live:
    async with _reading(url, _SECONDS) as connection:
        if connection.get_server_version().major < unreached.OLDEST:
            raise unreached.too_old(connection.get_server_version().major, url)
        role = await connection.fetchval(_ROLE)
        await _set(connection, settings)
        return await read_on(connection, place=dsn.place(url), role=role, **options)


@asynccontextmanager
async def _reading(url: str, seconds: float | None) -> AsyncIterator[Any]:
    """Open a connection that is closed at the end, within a limit for all of it.

    Raises:
        LiveError: As for `read`, whatever is raised inside.
    """
    place, limit = dsn.place(url), asyncio.timeout(seconds)
    try:
        async with limit:
            connection = await connecting.connect(url, _NAME, settings=_SETTINGS, seconds=_SECONDS)
            try:
                yield connection
            except Exception as exc:
                if limit.expired() or not failures.is_driver(exc):
                    raise
                raise _refused(exc, place) from exc
            finally:
                await _hang_up(connection)
    except TimeoutError as exc:
        raise _late(url) from exc


def _late(url: str) -> LiveError:
    said = f"{dsn.place(url)} has not answered within {_SECONDS:.0f} s."
    return LiveError(f"{said} {_KEPT} Try again.")


async def _set(connection: Any, settings: Iterable[str]) -> None:
    for statement in settings:
        await connection.execute(statement)


async def _hang_up(connection: Any) -> None:
    """Say goodbye, so that the server does not log a client that was lost; or just go."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except Exception:  # noqa: BLE001 - whatever it is, the answer is there or its failure told
        connection.terminate()


async def read_on(
    connection: Any,
    *,
    version_table: str = "alembic_version",
    version_schema: str = "",
    catalog: bool = True,
    place: str = "the database",
    role: str | None = None,
) -> Live:
    """Read on an open connection of asyncpg, in its transaction or in one of its own.

    Args:
        connection: Where to read.
        version_table: As for `read`.
        version_schema: As for `read`.
        catalog: As for `read`.
        place: Where that is, for a message.
        role: The role that reads the ledger, where env.py acts as another one, which may have no
            rights there; None for the one that reads all.

    Raises:
        LiveError: A missing right, a table that is not Alembic's, or the connection broke.
    """
    import asyncpg  # noqa: PLC0415 - whoever has a connection has loaded it

    wanted = (version_table, version_schema, catalog, role)
    tries = 0 if connection.is_in_transaction() else _TRIES
    try:
        while True:
            try:
                work = _snapshot if tries else _gather
                return await work(connection, *wanted)
            except asyncpg.PostgresError as exc:
                tries -= 1
                if exc.sqlstate not in _MOVING or tries <= 0:
                    raise
            await asyncio.sleep(_PAUSE)
    except Exception as exc:
        if not failures.is_driver(exc):
            raise
        raise _refused(exc, place) from exc


async def _snapshot(connection: Any, *wanted: Any) -> Live:
    try:
        await connection.execute(_BEGIN)
        found = await _gather(connection, *wanted)
    except Exception:  # not where it was cancelled: nobody would wait for that to come through
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    await connection.execute("ROLLBACK")
    return found


async def _gather(
    connection: Any,
    table: str,
    schema: str,
    catalog: bool,  # noqa: FBT001 - arguments handed on
    role: str | None,
) -> Live:
    facts = await connection.fetchrow(_FACTS, table, schema, ledger.SCHEMA, role)
    _require(facts, table)
    columns = _columns(facts, table)
    kept = _kept(facts, catalog=catalog)
    if facts["ledger_role"] == facts["role"]:
        row = dict(await connection.fetchrow(*_contents({**columns, **kept}, facts)))
    else:
        row = dict(await connection.fetchrow(*_contents(columns, facts)))
        await connection.execute(_LOGIN)
        await connection.execute(_ACT, role)
        row.update(await connection.fetchrow(*_contents(kept, facts)))
        await connection.execute(_AUTHORIZE, facts["session"])
        await connection.execute(_ACT, facts["acting"])
    recorded = json.loads(row["recorded"] or "{}")
    now = None
    if catalog:
        now = await catalogs.read(connection, version_table=table, version_schema=schema)
    return Live(
        heads=tuple(sorted(row["heads"] or ())),
        versioned=facts["versioned"],
        applied=_applied(json.loads(row["applied"] or "[]")),
        recorded=Catalog(format=recorded["format"], objects=recorded["objects"])
        if recorded
        else None,
        recorded_heads=tuple(recorded.get("heads", ())),
        unaccepted=ledger.unaccepted(recorded.get(ledger.UNACCEPTED, {})),
        catalog=now,
        server=facts["server"],
        cluster=row["cluster"] or "",
        database=facts["database"],
        schema=facts["schema"],
        search_path=facts["search_path"],
        extensions=json.loads(facts["extensions"] or "{}"),
        role=facts["role"],
    )


def _columns(facts: Mapping[str, Any], table: str) -> dict[str, str]:
    """Write what is asked of the version table and the server, by name."""
    columns = dict.fromkeys(("heads", "cluster"), _NOTHING)
    if facts["versioned"]:
        columns["heads"] = VersionTable(schema=facts["home"], table=table).rows
    if facts["identified"]:
        columns["cluster"] = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
    return columns


def _kept(facts: Mapping[str, Any], *, catalog: bool) -> dict[str, str]:
    """Write what is asked of the ledger, by name."""
    columns = dict.fromkeys(("applied", "recorded"), _NOTHING)
    if facts["remembered"]:
        columns["applied"] = _as_json("json_agg", ledger.APPLIED)
    if facts["recorded"] and catalog:
        columns["recorded"] = ledger.recorded(unaccepted=facts["drifts"])
    return columns


def _contents(columns: Mapping[str, str], facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the query for what is there, and give it with its arguments."""
    chosen = ", ".join(f"({sql}) AS {name}" for name, sql in columns.items())
    # The condition gives the parameter its type where nothing else does.
    return f"SELECT {chosen} WHERE $1::text IS NOT NULL", facts["key"]


def _as_json(function: str, query: str) -> str:
    return f"SELECT pg_catalog.{function}(found)::text FROM ({query}) found"  # noqa: S608 - queries of the ledger's own


def _require(facts: Mapping[str, Any], table: str) -> None:
    """Refuse what can't be read, naming the right that is missing."""
    schema = identifier(facts["home"] or "")
    name = f"{schema}.{identifier(table)}"
    if facts["versioned"] and not facts["alembic"]:
        msg = (
            f"The table {name} of database {facts['database']} is not Alembic's: it has no column"
            f" version_num. {_KEPT} Choose another version_table in env.py."
        )
        raise LiveError(msg)
    needed = (
        ("versioned", "enters", "role", f"USAGE ON SCHEMA {schema}"),
        ("versioned", "reads", "role", f"SELECT ON {name}"),
        ("remembered", "ledger_enters", "ledger_role", f"USAGE ON SCHEMA {ledger.SCHEMA}"),
        ("remembered", "ledger_reads", "ledger_role", f"SELECT ON {ledger.SCHEMA}.events"),
        ("recorded", "recorded_reads", "ledger_role", f"SELECT ON {ledger.SCHEMA}.catalogs"),
    )
    missing = [
        (right, identifier(facts[role]))
        for there, has, role, right in needed
        if facts[there] and not facts[has]
    ]
    if missing:
        grants = " ".join(f"GRANT {right} TO {role};" for right, role in missing)
        roles = " and ".join(dict.fromkeys(role for _, role in missing))
        msg = (
            f"The role {roles} may not read what it must in database {facts['database']}. {_KEPT}"
            f" Let their owner run: {grants}"
        )
        raise LiveError(msg)


def _applied(rows: list[dict[str, Any]]) -> dict[str, Applied]:
    """Give the revisions that are there, by the last event of each."""
    return {
        row["revision"]: Applied(
            revision=row["revision"],
            message=row["message"],
            sha256=row["sha256"],
            needs=tuple(row["needs"]),
            downgrade=Script.of(row["downgrade"]),
            commit=row["commit"],
            stack=row["stack"],
            at=row["at"],
            finished=row["state"] == "done",
        )
        for row in rows
        if (row["direction"], row["state"]) != ("down", "done")
    }


def _refused(exc: Exception, place: str) -> LiveError:
    """Word why a database could not be read, once there was a connection."""
    said = str(exc).strip().rstrip(".") or "the connection was lost"
    sqlstate = getattr(exc, "sqlstate", "")
    if sqlstate == _LOCKED:
        why = "another session has locked what must be read for more than 5 s"
        advice = "Wait for it to end, or end it, and run again."
    elif failures.dropped(exc):
        return LiveError(
            f"The connection to {place} was lost while it was read: {said}. {_KEPT} Run again when"
            " it is stable."
        )
    elif sqlstate in _MOVING:
        why = f"somebody is changing it at this moment ({said})"
        advice = "Wait for whoever does that, and run again."
    else:
        why, advice = said, "Run again."
    return LiveError(f"The schema of {place} could not be read: {why}. {_KEPT} {advice}")
