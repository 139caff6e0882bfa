"""What is in a database: definitions, rows and sequences, and how two databases differ."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.migrations.catalog import CATALOG

__all__ = [
    "Contents",
    "Noise",
    "create_database",
    "differences",
    "drop_database",
    "execute",
    "read",
]

_LEDGER = "schema_ledger"  # the node's own; plain Alembic has none
_OTHERS = f"nspname !~ '^pg_' AND nspname NOT IN ('information_schema', '{_LEDGER}')"

_TABLES = f"""
SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm') AND NOT relispartition AND {_OTHERS} ORDER BY 1
"""  # noqa: S608 - constants alone
_SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname), coalesce(s.last_value::text, 'not used')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequences s ON s.schemaname = n.nspname AND s.sequencename = c.relname
WHERE {_OTHERS} ORDER BY 1
"""  # noqa: S608 - constants alone

Rows = dict[str, Counter[str]]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A database, without the node's ledger.

    Attributes:
        catalog: Every definition, a line each: tests/migrations/catalog.py.
        tables: By table, by column: each value in JSON, and how often it is there.
        sequences: The last value of each.
        counts: Rows of each table.
        rows: The rows of each table, by column.
    """

    catalog: frozenset[str]
    tables: dict[str, Rows]
    sequences: dict[str, str]
    counts: dict[str, int]
    rows: dict[str, list[dict[str, Any]]] = field(repr=False)

    @property
    def versions(self) -> set[str]:
        """Give what the version tables hold: tables of one column, version_num."""
        tables = [rows for rows in self.rows.values() if rows and set(rows[0]) == {"version_num"}]
        return {row["version_num"] for rows in tables for row in rows}

    @property
    def objects(self) -> int:
        """How many definitions there are."""
        return len(self.catalog)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What differs between two runs of plain Alembic already.

    Attributes:
        lines: Definitions with a name or a value of their own in each run.
        columns: Columns whose values are generated.
        sequences: Sequences that go on differently.
    """

    lines: frozenset[str] = frozenset()
    columns: frozenset[tuple[str, str]] = frozenset()
    sequences: frozenset[str] = frozenset()

    @classmethod
    def between(cls, one: Contents, other: Contents) -> Noise:
        """Find it."""
        columns = {
            (table, column)
            for table, values in one.tables.items()
            for column, found in values.items()
            if found != other.tables.get(table, {}).get(column)
        }
        names = {
            name for name, last in one.sequences.items() if other.sequences.get(name, last) != last
        }
        return cls(
            lines=one.catalog ^ other.catalog,
            columns=frozenset(columns),
            sequences=frozenset(names),
        )

    @property
    def named(self) -> list[str]:
        """List it for people."""
        return [
            *(f"column {table}.{column}" for table, column in sorted(self.columns)),
            *(f"sequence {name}" for name in sorted(self.sequences)),
            *(f"definition {line}" for line in sorted(self.lines)),
        ]


def read(url: str) -> Contents:
    """Read a database, by a libpq URL."""
    return asyncio.run(_read(url))


async def _read(url: str) -> Contents:
    connection = await asyncpg.connect(url)
    try:
        lines = [row[0] for row in await connection.fetch(CATALOG)]
        names = [row[0] for row in await connection.fetch(_TABLES)]
        rows: dict[str, list[dict[str, Any]]] = {}
        for name in names:
            found = await connection.fetch(f"SELECT to_jsonb(t)::text FROM {name} t")  # noqa: S608
            rows[name] = [json.loads(row[0]) for row in found]
        sequences = {row[0]: row[1] for row in await connection.fetch(_SEQUENCES)}
    finally:
        await connection.close()
    return Contents(
        catalog=frozenset(line for line in lines if _LEDGER not in line),
        tables={name: _by_column(found) for name, found in rows.items()},
        sequences=sequences,
        counts={name: len(found) for name, found in rows.items()},
        rows=rows,
    )


def _by_column(rows: list[dict[str, Any]]) -> Rows:
    columns: Rows = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, Counter())[json.dumps(value, sort_keys=True)] += 1
    return columns


def differences(plain: Contents, ours: Contents, noise: Noise) -> list[str]:
    """List how the node's database differs from plain Alembic's, a line each."""
    found = [f"missing: {line}" for line in sorted(plain.catalog - ours.catalog - noise.lines)]
    found += [
        f"extra: {line}" for line in sorted(ours.catalog - plain.catalog) if line not in noise.lines
    ]
    for table in sorted(plain.rows.keys() | ours.rows.keys()):
        found += _rows_differ(table, plain, ours, noise)
    for name, last in plain.sequences.items():
        other = ours.sequences.get(name, last)
        if other != last and name not in noise.sequences:
            found.append(f"sequence {name}: {last}, and here {other}")
    return found


def _rows_differ(table: str, plain: Contents, ours: Contents, noise: Noise) -> list[str]:
    one, other = plain.rows.get(table, []), ours.rows.get(table, [])
    if len(one) != len(other):
        return [f"{table} has {len(one)} rows, and here {len(other)}"]
    skipped = {column for name, column in noise.columns if name == table}
    if _bag(one, skipped) != _bag(other, skipped):
        return [f"{table} has other rows"]
    return []


def _bag(rows: list[dict[str, Any]], skipped: set[str]) -> Counter[str]:
    kept = ({k: v for k, v in row.items() if k not in skipped} for row in rows)
    return Counter(json.dumps(row, sort_keys=True) for row in kept)


def create_database(admin: str, name: str) -> None:
    """Make an empty database."""
    execute(admin, f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy')


def drop_database(admin: str, name: str) -> None:
    """Drop it, with who is still connected."""
    execute(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def execute(url: str, sql: str) -> None:
    """Run some SQL."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run())
