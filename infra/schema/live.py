"""Reads a database: which revision it has."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from infra.errors import unreachable
from infra.schema.errors import DatabaseMissingError, LiveError

__all__ = ["revisions"]

_SECONDS = 10.0


def revisions(url: str) -> tuple[str, ...]:
    """Ask a database for the revisions in its alembic_version, sorted; none where it has none.

    Args:
        url: libpq URL of the migrator.

    Raises:
        DatabaseMissingError: The server has no such database.
        LiveError: No connection, or a refusal.
    """
    place = urlsplit(url)
    where = f"{place.hostname}:{place.port}"
    try:
        return asyncio.run(_revisions(url, where))
    except OSError as exc:
        msg = f"{unreachable(where, exc)} Is it running? `make up` starts it."
        raise LiveError(msg) from exc


async def _revisions(url: str, where: str) -> tuple[str, ...]:
    import asyncpg  # noqa: PLC0415 - 160 ms that a preview without a database saves

    try:
        connection = await asyncpg.connect(url, timeout=_SECONDS)
        try:
            # In the schema where Alembic would make it, not in any that the search_path has:
            # another application's table there would answer for ours.
            table = "quote_ident(current_schema()) || '.alembic_version'"
            if await connection.fetchval(f"SELECT to_regclass({table})") is None:
                return ()
            rows = await connection.fetch("SELECT version_num FROM alembic_version ORDER BY 1")
            return tuple(row["version_num"] for row in rows)
        finally:
            await connection.close(timeout=_SECONDS)
    except asyncpg.InvalidCatalogNameError as exc:
        msg = f"The server at {where}: {exc}. `pulumi up --refresh` makes it anew."
        raise DatabaseMissingError(msg) from exc
    except asyncpg.PostgresError as exc:
        msg = f"The server at {where} refused to tell the schema's revision: {exc}."
        raise LiveError(msg) from exc
