"""Holds up a statement that runs beside others until it was looked at: it may be very quick."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from infra.schema.rehearsing.sampler import lost

if TYPE_CHECKING:
    from infra.schema.rehearsing.relations import Relation
    from infra.schema.rehearsing.sampler import Sampler

__all__ = ["Gate"]

_SECONDS = 5.0  # nothing waits for longer, whatever it is waiting for


class Gate:
    """A lock of a writer on a table.

    CREATE INDEX, DROP INDEX, REINDEX and DETACH PARTITION wait with CONCURRENTLY until every
    writer that was there before them is gone, and hold their own locks meanwhile. So this writer
    goes when these locks were seen.
    """

    def __init__(self, connection: Any, sampler: Sampler) -> None:
        """Take over a connection of asyncpg for the lock."""
        self._connection = connection
        self._sampler = sampler
        self._task: asyncio.Task[None] | None = None

    async def close(self, table: Relation) -> None:
        """Lock a table, and let go of it as soon as somebody else is seen to have locked it."""
        await self._connection.execute(f"BEGIN; LOCK TABLE {table.name} IN ROW EXCLUSIVE MODE")
        self._task = asyncio.create_task(self._wait(table.oid))

    async def open(self) -> None:
        """Let go at once, where that has not happened."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._let_go()

    async def _wait(self, oid: int) -> None:
        await self._sampler.sees(oid, seconds=_SECONDS)
        await self._let_go()

    async def _let_go(self) -> None:
        with suppress(*lost()):  # its lock went with it
            await self._connection.execute("ROLLBACK")
