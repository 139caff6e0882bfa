"""What in a database hangs on an enum, and has to step aside while the type is made anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

__all__ = ["Column", "Dependants", "Part", "find"]

# Columns of tables; those that are inherited change with their parent's.
_COLUMNS = """
SELECT c.relname AS bare_table, a.attname AS bare_name, c.oid::regclass::text AS "table",
       quote_ident(a.attname) AS name, a.atttypid <> t.oid AS is_array,
       pg_get_expr(d.adbin, d.adrelid) AS preset
FROM pg_type t
JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray)
JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
WHERE t.oid = :type AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0
  AND c.relkind IN ('r', 'p')
ORDER BY c.oid::regclass::text, a.attnum
"""

# Whatever refers to the type, to arrays of it, or to a column of either. `ALTER COLUMN TYPE`
# rebuilds plain indexes and keys by itself; checks, triggers and indexes with an expression name
# values of the old type and are dropped and made again; of anything else only the name is told.
_PARTS = """
WITH fields AS (
    SELECT a.attrelid, a.attnum, a.attgenerated, c.relkind
    FROM pg_type t
    JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND a.attnum > 0
    JOIN pg_class c ON c.oid = a.attrelid
    WHERE t.oid = :type AND NOT a.attisdropped
),
referred AS (
    SELECT 'pg_type'::regclass AS classid, u.oid AS objid, 0 AS objsubid
    FROM pg_type t JOIN pg_type u ON u.oid IN (t.oid, t.typarray) WHERE t.oid = :type
    UNION ALL
    SELECT 'pg_class'::regclass, attrelid, attnum FROM fields WHERE relkind IN ('r', 'p')
),
referring AS (
    SELECT DISTINCT d.classid, d.objid, d.objsubid
    FROM pg_depend d JOIN referred r
      ON d.refclassid = r.classid AND d.refobjid = r.objid AND d.refobjsubid = r.objsubid
    EXCEPT SELECT classid, objid, objsubid FROM referred
)
SELECT CASE
         WHEN k.contype IN ('p', 'u') THEN 'plain'
         WHEN i.indexrelid IS NOT NULL AND i.indpred IS NULL AND i.indexprs IS NULL THEN 'plain'
         WHEN f.attnum IS NOT NULL AND f.attgenerated = '' THEN 'plain'
         WHEN k.contype = 'c' AND k.conrelid <> 0 AND k.coninhcount = 0 THEN 'check'
         WHEN i.indexrelid IS NOT NULL AND NOT p.relispartition AND NOT i.indisexclusion
           THEN 'index'
         WHEN t.oid IS NOT NULL AND NOT t.tgisinternal AND t.tgparentid = 0 THEN 'trigger'
         ELSE 'other'
       END AS kind,
       coalesce(k.conname, p.relname, t.tgname) AS bare_name,
       quote_ident(coalesce(k.conname, p.relname, t.tgname)) AS name,
       coalesce(nullif(k.conrelid, 0), i.indrelid, t.tgrelid)::regclass::text AS "table",
       coalesce(pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid, 0, true),
                pg_get_triggerdef(t.oid, true)) AS definition,
       t.tgenabled::text AS enabled,
       pg_describe_object(r.classid, r.objid, r.objsubid) AS label
FROM referring r
LEFT JOIN pg_constraint k ON r.classid = 'pg_constraint'::regclass AND k.oid = r.objid
LEFT JOIN pg_class p ON r.classid = 'pg_class'::regclass AND p.oid = r.objid
LEFT JOIN pg_index i ON i.indexrelid = p.oid
LEFT JOIN pg_trigger t ON r.classid = 'pg_trigger'::regclass AND t.oid = r.objid
LEFT JOIN pg_attrdef d ON r.classid = 'pg_attrdef'::regclass AND d.oid = r.objid
LEFT JOIN fields f ON f.attrelid = d.adrelid AND f.attnum = d.adnum
ORDER BY kind, label
"""
_ENABLED = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the type.

    Attributes:
        key: Table and column, as they are called.
        table: The table as SQL text.
        name: The column as SQL text.
        array: It holds arrays of the type.
        preset: Its default as SQL text, or None.
    """

    key: tuple[str, str]
    table: str
    name: str
    array: bool
    preset: str | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A check, trigger or index that has to be dropped and made again.

    Attributes:
        name: As it is called.
        drop: The statement that drops it.
        make: The statements that make it as it was.
    """

    name: str
    drop: str
    make: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Dependants:
    """Everything that hangs on a type.

    Attributes:
        columns: Columns of tables.
        parts: What can be dropped and made again.
        others: What can't, in PostgreSQL's words: views, policies, functions, ...
    """

    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    others: tuple[str, ...]


def find(connection: Connection, oid: int) -> Dependants:
    """Read what hangs on the type with this object id; names are written as search_path needs."""
    values = {"type": oid}
    columns = tuple(
        Column(
            key=(row.bare_table, row.bare_name),
            table=row.table,
            name=row.name,
            array=row.is_array,
            preset=row.preset,
        )
        for row in connection.execute(text(_COLUMNS), values)
    )
    parts, others = [], []
    for row in connection.execute(text(_PARTS), values):
        if row.kind == "other":
            others.append(row.label)
        elif row.kind != "plain":
            parts.append(_part(row))
    return Dependants(columns=columns, parts=tuple(parts), others=tuple(others))


def _part(row: Row[Any]) -> Part:
    make: tuple[str, ...]
    if row.kind == "check":
        alter = f"ALTER TABLE {row.table}"
        drop = f"{alter} DROP CONSTRAINT {row.name}"
        make = (f"{alter} ADD CONSTRAINT {row.name} {row.definition}",)
    elif row.kind == "index":
        drop, make = f"DROP INDEX {row.name}", (row.definition,)
    else:
        drop = f"DROP TRIGGER {row.name} ON {row.table}"
        state = _ENABLED.get(row.enabled)
        enable = f"ALTER TABLE {row.table} {state} TRIGGER {row.name}"
        make = (row.definition, enable) if state else (row.definition,)
    return Part(name=row.bare_name, drop=drop, make=make)
