"""What relations a database has, and which of them a step has written anew, emptied or built."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from infra.schema import ledger
from infra.schema.review import Built, Rewritten
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["Relation", "Relations", "built", "called", "emptied", "read", "replaced", "rewritten"]

# A table without storage of its own (a view, a partitioned one) has no file that could change.
_QUERY = """
SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind,
       coalesce(pg_relation_filenode(c.oid), 0)::int8 AS file,
       coalesce(i.indrelid, 0)::int8 AS on,
       ARRAY(SELECT f.confrelid::int8 FROM pg_catalog.pg_constraint f
             WHERE f.conrelid = c.oid AND f.contype = 'f'
             UNION SELECT h.inhparent::int8 FROM pg_catalog.pg_inherits h
             WHERE h.inhrelid = c.oid) AS above,
       CASE WHEN c.relkind = 'i' THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS bytes
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', $1::text)
    AND c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f', 'i', 'I')
    AND coalesce(i.indrelid, c.oid) IS DISTINCT FROM to_regclass($2::text)::oid
"""
_INDEXES = ("i", "I")
_TABLES = ("r", "m")


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """A table, view, sequence or index.

    Attributes:
        oid: PostgreSQL's number.
        name: Schema and name, as SQL writes them.
        kind: As in pg_class.relkind.
        file: Number of the file that it is in; 0 where there is none.
        on: The table of an index; else 0.
        above: Tables that it refers to, or is a partition or a child of.
        bytes: Size of an index.
    """

    oid: int
    name: str
    kind: str
    file: int
    on: int
    above: list[int]
    bytes: int

    @property
    def index(self) -> bool:
        """Whether it is an index."""
        return self.kind in _INDEXES


Relations = dict[int, Relation]


async def read(connection: Any, *, version_table: str) -> Relations:
    """Read all relations of a project, by oid; the ledger and the version table are not its own.

    Args:
        connection: Of asyncpg, of a superuser.
        version_table: Its name, as SQL writes it.
    """
    rows = await connection.fetch(_QUERY, ledger.SCHEMA, version_table)
    return {row["oid"]: Relation(**dict(row)) for row in rows}


@lru_cache(maxsize=2**16)
def _key(name: str) -> tuple[str, ...]:
    """Give the parts of a name, the same for all spellings of it."""
    found = Sentence(name).name()
    return found.key if found else (name,)


def called(name: str, relations: Relations, home: str) -> Relation | None:
    """Find the relation that a statement means.

    Args:
        name: As the statement writes it, with or without its schema.
        relations: Those to choose from.
        home: The schema that a bare name means where several have it.
    """
    key = _key(name)
    alike = [each for each in relations.values() if _key(each.name)[-len(key) :] == key]
    return next((each for each in alike if _key(each.name)[0] == home), next(iter(alike), None))


def emptied(
    tables: Collection[Relation],
    before: Relations,
    after: Relations,
    names: Iterable[str],
    home: str,
) -> set[str]:
    """Tell which tables were truncated: that gives a new file as well as writing anew does.

    Partitions go with their parents. What refers to a table that is truncated is truncated with
    it, or PostgreSQL refuses.

    Args:
        tables: Those with another file.
        before: All relations before.
        after: All of them afterwards, where one may have another name.
        names: What the statements empty, as they write it.
        home: See `called`.
    """
    found = {
        relation.oid
        for name in names
        for relation in (called(name, before, home), called(name, after, home))
        if relation is not None
    }
    size = -1
    while size != len(found):
        size = len(found)
        found |= {table.oid for table in tables if not found.isdisjoint(table.above)}
    return {table.name for table in tables if table.oid in found}


def replaced(before: Relations, after: Relations) -> Iterator[Relation]:
    """Give the tables of before whose file is another one now."""
    for oid, old in before.items():
        new = after.get(oid)
        if new is not None and old.kind in _TABLES and old.file != new.file:
            yield old


def rewritten(
    tables: Collection[Relation],
    emptied: Collection[str],
    rows: Mapping[str, int],
    sizes: Mapping[str, int],
) -> tuple[Rewritten, ...]:
    """Say which tables were written anew, with what the real ones hold.

    Args:
        tables: Those with another file.
        emptied: Names of those that were truncated, which also gives a new file.
        rows: Rows of the real ones by name.
        sizes: Bytes of the real ones by name.
    """
    return tuple(
        Rewritten(relation=table.name, rows=rows.get(table.name), bytes=sizes.get(table.name))
        for table in sorted(tables, key=lambda table: table.name)
        if table.name not in emptied
    )


def built(before: Relations, after: Relations) -> tuple[Built, ...]:
    """Say which indexes were built, or built anew."""
    found = []
    for oid, index in after.items():
        old = before.get(oid)
        if index.kind != "i" or (old is not None and old.file == index.file):
            continue
        table = after[index.on].name if index.on in after else ""
        fresh = index.on not in before
        found.append(Built(index=index.name, relation=table, fresh=fresh, bytes=index.bytes))
    return tuple(sorted(found, key=lambda index: (index.fresh, index.relation, index.index)))
