"""What the catalogs of the live database say of the tables that a plan makes demands of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.schema.data_checks import reading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from infra.schema.linting.trees import Name

__all__ = ["Column", "Stored", "Table", "domain_columns", "read"]

# Rows by the planner's estimate; of a table that was never analysed what the server has counted.
# Of a tree of partitions or inheriting tables, those of all of them.
_TABLES = """
WITH RECURSIVE wanted AS (
    SELECT c.oid, c.relname, n.nspname, c.relkind
    FROM unnest($1::text[], $2::text[]) AS w (schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
         AND c.relkind IN ('r', 'p', 'm', 'f')
),
tree AS (
    SELECT oid AS root, oid FROM wanted
    UNION
    SELECT tree.root, h.inhrelid FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.oid
),
counted AS (
    SELECT t.root, sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint
                            ELSE nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0) END) AS rows
    FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p' GROUP BY t.root
)
SELECT w.nspname::text AS schema, w.relname::text AS name, w.relkind::text AS kind,
       w.oid::bigint AS oid, k.rows::bigint AS rows,
       pg_catalog.pg_get_partkeydef(w.oid) AS key,
       (SELECT pg_catalog.json_object_agg(a.attname, pg_catalog.json_build_object(
                   'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                   'filled', a.attnotnull, 'nulls', s.null_frac, 'distinct', s.n_distinct))::text
        FROM pg_catalog.pg_attribute a
        LEFT JOIN LATERAL (
            SELECT null_frac, n_distinct FROM pg_catalog.pg_stats
            WHERE schemaname = w.nspname AND tablename = w.relname AND attname = a.attname
            ORDER BY inherited DESC LIMIT 1) s ON true
        WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY p.place)
        FROM pg_catalog.pg_constraint x, unnest(x.conkey) WITH ORDINALITY AS p (number, place),
             pg_catalog.pg_attribute a
        WHERE x.conrelid = w.oid AND x.contype = 'p' AND a.attrelid = w.oid
          AND a.attnum = p.number) AS primary,
       (SELECT pg_catalog.json_object_agg(x.conname, pg_catalog.json_build_object(
                   'text', pg_catalog.pg_get_constraintdef(x.oid), 'valid', x.convalidated,
                   'parent', CASE WHEN x.contype = 'f' THEN
                       pg_catalog.json_build_array(pn.nspname, pc.relname) END))::text
        FROM pg_catalog.pg_constraint x
        LEFT JOIN pg_catalog.pg_class pc ON pc.oid = x.confrelid
        LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE x.conrelid = w.oid AND x.contype IN ('c', 'f')) AS constraints,
       (SELECT pg_catalog.json_object_agg(i.relname, pg_catalog.pg_get_indexdef(i.oid))::text
        FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = w.oid AND x.indisunique AND x.indisvalid) AS uniques,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(pn.nspname, pc.relname))::text
        FROM pg_catalog.pg_constraint x
        JOIN pg_catalog.pg_class pc ON pc.oid = x.confrelid
        JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE x.conrelid = w.oid AND x.contype = 'f'
          AND (x.confdeltype IN ('c', 'n', 'd') OR x.confupdtype IN ('c', 'n', 'd'))) AS cascades,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(kn.nspname, kc.relname))::text
        FROM (SELECT t.oid FROM tree t WHERE t.root = w.oid
              UNION SELECT h.inhparent FROM pg_catalog.pg_inherits h WHERE h.inhrelid = w.oid) k
        JOIN pg_catalog.pg_class kc ON kc.oid = k.oid
        JOIN pg_catalog.pg_namespace kn ON kn.oid = kc.relnamespace) AS kin,
       (SELECT pg_catalog.json_build_array(dn.nspname, dc.relname)::text
        FROM pg_catalog.pg_partitioned_table t
        JOIN pg_catalog.pg_class dc ON dc.oid = t.partdefid
        JOIN pg_catalog.pg_namespace dn ON dn.oid = dc.relnamespace
        WHERE t.partrelid = w.oid) AS rest
FROM wanted w LEFT JOIN counted k ON k.root = w.oid
"""

_DOMAINS = """
WITH RECURSIVE domain AS (
    SELECT t.oid AS root, t.oid, n.nspname, t.typname
    FROM unnest($1::text[], $2::text[]) AS w (schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = w.name AND t.typtype = 'd'
    UNION
    SELECT d.root, t.oid, d.nspname, d.typname FROM domain d
    JOIN pg_catalog.pg_type t ON t.typbasetype = d.oid AND t.typtype = 'd'
)
SELECT d.nspname::text AS domain_schema, d.typname::text AS domain, n.nspname::text AS schema,
       c.relname::text AS name, a.attname::text AS column,
       (SELECT pg_catalog.json_object_agg(x.conname, pg_catalog.pg_get_constraintdef(x.oid))::text
        FROM pg_catalog.pg_constraint x
        WHERE x.contypid = d.root AND NOT x.convalidated) AS constraints
FROM domain d
JOIN pg_catalog.pg_attribute a ON a.atttypid = d.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 3, 4, 5
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a live table.

    Attributes:
        type: As SQL writes it.
        filled: Whether it is NOT NULL.
        nulls: Share of NULLs at the last ANALYZE, 0 to 1; None where there was none.
        distinct: Number of distinct values then; below 0, the share of the rows that it is.
    """

    type: str
    filled: bool
    nulls: float | None
    distinct: float | None


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A check or foreign key of a live table.

    Attributes:
        text: As PostgreSQL writes it.
        valid: Whether all rows are known to satisfy it.
        parent: The table that a foreign key refers to.
    """

    text: str
    valid: bool
    parent: Name | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table or materialized view of the live database.

    Attributes:
        kind: As pg_class has it: r, p, m or f.
        oid: Its number.
        rows: By the planner's estimate; None where nothing was counted yet.
        columns: By name.
        primary: The columns of its primary key.
        keys: The expressions of its partition key.
        constraints: Checks and foreign keys by name.
        uniques: Its unique indexes by name, as PostgreSQL writes them.
        cascades: The tables that it refers to, whose deletes and updates reach its rows.
        kin: Itself, the tables that inherit from it, and those that it inherits from.
        rest: Its default partition.
    """

    kind: str
    oid: int
    rows: int | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    primary: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    constraints: Mapping[str, Stored] = field(default_factory=dict)
    uniques: Mapping[str, str] = field(default_factory=dict)
    cascades: frozenset[Name] = frozenset()
    kin: frozenset[Name] = frozenset()
    rest: Name | None = None


async def read(connection: Any, names: Collection[Name]) -> dict[Name, Table]:
    """Read what the catalogs say of tables; those that are not there are left out.

    Args:
        connection: Of asyncpg.
        names: Schema and name of each.
    """
    schemas, tables = [name[0] for name in names], [name[1] for name in names]
    rows = await connection.fetch(_TABLES, schemas, tables)
    return {(row["schema"], row["name"]): _table(row) for row in rows}


def _table(row: Any) -> Table:
    columns = json.loads(row["columns"] or "{}")
    constraints = json.loads(row["constraints"] or "{}")
    rest = json.loads(row["rest"] or "null")
    return Table(
        kind=row["kind"],
        oid=row["oid"],
        rows=row["rows"],
        columns={name: Column(**each) for name, each in columns.items()},
        primary=tuple(row["primary"] or ()),
        keys=reading.partition_keys(row["key"]) if row["key"] else (),
        constraints={
            name: Stored(
                text=each["text"],
                valid=each["valid"],
                parent=(each["parent"][0], each["parent"][1]) if each["parent"] else None,
            )
            for name, each in constraints.items()
        },
        uniques=json.loads(row["uniques"] or "{}"),
        cascades=frozenset((each[0], each[1]) for each in json.loads(row["cascades"] or "[]")),
        kin=frozenset((each[0], each[1]) for each in json.loads(row["kin"] or "[]")),
        rest=(rest[0], rest[1]) if rest else None,
    )


async def domain_columns(
    connection: Any, names: Collection[Name]
) -> dict[Name, list[tuple[Name, str, Mapping[str, str]]]]:
    """List the columns of domains, those of domains over them too, and what is not validated.

    Args:
        connection: Of asyncpg.
        names: Schema and name of each domain.
    """
    if not names:
        return {}
    rows = await connection.fetch(_DOMAINS, [n[0] for n in names], [n[1] for n in names])
    found: dict[Name, list[tuple[Name, str, Mapping[str, str]]]] = {}
    for row in rows:
        texts = json.loads(row["constraints"] or "{}")
        at = (row["schema"], row["name"])
        found.setdefault((row["domain_schema"], row["domain"]), []).append(
            (at, row["column"], texts)
        )
    return found
