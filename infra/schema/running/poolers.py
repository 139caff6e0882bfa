"""Finds out whether a pooler stands before the server, and whether it keeps sessions.

A run holds its lock in a session. A pooler in session mode gives each connection a session of the
server for as long as it lasts; one in transaction or statement mode gives another one each time,
and the lock, like any setting, would stay with the next client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from infra.schema.errors import LiveError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["PoolerError", "find_pid", "require_sessions"]

_MARK = "groundwork: process "
# By the simple protocol, in one round trip: it prepares nothing, which another session of the
# server would not know. An INFO comes whatever client_min_messages is.
_ASK = f"DO 'BEGIN RAISE INFO ''{_MARK}%'', pg_catalog.pg_backend_pid(); END'"
_SECONDS = 3.0  # for a second session, where a pool may have none left
_ROUNDS = 3  # of a pool of two that takes turns, the second is known at the second round


class PoolerError(LiveError):
    """The URL leads to a pooler that does not keep sessions."""


async def find_pid(connection: Any) -> int:
    """Ask for the server process of a connection, which only the server itself knows.

    Args:
        connection: Of asyncpg, outside of a transaction or in one.

    Raises:
        asyncpg.PostgresError: The server refused.
    """
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    heard: list[int] = []

    def hear(_connection: Any, message: Any) -> None:
        if message.message.startswith(_MARK):
            heard.append(int(message.message.removeprefix(_MARK)))

    connection.add_log_listener(hear)
    try:
        await connection.execute(_ASK)
        await asyncio.sleep(0)  # listeners are called by the loop
    except asyncpg.PostgresError:
        if connection.is_closed():
            raise
        return await _fetch_pid(connection)  # no PL/pgSQL for this role, or no PostgreSQL
    finally:
        if not connection.is_closed():
            connection.remove_log_listener(hear)
    return heard[0] if heard else await _fetch_pid(connection)


async def _fetch_pid(connection: Any) -> int:
    """Ask inside of a transaction, where a pooler has to keep to one session."""
    async with connection.transaction():
        return int(await connection.fetchval("SELECT pg_catalog.pg_backend_pid()"))


async def require_sessions(
    connection: Any, pid: int, connect: Callable[[], Awaitable[Any]], place: str
) -> None:
    """Refuse a pooler that hands a session of the server to others between transactions.

    Where a second session comes, it opens transactions: a pooler that does not keep sessions gives
    it the one that the first connection has just used, or a different one each time.

    Args:
        connection: Of asyncpg, outside of a transaction.
        pid: What `find_pid` gave for it.
        connect: Opens another connection to the same place.
        place: For the message.

    Raises:
        PoolerError: It does.
    """
    if pid == connection.get_server_pid():
        return  # the server's own word at the login: nothing stands in between
    if await find_pid(connection) != pid or not await _keeps(connection, pid, connect):
        raise PoolerError(
            f"The URL of {place} leads to a pooler in transaction mode, where the lock of a run"
            " can't be held: use the server's own port, or session mode. Nothing was changed."
        )


async def _keeps(connection: Any, pid: int, connect: Callable[[], Awaitable[Any]]) -> bool:
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    try:
        second = await connect()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return True  # no room for a second one: nothing speaks against the first
    try:
        others = set()
        for _ in range(_ROUNDS):
            async with asyncio.timeout(_SECONDS):
                await second.execute("BEGIN")
                others.add(await find_pid(second))
            if pid in others or len(others) > 1:
                return False
            async with asyncio.timeout(_SECONDS):
                if await find_pid(connection) != pid:
                    return False
                await second.execute("ROLLBACK")
    except TimeoutError:
        return True  # a pool whose sessions are all taken, and kept
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        # Statement mode knows no transactions.
        return "statement" not in str(exc)
    finally:
        second.terminate()
    return True
