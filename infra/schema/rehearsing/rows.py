"""Makes up rows: so that a revision that copies, checks or indexes has something to work on.

They are the same at every run. Nothing of them comes from the live rows: what is known of those is
how many they are, how wide, how different and how often null.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema.options import USUAL_ROWS
from infra.schema.rehearsing import surroundings
from infra.schema.rehearsing.filling import NULLS, Filling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.schema.rehearsing.statistics import Statistics

__all__ = ["Generated", "fit", "generate"]

_QUERY = Path(__file__).with_suffix(".sql")
_SECONDS = 60.0
_USUAL_SECONDS = 20.0  # rows by default, which a preview waits for
_LEAST = 0.2  # seconds that a table is tried for at all
_FEWER = 20
_BYTES = 256 * 1024**2  # of a table

# Triggers off, those that check references too: what they check is made to hold.
_SESSION = """
SET search_path = pg_catalog;
SET session_replication_role = replica;
SET row_security = off;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET lock_timeout = '5s';
SET enable_nestloop = off;
SET jit = off;
SET maintenance_work_mem = '512MB';
"""

_FIT = """
SET LOCAL session_replication_role = replica; SET LOCAL row_security = off;
SET LOCAL statement_timeout = '10s'
"""
_SEARCH = "SELECT pg_catalog.set_config('search_path', $1, true)"

_PUT_OFF = """
UPDATE pg_index SET indisready = false, indisvalid = false
WHERE indexrelid = ANY ($1::text[]::regclass[])
"""


@dataclass(kw_only=True)
class Generated:
    """What came of it.

    Attributes:
        rows: Rows by table, as SQL writes its name; those of none are left out.
        notes: Why a table has none, or fewer than it should, a line each.
    """

    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def generate(
    connection: Any,
    schemas: Sequence[str],
    found: Statistics,
    most: int,
    *,
    left_out: tuple[str, str],
    seconds: float = 0.0,
) -> Generated:
    """Fill the tables of a database that was remade.

    Args:
        connection: A superuser's, on the throwaway server.
        schemas: Bare names of those to fill.
        found: How many rows the live tables have, and of what kind.
        most: Rows that a table gets at most; as many where their number is not known. Below 0,
            up to `USUAL_ROWS` where the live one is known to have rows, and none elsewhere.
        left_out: Schema and name of a table to leave as it is.
        seconds: How long it may take altogether; 0 for a minute, or a third of it by default rows.
    """
    await connection.execute(_SESSION)
    known = json.loads(
        await connection.fetchval(_QUERY.read_text(encoding="utf-8"), list(schemas), *left_out)
    )
    usual = most < 0
    seconds = seconds or (_USUAL_SECONDS if usual else _SECONDS)
    filling = Filling(known["types"] or {}, found, nulls=0.0 if usual else NULLS)
    done = Generated()
    counts: dict[int, int] = {}
    deadline = time.monotonic() + seconds
    for table in _parents_first(known["tables"] or []):
        wanted = _wanted(found.rows.get(table["label"]), most)
        if not wanted:
            continue
        wanted = min(wanted, max(1, _BYTES // filling.width(table)))
        try:
            made = await _fill(connection, filling, table, wanted, counts, deadline)
        except _UnfilledError as exc:
            made = 0
            done.notes.append(f"no rows were made up for {table['label']}: {exc}")
        counts[table["oid"]] = made
        if made:
            done.rows[table["label"]] = made
        if 0 < made < wanted:
            done.notes.append(f"{table['label']} has {made} made-up rows, not {wanted}")
    await connection.execute("RESET ALL")
    return done


async def fit(connection: Any, made: Generated, deletes: Sequence[str], search_path: str) -> None:
    """Take out made-up rows that violate what no live row does; their values are made up.

    Args:
        connection: A superuser's, on the throwaway server.
        made: What was made up; its numbers are brought up to date.
        deletes: Statements; one that can't run takes out nothing.
        search_path: Where their names are looked for.
    """
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    if not made.rows or not deletes:
        return
    for statement in dict.fromkeys(deletes):
        with suppress(asyncpg.PostgresError):
            async with connection.transaction():
                await connection.execute(_FIT)
                await connection.execute(_SEARCH, search_path)
                await connection.execute(statement)
    for label in list(made.rows):
        made.rows[label] = await connection.fetchval(f"SELECT count(*) FROM {label}")  # noqa: S608
        if not made.rows[label]:
            del made.rows[label]
            made.notes.append(f"no made-up row of {label} satisfies what the live rows do")


class _UnfilledError(Exception):
    """Why a table stays empty, as the end of a sentence."""


def _wanted(live: int | None, most: int) -> int:
    if most < 0:
        return min(live or 0, USUAL_ROWS)
    return min(live, most) if live else most


def _parents_first(tables: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Put a table behind those that it refers to, as far as they don't go in circles."""
    waiting = {table["oid"]: table for table in tables}

    def open_ends(table: Mapping[str, Any]) -> tuple[bool, int]:
        ends = [
            each
            for each in table["references"] or ()
            if each["table"] in waiting and each["table"] != table["oid"]
        ]
        required = {c["number"] for c in table["columns"] or () if c["required"]}
        return any(required.intersection(each["columns"]) for each in ends), len(ends)

    while waiting:
        chosen = min(waiting.values(), key=open_ends)
        del waiting[chosen["oid"]]
        yield chosen


async def _fill(
    connection: Any,
    filling: Filling,
    table: Mapping[str, Any],
    wanted: int,
    counts: Mapping[int, int],
    deadline: float,
) -> int:
    """Try in several ways: as the statistics say, then bare, then fewer.

    Raises:
        _UnfilledError: None of them made a row.
    """
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    why = ""
    for rows, bare in ((wanted, False), (wanted, True), (max(1, wanted // _FEWER), True)):
        left = deadline - time.monotonic()
        if left < _LEAST:
            raise _UnfilledError(why or "there was no time left")
        try:
            await connection.execute(f"SET statement_timeout = {max(1, int(left * 500))}")
            statement = filling.statement(table, rows, counts, bare=bare)
            if made := await _insert(connection, table, statement):
                return made
        except asyncpg.PostgresError as exc:
            why = surroundings.said(exc)
        else:
            why = why or filling.obstacle(table, counts)
    raise _UnfilledError(why)


async def _insert(connection: Any, table: Mapping[str, Any], statement: str) -> int:
    """Run the INSERT; all of it or nothing.

    Built once, an index of vectors takes a fraction of what it takes row by row.
    """
    slow = table["slow"] or ()
    async with connection.transaction():
        if slow:
            await connection.execute(_PUT_OFF, list(slow))
        made = int((await connection.execute(statement)).rpartition(" ")[2])
        for index in slow:
            await connection.execute(f"REINDEX INDEX {index}")
        # For the tables that refer to it; what the live server knows is written last of all.
        await connection.execute(f"ANALYZE {table['label']}")
    return made
