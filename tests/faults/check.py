"""What a run leaves in a database, and what of it must be as after a clean run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from infra.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Contents", "differences", "read", "unlike"]

_COLUMNS = """
SELECT format('%I.%I', nspname, relname) AS relation, quote_ident(attname) AS name,
       attidentity <> '' OR coalesce(pg_get_expr(adbin, adrelid), '') LIKE 'nextval(%' AS counted
FROM pg_class home JOIN pg_namespace space ON space.oid = relnamespace
JOIN pg_attribute ON attrelid = home.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relkind IN ('r', 'm') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    AND nspname <> 'schema_ledger'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = home.oid AND deptype = 'e')
ORDER BY relation, attnum
"""
_DIGEST = """
SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(value), '' ORDER BY md5(value))), '')
FROM (SELECT coalesce(({expression})::text, '') AS value FROM {relation}) AS found
"""
_BROKEN = """
SELECT format('%s %s.%s', CASE WHEN relname LIKE '%\\_cc%' THEN 'left over' ELSE 'INVALID' END,
              nspname, relname)
FROM pg_index JOIN pg_class home ON home.oid = indexrelid
JOIN pg_namespace space ON space.oid = relnamespace
WHERE (NOT indisvalid OR NOT indisready OR relname ~ '_cc(new|old)\\d*$')
    AND nspname <> 'pg_toast' -- which its owner can't drop
UNION ALL
SELECT format('half detached %s', inhrelid::regclass) FROM pg_inherits WHERE inhdetachpending
ORDER BY 1
"""
_EVENTS = """
SELECT version_table, revision, direction, state, heads_before, heads_after
FROM schema_ledger.events ORDER BY id
"""
_RECORDED = (
    "SELECT version_table, heads, objects, unaccepted FROM schema_ledger.catalogs ORDER BY 1"
)
_LEDGER = "SELECT to_regclass('schema_ledger.events') IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in a database.

    Attributes:
        objects: The catalog, object by object, as the ledger keeps it.
        columns: A digest of the values of each column, by (relation, column); left out are numbers
            of sequences, which a rollback does not give back.
        rows: By relation, a digest of the rows, of the columns that were asked for.
        broken: Indexes that are not valid or left over, and partitions that are half detached.
        finished: How often each (version table, revision, direction) is done in the ledger.
        ledger: What is wrong with the ledger by itself.
        recorded: What the ledger has of the catalog.
    """

    objects: Mapping[str, str]
    columns: Mapping[tuple[str, str], str]
    rows: Mapping[str, str]
    broken: tuple[str, ...]
    finished: Mapping[tuple[str, str, str], int]
    ledger: tuple[str, ...]
    recorded: tuple[tuple[Any, ...], ...]


def read(url: str, *, without: frozenset[tuple[str, str]] = frozenset()) -> Contents:
    """Read what is in a database; `without` are columns whose values are others in each run."""
    return asyncio.run(_read(url, without))


async def _read(url: str, without: frozenset[tuple[str, str]]) -> Contents:
    connection = await asyncpg.connect(url, timeout=20)
    try:
        objects = dict((await catalog.read(connection)).objects)
        columns: dict[tuple[str, str], str] = {}
        chosen: dict[str, list[str]] = {}
        for relation, name, counted in await connection.fetch(_COLUMNS):
            chosen.setdefault(relation, [])
            if not counted and (relation, name) not in without:
                columns[relation, name] = await _digest(connection, relation, name)
                chosen[relation].append(name)
        rows = {
            relation: await _digest(connection, relation, f"ROW({', '.join(names)})")
            for relation, names in chosen.items()
        }
        broken = tuple(row[0] for row in await connection.fetch(_BROKEN))
        there = await connection.fetchval(_LEDGER)
        events = await connection.fetch(_EVENTS) if there else []
        recorded = await connection.fetch(_RECORDED) if there else []
    finally:
        await connection.close(timeout=5)
    return Contents(
        objects=objects,
        columns=columns,
        rows=rows,
        broken=broken,
        finished=_finished(events),
        ledger=tuple(_mistakes(events)),
        recorded=tuple(map(tuple, recorded)),
    )


async def _digest(connection: Any, relation: str, expression: str) -> str:
    return str(await connection.fetchval(_DIGEST.format(expression=expression, relation=relation)))


def _finished(events: list[Any]) -> dict[tuple[str, str, str], int]:
    counted: dict[tuple[str, str, str], int] = {}
    for event in events:
        if event["state"] == "done":
            key = (event["version_table"], event["revision"], event["direction"])
            counted[key] = counted.get(key, 0) + 1
    return counted


def _mistakes(events: list[Any]) -> list[str]:
    """List gaps: a revision that begins elsewhere than the one before ended, or never ended."""
    heads: dict[str, list[str]] = {}
    open_: dict[tuple[str, str], str] = {}
    found = []
    for event in events:
        key = (event["version_table"], event["revision"])
        before = sorted(event["heads_before"])
        if event["state"] == "begun":
            open_[key] = event["direction"]
            continue
        open_.pop(key, None)
        if before != heads.get(key[0], []):
            found.append(f"{key[1]} begins at {before}, after {heads.get(key[0], [])}")
        heads[key[0]] = sorted(event["heads_after"])
    return [*found, *(f"{revision} is begun and not done" for _, revision in open_)]


def unlike(first: Contents, second: Contents) -> frozenset[tuple[str, str]]:
    """List the columns whose values two clean runs do not agree on: clocks, random numbers."""
    return frozenset(key for key in first.columns if first.columns[key] != second.columns.get(key))


def differences(clean: Contents, found: Contents) -> list[str]:
    """List what is not as after a clean run, a line each."""
    lines = [*found.broken, *found.ledger]
    pairs: tuple[tuple[str, Mapping[Any, Any], Mapping[Any, Any]], ...] = (
        ("catalog", clean.objects, found.objects),
        ("rows", clean.rows, found.rows),
        ("ledger", clean.finished, found.finished),
    )
    for what, wanted, there in pairs:
        lines += [
            f"{what} of {key}: {there.get(key)!r} in place of {wanted.get(key)!r}"
            for key in sorted({*wanted, *there})
            if wanted.get(key) != there.get(key)
        ]
    if clean.recorded != found.recorded and not lines:
        lines.append("the ledger has recorded another catalog")
    return lines
