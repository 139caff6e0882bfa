"""Looks at a server's locks again and again, for statements that can't be stopped between."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Sampler", "lost"]

_QUERY = """
SELECT relation::int8 AS oid, mode
FROM pg_catalog.pg_locks
WHERE locktype = 'relation' AND granted AND pid <> ALL ($2::int4[])
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND relation BETWEEN 16384 AND $1
"""

Key = tuple[int, str]


def lost() -> tuple[type[Exception], ...]:
    """Give what asyncpg raises where a connection went."""
    import asyncpg  # noqa: PLC0415 - whoever has a connection has loaded it

    return (
        OSError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        asyncpg.PostgresConnectionError,
        asyncpg.AdminShutdownError,
    )


class Sampler:
    """Polls as fast as the server answers, while it is on.

    The server is there for the rehearsal alone, so that every lock on it is the rehearsal's.

    Attributes:
        connection: Of asyncpg; it does nothing else.
    """

    def __init__(self, connection: Any, *others: Any) -> None:
        """Take over a connection of asyncpg; what `others` lock is not of interest."""
        self.connection = connection
        self._pids = [each.get_server_pid() for each in (connection, *others)]
        self._task: asyncio.Task[None] | None = None
        self._on = False
        self._awaited: dict[int, asyncio.Event] = {}
        self._seen: dict[Key, list[tuple[float, float]]] = {}

    async def ready(self) -> None:
        """Look once without a need: the first look takes longer than many a statement."""
        await self.connection.fetch(_QUERY, 0, self._pids)

    def start(self, newest: int, *, pause: float = 0.0) -> None:
        """Begin to look.

        Args:
            newest: The largest oid to look at; what came later nobody else knows.
            pause: Seconds between two looks.
        """
        self._seen, self._on = {}, True
        self._task = asyncio.create_task(self._poll(newest, pause))

    async def sees(self, oid: int, *, seconds: float) -> None:
        """Wait until somebody has locked a relation, but not for ever."""
        event = self._awaited.setdefault(oid, asyncio.Event())
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    async def stop(self) -> None:
        """End it, once the look that is under way has its answer."""
        self._on = False  # not cancelled: that would cost the connection
        task, self._task = self._task, None
        if task is not None:
            await task

    def within(self, begun: float, ended: float) -> Iterator[tuple[Key, float, float]]:
        """Give the locks seen between two times: from the first look to the first without it."""
        for key, spans in self._seen.items():
            for first, last in spans:
                if first <= ended and last >= begun:
                    yield key, max(first, begun), last

    async def _poll(self, newest: int, pause: float) -> None:
        before: set[Key] = set()
        while self._on:
            try:
                rows = await self.connection.fetch(_QUERY, newest, self._pids)
            except lost():  # a revision has ended this session: nobody looks on then
                return
            now, keys = time.monotonic(), {(row["oid"], row["mode"]) for row in rows}
            for key in keys:
                spans = self._seen.setdefault(key, [])
                if key in before:
                    spans[-1] = (spans[-1][0], now)
                else:
                    spans.append((now, now))
            for key in before - keys:
                self._seen[key][-1] = (self._seen[key][-1][0], now)
            for oid in self._awaited.keys() & {oid for oid, _ in keys}:
                self._awaited.pop(oid).set()
            before = keys
            await asyncio.sleep(pause)
