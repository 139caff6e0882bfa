"""Fills materialized views where the live ones are: else nobody could read or refresh them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema.rehearsing.surroundings import said

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fill", "read"]

# By age: one that is made of others is younger than they are.
_FILLED = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated AND n.nspname = ANY ($1::text[])
ORDER BY c.oid
"""
_SECONDS = 30  # of one view: its tables are empty, or have made-up rows


async def read(connection: Any, schemas: Sequence[str]) -> tuple[str, ...]:
    """Name those that have their rows, in an order in which they can be filled.

    Args:
        connection: Of asyncpg, on the live server.
        schemas: Bare names of those to look into.
    """
    return tuple(row[0] for row in await connection.fetch(_FILLED, list(schemas)))


async def fill(connection: Any, names: Sequence[str]) -> list[str]:
    """Fill them on the throwaway server; gives those that could not be, a line each.

    Args:
        connection: A superuser's.
        names: As SQL writes them.
    """
    import asyncpg  # noqa: PLC0415 - whoever has a connection has loaded it

    await connection.execute(f"SET statement_timeout = '{_SECONDS}s'")
    notes = []
    for name in names:
        try:
            await connection.execute(f"REFRESH MATERIALIZED VIEW {name}")
        except asyncpg.PostgresError as exc:
            notes.append(f"not remade: rows of materialized view {name}: {said(exc)}")
    await connection.execute("RESET statement_timeout")
    return notes
