"""Finds the version table, or the tables, of a history in another schema than the stack's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema import live, refusals
from infra.schema.running.versions import VersionTable
from infra.schema.statements import making

if TYPE_CHECKING:
    from infra.schema.model import History, Live

__all__ = ["refuse"]

# Below this part of a history's tables, those of their names are another application's.
_SHARE = 0.5
_WHERE = """
SELECT n.nspname::text AS schema, c.relname::text AS name,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relname = ANY ($1::text[])
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""


def refuse(history: History, there: Live, url: str, *, schema: str) -> None:
    """Refuse a database that has the history's tables, and not where they would be made.

    Asks only where the stack's schema has neither the version table nor any of the tables: else a
    second set of them would be made there, empty, beside the one in use.

    Args:
        history: The files.
        there: The database.
        url: As for `live.read`.
        schema: The stack's schema.

    Raises:
        MisplacedError: With the key to set.
        LiveError: As for `live.read`.
    """
    if there.versioned:
        return
    scripts = (text for revision in history.revisions for text in revision.upgrade.statements)
    tables = making.tables(scripts) | {name for name in history.models if "." not in name}
    homes = {schema, there.schema}
    other = live.ask(history, url, lambda connection: _look(connection, history, tables, homes))
    if other:
        raise refusals.misplaced(history, there, wanted=schema, found=other)


async def _look(connection: Any, history: History, tables: frozenset[str], homes: set[str]) -> str:
    """Give the schema that has what the stack's lacks; empty where none has."""
    # Where env.py says the schema of the version table, it is not what the stack's schema decides.
    versions = [] if history.version_schema else [history.version_table]
    names = [*versions, *sorted(tables)]
    found: dict[str, dict[str, bool]] = {}
    for row in await connection.fetch(_WHERE, names):
        found.setdefault(row["schema"], {})[row["name"]] = row["readable"]
    if homes & found.keys():
        return ""
    for other, relations in found.items():
        if relations.get(history.version_table):
            table = VersionTable(schema=other, table=history.version_table)
            if set(await _heads(connection, table)) & set(history.by_id):
                return other
        shared = tables & relations.keys()
        if shared and len(shared) >= _SHARE * len(tables):
            return other
    return ""


async def _heads(connection: Any, table: VersionTable) -> list[str]:
    """Read a version table, which may be another program's of the same name."""
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    await connection.execute("SAVEPOINT heads")
    try:
        return list(await connection.fetchval(table.rows) or ())
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK TO SAVEPOINT heads")
        return []
