"""Another session, which uses every table, so that statements of a run have to wait for it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

__all__ = ["Bystander"]

_TABLES = """
SELECT format('%I.%I', nspname, relname)
FROM pg_class JOIN pg_namespace home ON home.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%'
    AND nspname NOT IN ('information_schema', 'schema_ledger') AND relname <> 'alembic_version'
"""
_LOOKS = 5
_STEP_SECONDS = 0.01
_WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity
               WHERE client_port = ANY ($1::int[]) AND wait_event_type = 'Lock')
"""


class Bystander:
    """Holds a snapshot and a weak lock on each table, as a long query of an application does."""

    def __init__(self, url: str) -> None:
        """Connect as the superuser of `url`, twice: to hold, and to look."""
        self._runner = asyncio.Runner()
        self._holder = self._runner.run(asyncpg.connect(url))
        self._watcher = self._runner.run(asyncpg.connect(url))

    def __enter__(self) -> Self:
        """Begin."""
        self.hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        """Let go, and hang up."""
        for connection in (self._holder, self._watcher):
            connection.terminate()
        self._runner.close()

    def hold(self) -> None:
        """Begin a transaction, and use each table that is not locked by somebody else."""
        self._runner.run(self._hold())

    async def _hold(self) -> None:
        connection: Any = self._holder
        tables = [row[0] for row in await connection.fetch(_TABLES)]
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class")
        for number, table in enumerate(tables):
            await connection.execute(f"SAVEPOINT s{number}")
            with suppress(asyncpg.PostgresError):
                await connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE NOWAIT")
                continue
            await connection.execute(f"ROLLBACK TO SAVEPOINT s{number}")

    def let_go(self) -> None:
        """End the transaction."""
        self._runner.run(self._holder.execute("ROLLBACK"))

    def until_waited_for(self, ports: Collection[int], ended: Callable[[], bool]) -> bool:
        """Let go, and hold again until a session waits; now and then again, for new tables as well.

        Args:
            ports: Where the sessions that matter come from.
            ended: Whether none will wait any more.

        Returns:
            Whether one waits.
        """
        while not ended():
            self.let_go()
            self.hold()
            for _ in range(_LOOKS):
                if ended():
                    return False
                if self.is_waited_for(ports):
                    return True
                time.sleep(_STEP_SECONDS)
        return False

    def is_waited_for(self, ports: Collection[int]) -> bool:
        """Tell whether a session that comes from one of these ports waits for a lock."""
        return bool(self._runner.run(self._watcher.fetchval(_WAITING, list(ports))))
