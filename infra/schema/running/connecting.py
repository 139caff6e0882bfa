"""Connections that apply a plan: one that works, and one that holds the lock."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

from infra.schema import dsn, unreached
from infra.schema.errors import LockedError
from infra.schema.running import failures

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lock", "application", "connect", "hang_up", "lock_key"]

_SECONDS = 10.0
_POLL = 0.25
_NAME_BYTES = 58  # of 63, so that " lock" has room
_CLASS = 0x67726F75  # "grou": the first of the lock's two numbers

_SETTINGS = {
    # Literals are written by the standard's rule.
    "standard_conforming_strings": "on",
}
_WATCH = {
    # A server that still works for a client that is gone lets go of the locks within seconds.
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Everything is sent in one go, so that a transaction that waits for its client has lost it.
    "idle_in_transaction_session_timeout": "60s",
    # The lock's connection is idle by design.
    "idle_session_timeout": "0",
}
# What a pooler, an old server or another system refuses of these comes before authentication.
_UNKNOWN = frozenset({"08P01", "22023", "42704"})

_HOLDER = """
SELECT pid, usename AS role, application_name AS application, host(client_addr) AS address,
       to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since
FROM pg_catalog.pg_locks JOIN pg_catalog.pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 2
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND classid = ($1::bigint & 4294967295)::oid AND objid = ($2::bigint & 4294967295)::oid
"""


def application(stack: str, run: str) -> str:
    """Name a connection so that others see who it is: groundwork, stack, run."""
    name = f"groundwork {stack} {run[:8]}" if stack else f"groundwork {run[:8]}"
    # The server takes ASCII alone here.
    return name.encode("ascii", "replace").decode()[:_NAME_BYTES]


def lock_key(key: str) -> tuple[int, int]:
    """Give the two numbers of the advisory lock of a version table.

    Args:
        key: The version table, as the ledger knows it.

    Returns:
        The class 0x67726f75, and the first four bytes of the key's sha256; both signed.
    """
    digest = hashlib.sha256(key.encode()).digest()
    return _CLASS, int.from_bytes(digest[:4], "big", signed=True)


async def connect(url: str, name: str) -> Any:
    """Open one connection of asyncpg.

    Args:
        url: libpq URL.
        name: For application_name.

    Raises:
        LiveError: Nobody answers, or the server refuses.
        DatabaseMissingError: It has no such database.
    """
    import asyncpg  # noqa: PLC0415 - 160 ms that a run at head saves

    # Nothing is kept prepared: a revision may DEALLOCATE or DISCARD it.
    arguments = {"timeout": _SECONDS, "statement_cache_size": 0, **dsn.arguments(url)}
    settings = {**_SETTINGS, "application_name": name}
    try:
        try:
            return await asyncpg.connect(**arguments, server_settings={**settings, **_WATCH})
        except asyncpg.PostgresError as exc:
            if exc.sqlstate not in _UNKNOWN:
                raise
            return await asyncpg.connect(**arguments, server_settings=settings)
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as exc:
        raise unreached.worded(exc, url) from exc


class Lock:
    """The advisory lock that lets one run at a time work on a version table.

    It lives in a session of its own that runs nothing else: polled and never waited for, it is no
    transaction that CREATE INDEX CONCURRENTLY would have to wait for.
    """

    def __init__(self, connection: Any, key: str) -> None:
        """Take over a connection; nothing is locked yet."""
        self._connection = connection
        self._key = key
        self._taken = False

    @property
    def held(self) -> bool:
        """Whether it was taken, and its session is still there as far as this side knows."""
        return self._taken and not self._connection.is_closed()

    @property
    def pid(self) -> int:
        """The server process that holds it."""
        return int(self._connection.get_server_pid())

    async def acquire(
        self, *, seconds: float, place: str, kept: str, waiting: Callable[[str], None]
    ) -> None:
        """Take the lock, or say who has it.

        Args:
            seconds: How long to wait for it.
            place: Where, for the message.
            kept: What was changed so far, for the message.
            waiting: Told who holds it, once for each holder.

        Raises:
            LockedError: Somebody else held it all the time.
        """
        numbers = lock_key(self._key)
        deadline = time.monotonic() + seconds
        told = ""
        while not await self._connection.fetchval(
            "SELECT pg_catalog.pg_try_advisory_lock($1::int, $2::int)", *numbers
        ):
            holder = await self._holder(numbers) or told
            if holder and holder != told:
                told = holder
                waiting(holder)
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"Another run works on {place}: {told or 'it has just ended'}. Waited"
                    f" {seconds:g} s for it. {kept} Run again when it has ended."
                )
            await asyncio.sleep(_POLL)
        self._taken = True

    async def _holder(self, numbers: tuple[int, int]) -> str:
        """Word who holds it; empty where nobody does any more."""
        row = await self._connection.fetchrow(_HOLDER, *numbers)
        if row is None:
            return ""
        # Of another role's session little is shown to one without pg_read_all_stats.
        address = f" from {row['address']}" if row["address"] else ""
        since = f", since {row['since']}" if row["since"] else ""
        return f"process {row['pid']} of {row['role']}, {row['application']!r}{address}{since}"

    async def close(self) -> None:
        """End the session, and the lock with it."""
        await hang_up(self._connection)


async def hang_up(connection: Any) -> None:
    """Close a connection, however it is."""
    try:
        await connection.close(timeout=_SECONDS)
    except Exception as exc:
        if not failures.dropped(exc):
            raise
