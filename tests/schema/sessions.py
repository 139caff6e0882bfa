"""Another session, with a transaction that stays open."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.migrations.place import Place

__all__ = ["session"]


@contextmanager
def session(place: Place, *statements: str, name: str = "shop") -> Iterator[int]:
    """Hold a transaction open in another session; gives its process."""
    loop = asyncio.new_event_loop()
    connection: Any = loop.run_until_complete(
        asyncpg.connect(
            host=place.host,
            port=place.port,
            user=place.user,
            password=place.password,
            database=place.database,
            ssl=False,
            server_settings={"application_name": name},
        )
    )
    try:
        for statement in ("BEGIN", *statements):
            loop.run_until_complete(connection.execute(statement))
        yield connection.get_server_pid()
    finally:
        loop.run_until_complete(connection.close())
        loop.close()
