"""Looks after a run from the lock's session: whether the server still answers, and who blocks.

A network that swallows packets without a word ends no connection. The lock's session asks once a
second; where no answer comes, all of the run's connections are given up. On its side the server
ends the lock's session when nothing is asked any more, and the lock is free for the next run.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from infra.schema.preflight.findings import redacted
from infra.schema.running import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.schema.running.lock import Lock

__all__ = ["Heartbeat"]

_PERIOD = 1.0
_ANSWER = 5.0  # seconds in which an answer has to come
_IDLE = 5.0  # seconds after which a session that is done has lost its answer on the way
_WAIT = 5.0  # seconds of a wait before it is told

# The sessions of this run and who blocks them, by the locks that mark them.
_LOOK = """
SELECT a.pid, a.state, extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS since,
       (SELECT extract(epoch FROM clock_timestamp() - min(l.waitstart))::float8
        FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND NOT l.granted) AS waits,
       w.blocker, b.usename::text AS role, b.application_name::text AS application,
       b.state AS doing, left(b.query, 2000) AS query
FROM (SELECT DISTINCT pid FROM pg_catalog.pg_locks WHERE {marked}) ours
JOIN pg_catalog.pg_stat_activity a ON a.pid = ours.pid
LEFT JOIN LATERAL unnest(
    CASE WHEN a.wait_event_type = 'Lock' THEN pg_catalog.pg_blocking_pids(a.pid) END
) AS w (blocker) ON true
LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = w.blocker
"""


class Heartbeat:
    """A task beside a run.

    Attributes:
        blocker: Who was last seen in the way of this run, in words; empty for nobody.
    """

    def __init__(
        self,
        lock: Lock,
        *,
        working: Callable[[], tuple[int, float] | None],
        silent: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Know what to look at; nothing happens yet.

        Args:
            lock: The run's, held.
            working: Gives the server process of the session that waits for an answer, and since
                when (monotonic); None where none does.
            silent: Called once where the server does not answer any more.
            tell: Told for whom a statement waits, once for each.
        """
        self._lock = lock
        self._working = working
        self._silent = silent
        self._tell = tell
        self._told: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self.blocker = ""

    @property
    def beats(self) -> bool:
        """Whether it still looks."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Begin."""
        await self._lock.limit_idle()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def forget(self) -> None:
        """Begin a statement that nobody has been in the way of yet."""
        self.blocker = ""
        self._told.clear()

    async def _run(self) -> None:
        while self._lock.held:
            await asyncio.sleep(_PERIOD)
            try:
                async with asyncio.timeout(_ANSWER):
                    rows = await self._lock.look(_LOOK)
            except TimeoutError:
                self._lock.abandon()
                self._silent()
                return
            except Exception as exc:
                if not failures.is_driver(exc):
                    raise
                return  # the lock was lost: it is taken again before the next revision
            if self._answered(rows):
                self._silent()
                return
            self._report(rows)

    def _answered(self, rows: list[Any]) -> bool:
        """Say whether the server has done what this side still waits for: the answer is lost."""
        work = self._working()
        if work is None:
            return False
        pid, begun = work
        waited = time.monotonic() - begun
        row = next((each for each in rows if each["pid"] == pid), None)
        if row is None or waited < _IDLE:
            return False
        return str(row["state"] or "").startswith("idle") and row["since"] > _IDLE

    def _report(self, rows: list[Any]) -> None:
        for row in rows:
            if row["blocker"] is None:
                continue
            self.blocker = _worded(row)
            if (row["waits"] or 0.0) >= _WAIT and row["blocker"] not in self._told:
                self._told.add(row["blocker"])
                self._tell(f"a statement waits for {self.blocker}")


def _worded(row: Any) -> str:
    if not row["blocker"]:
        return "a prepared transaction"
    role = f" of {row['role']}" if row["role"] else ""
    program = f", {row['application']!r}" if row["application"] else ""
    doing = f", {row['doing']}" if row["doing"] else ""
    query = f": {redacted(row['query'])}" if row["query"] else ""
    return f"process {row['blocker']}{role}{program}{doing}{query}"
