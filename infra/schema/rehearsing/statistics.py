"""How much there is in each table of the live database, without a value of anybody's row.

What is read stands in catalogs: the planner's estimate of rows, pages, and of each column the
share of nulls, the width, the number of distinct values and how the rows lie on the disk. Most
common values and histograms are left where they are: they are pieces of rows, and so people's data.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Column", "Statistics", "Table", "read", "write"]

# A table that was never analysed has -1; then what the server has counted, where it has. Of a
# partitioned table that was never analysed, the sum of its partitions. Sizes are those of the last
# VACUUM or ANALYZE: pg_relation_size would wait behind somebody's ALTER TABLE.
_TABLES = """
WITH RECURSIVE relation AS (
    SELECT c.oid, c.relkind, c.reltuples, c.relpages, c.relallvisible,
           n.nspname, c.relname,
           CASE WHEN c.relkind = 'p' AND c.reltuples <= 0 THEN NULL
                WHEN c.reltuples >= 0 THEN c.reltuples::bigint
                WHEN s.n_live_tup > 0 THEN s.n_live_tup END AS rows
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
    WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'm', 'i', 'I')
),
part AS (
    SELECT oid AS root, oid FROM relation WHERE relkind = 'p'
    UNION ALL
    SELECT part.root, h.inhrelid FROM part
    JOIN pg_catalog.pg_inherits h ON h.inhparent = part.oid
),
whole AS (
    SELECT part.root, sum(r.rows)::bigint AS rows, sum(r.relpages)::bigint AS pages
    FROM part JOIN relation r ON r.oid = part.oid AND r.relkind = 'r' GROUP BY part.root
)
SELECT r.nspname::text AS schema, r.relname::text AS name, r.relkind::text AS kind,
       quote_ident(r.nspname) || '.' || quote_ident(r.relname) AS label,
       coalesce(r.rows, w.rows) AS rows, r.reltuples AS tuples, r.relpages AS pages,
       r.relallvisible AS visible,
       CASE WHEN coalesce(r.rows, w.rows) IS NOT NULL THEN
           coalesce(w.pages, r.relpages) * current_setting('block_size')::bigint END AS bytes
FROM relation r LEFT JOIN whole w ON w.root = r.oid
ORDER BY 1, 2
"""

# pg_stats shows each role what it may read, and is asked for these columns alone.
_COLUMNS = """
SELECT schemaname::text AS schema, tablename::text AS table, attname::text AS name, inherited,
       null_frac AS nulls, avg_width AS width, n_distinct AS distinct, correlation
FROM pg_catalog.pg_stats WHERE schemaname = ANY ($1::text[])
ORDER BY 1, 2, 3, 4
"""

_WRITE_TABLES = """
UPDATE pg_catalog.pg_class c
SET reltuples = x.tuples, relpages = x.pages, relallvisible = x.visible
FROM pg_catalog.json_to_recordset($1::json)
         AS x (schema text, name text, kind text, tuples real, pages int, visible int),
     pg_catalog.pg_namespace n
WHERE n.nspname = x.schema AND c.relnamespace = n.oid AND c.relname = x.name
  AND c.relkind::text = x.kind
"""

_CLEAR_COLUMNS = """
DELETE FROM pg_catalog.pg_statistic s
USING pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = s.starelid AND n.nspname = ANY ($1::text[])
"""

# How the rows lie is a slot of kind 3, ordered by the type's own <; the slots of values are empty.
_WRITE_COLUMNS = """
INSERT INTO pg_catalog.pg_statistic (
    starelid, staattnum, stainherit, stanullfrac, stawidth, stadistinct,
    stakind1, stakind2, stakind3, stakind4, stakind5, staop1, staop2, staop3, staop4, staop5,
    stacoll1, stacoll2, stacoll3, stacoll4, stacoll5, stanumbers1)
SELECT c.oid, a.attnum, x.inherited, x.nulls, x.width, x.distinct,
       CASE WHEN o.less IS NULL THEN 0 ELSE 3 END, 0, 0, 0, 0, coalesce(o.less, 0), 0, 0, 0, 0,
       CASE WHEN o.less IS NULL THEN 0 ELSE a.attcollation END, 0, 0, 0, 0,
       CASE WHEN o.less IS NOT NULL THEN ARRAY[x.correlation] END
FROM pg_catalog.json_to_recordset($1::json)
         AS x (schema text, "table" text, name text, inherited boolean, nulls real, width int,
               "distinct" real, correlation real)
JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = x.table
     AND c.relkind IN ('r', 'p', 'm', 'i')
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = x.name AND a.attnum > 0
     AND NOT a.attisdropped
LEFT JOIN LATERAL (
    SELECT p.amopopr AS less
    FROM pg_catalog.pg_opclass k
    JOIN pg_catalog.pg_am m ON m.oid = k.opcmethod AND m.amname = 'btree'
    JOIN pg_catalog.pg_amop p ON p.amopfamily = k.opcfamily AND p.amoplefttype = k.opcintype
         AND p.amoprighttype = k.opcintype AND p.amopstrategy = 1
    WHERE k.opcdefault AND x.correlation IS NOT NULL AND k.opcintype = CASE a.atttypid
        WHEN 'varchar'::pg_catalog.regtype THEN 'text'::pg_catalog.regtype ELSE a.atttypid END
    LIMIT 1) o ON true
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, a materialized view or an index.

    Attributes:
        schema: Bare name of its schema.
        name: Its bare name.
        kind: As pg_class has it: r, p, m, i or I.
        label: Both names as SQL writes them.
        rows: The planner's estimate; None where nobody knows.
        tuples: The estimate as pg_class has it, -1 for unknown.
        pages: Blocks.
        visible: Blocks that VACUUM found to be visible to all.
        bytes: Size of its own file; None where nobody knows.
    """

    schema: str
    name: str
    kind: str
    label: str
    rows: int | None
    tuples: float
    pages: int
    visible: int
    bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """What ANALYZE found of a column.

    Attributes:
        schema: Bare name of its table's schema.
        table: Bare name of its table.
        name: Its bare name.
        inherited: Whether the rows of children count too.
        nulls: Share of nulls, 0 to 1.
        width: Bytes of a value, on average.
        distinct: Number of distinct values; below 0, the share of the rows that it is.
        correlation: Between the order of values and that of rows, -1 to 1; None for unknown.
    """

    schema: str
    table: str
    name: str
    inherited: bool
    nulls: float
    width: int
    distinct: float
    correlation: float | None


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """All of it.

    Attributes:
        tables: Tables, materialized views and indexes.
        columns: Columns that were analysed, and that the role may read.
    """

    tables: tuple[Table, ...] = ()
    columns: tuple[Column, ...] = ()

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table by its label, where they are known."""
        return {t.label: t.rows for t in self.tables if t.rows is not None and t.kind not in "iI"}

    @property
    def bytes(self) -> dict[str, int]:
        """Size of each table by its label, where it is known."""
        return {t.label: t.bytes for t in self.tables if t.bytes is not None and t.kind not in "iI"}


async def read(connection: Any, schemas: Sequence[str]) -> Statistics:
    """Read what the catalogs of the live server say; locks no table, and reads none.

    Args:
        connection: A connection of asyncpg.
        schemas: Bare names of those to look at.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused.
    """
    tables = await connection.fetch(_TABLES, list(schemas))
    columns = await connection.fetch(_COLUMNS, list(schemas))
    return Statistics(
        tables=tuple(Table(**row) for row in tables),
        columns=tuple(Column(**row) for row in columns),
    )


async def write(connection: Any, found: Statistics) -> None:
    """Have the planner of the throwaway server think what the live one's thinks.

    ANALYZE, VACUUM and CREATE INDEX write anew what they find. So would autovacuum: it must be off.

    Args:
        connection: A superuser's, on the database that was remade.
        found: What was read; what was not remade is passed over.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused.
    """
    await connection.execute(_CLEAR_COLUMNS, sorted({table.schema for table in found.tables}))
    await connection.execute(_WRITE_TABLES, json.dumps([asdict(each) for each in found.tables]))
    await connection.execute(_WRITE_COLUMNS, json.dumps([asdict(each) for each in found.columns]))
