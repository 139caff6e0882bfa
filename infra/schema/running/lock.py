"""The lock that lets one run at a time work on a version table.

It is an advisory lock, which every role that may connect can take too. A run goes by it where its
holder may migrate; a holder without rights on the schema is passed by, under a lock on a table of
the ledger that only those take who may write there.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from infra.schema.errors import LockedError
from infra.schema.running import connecting, failures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Lock", "lock_key"]

_POLL = 0.25
_CLASS = 0x67726F75  # "grou": the first of the lock's two numbers
_MARK_CLASS = _CLASS + 1  # of the lock that all sessions of a run share
_IDLE = "8s"  # after which the server ends a lock's session that asks nothing any more
_LEFT_SECONDS = 5.0
_UNAVAILABLE = "55P03"

_HELD = """
locktype = 'advisory' AND granted AND objsubid = 2
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND classid = ({first}::bigint & 4294967295)::oid
    AND objid = ({second}::bigint & 4294967295)::oid
"""
# A mode that conflicts with itself and with no reading or writing of rows.
_MODE = "SHARE UPDATE EXCLUSIVE"
_TABLE = "schema_ledger.catalogs"
# From the catalog, so that no right on the ledger is needed to ask.
_PASSED = """
locktype = 'relation' AND granted AND mode = 'ShareUpdateExclusiveLock'
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND relation = (SELECT c.oid FROM pg_catalog.pg_class c
                    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'schema_ledger' AND c.relname = 'catalogs')
"""
# Another run's: its lock is gone, and with it what it was at.
_END_LEFT = """
SELECT count(pg_catalog.pg_terminate_backend(a.pid))
FROM pg_catalog.pg_locks JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE {marked} AND a.pid <> ALL ($1::int[]) AND a.usename = session_user
"""
_BY = "SELECT pid FROM pg_catalog.pg_locks WHERE {held}"
# A role that may become the owner of the schema or of the database may migrate, and so may who may
# create in the schema or write into the ledger. Without pg_read_all_stats the kind of another
# role's session is not shown. A prepared transaction has no process.
_HOLDER = """
SELECT h.who, r.rolname AS role, h.application, h.address, h.since,
       coalesce(r.rolsuper OR pg_has_role(r.oid, d.datdba, 'MEMBER')
           OR pg_has_role(r.oid, n.nspowner, 'MEMBER')
           OR has_schema_privilege(r.oid, n.oid, 'CREATE')
           OR has_table_privilege(r.oid, e.oid, 'INSERT'), false) AS migrates
FROM (
    SELECT 'process ' || a.pid AS who, a.usename AS role, a.application_name AS application,
           host(a.client_addr) AS address, a.backend_start AS since
    FROM pg_catalog.pg_stat_activity a
    WHERE a.pid IN (SELECT pid FROM pg_catalog.pg_locks WHERE {held}) AND a.pid <> pg_backend_pid()
        AND coalesce(a.backend_type, 'client backend') = 'client backend'
    UNION ALL
    SELECT 'the prepared transaction ' || quote_literal(p.gid), p.owner, '', NULL, p.prepared
    FROM pg_catalog.pg_prepared_xacts p
    WHERE p.database = current_database() AND p.transaction IN (
        SELECT t.transactionid FROM pg_catalog.pg_locks t
        WHERE t.locktype = 'transactionid' AND t.pid IS NULL AND t.virtualtransaction IN (
            SELECT virtualtransaction FROM pg_catalog.pg_locks WHERE {held} AND pid IS NULL))
) h
JOIN pg_catalog.pg_roles r ON r.rolname = h.role
JOIN pg_catalog.pg_database d ON d.datname = current_database()
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1
LEFT JOIN pg_catalog.pg_namespace l ON l.nspname = 'schema_ledger'
LEFT JOIN pg_catalog.pg_class e ON e.relnamespace = l.oid AND e.relname = 'events'
"""
# The transaction that holds a table's lock is idle, and neither its snapshot nor its id is in the
# way of another session.
_BEGIN = (
    "SET idle_in_transaction_session_timeout = 0",
    "BEGIN ISOLATION LEVEL READ COMMITTED",
)


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """Who holds a lock.

    Attributes:
        said: In words.
        migrates: Whether it has rights on the schema, and so may be a run.
    """

    said: str
    migrates: bool


def lock_key(key: str) -> tuple[int, int]:
    """Give the two numbers of the advisory lock of a version table.

    Args:
        key: The version table, as the ledger knows it.

    Returns:
        The class 0x67726f75, and the first four bytes of the key's sha256; both signed.
    """
    digest = hashlib.sha256(key.encode()).digest()
    return _CLASS, int.from_bytes(digest[:4], "big", signed=True)


class Lock:
    """The lock of one run, in a session of its own.

    The session runs nothing else: the advisory lock is polled and never waited for, so that it is
    no transaction that CREATE INDEX CONCURRENTLY would have to wait for.
    """

    def __init__(self, connection: Any, key: str, schema: str) -> None:
        """Take over a connection; nothing is locked yet.

        Args:
            connection: A session of asyncpg.
            key: The version table, as the ledger knows it.
            schema: Of the version table: who has rights on it may hold the lock.
        """
        self._connection = connection
        self._numbers = lock_key(key)
        first, second = self._numbers
        self._advisory = _HELD.format(first=first, second=second)
        self._marked = _HELD.format(first=_MARK_CLASS, second=second)
        self._turn = asyncio.Lock()  # a connection answers one question at a time
        self._schema = schema
        self._taken = False
        self._passes = False

    @property
    def held(self) -> bool:
        """Whether it was taken, and its session is still there as far as this side knows."""
        return self._taken and not self._connection.is_closed()

    @property
    def pid(self) -> int:
        """The server process that holds it."""
        return int(self._connection.pid)

    @property
    def check(self) -> str:
        """SQL that is true, in any session of the database, while this run holds the lock."""
        held = _PASSED if self._passes else self._advisory
        return f"SELECT EXISTS ({_BY.format(held=held)} AND pid = {self.pid})"

    @property
    def mark(self) -> str:
        """SQL that marks a session as one of this run: who holds the lock next may end it."""
        second = self._numbers[1]
        return f"SELECT pg_catalog.pg_try_advisory_lock_shared({_MARK_CLASS}, {second})"

    async def end_left(self, own: list[int]) -> None:
        """End what a former run has left at work, which has lost its lock.

        Args:
            own: The server processes of this run.
        """
        sql = _END_LEFT.format(marked=self._marked)
        deadline = time.monotonic() + _LEFT_SECONDS
        while (  # noqa: ASYNC110 - it happens in the server
            await self._connection.fetchval(sql, own) and time.monotonic() < deadline
        ):
            await asyncio.sleep(_POLL)
        await self._rest()

    async def limit_idle(self) -> None:
        """Let the server end this session where it is not asked anything for some seconds."""
        name = "idle_in_transaction_session_timeout" if self._passes else "idle_session_timeout"
        async with self._turn:
            await self._connection.execute(f"SET {name} = '{_IDLE}'")

    async def look(self, sql: str) -> list[Any]:
        """Ask something of the run's sessions: `{marked}` in it selects their locks."""
        async with self._turn:
            rows = list(await self._connection.fetch(sql.format(marked=self._marked)))
            await self._rest()
            return rows

    def abandon(self) -> None:
        """Give the session up, without a word to a server that does not answer."""
        self._connection.terminate()

    async def confirm(self) -> bool:
        """Ask the server, in the lock's own session, whether it is held."""
        try:
            async with self._turn:
                held = bool(await self._connection.fetchval(self.check))
                await self._rest()
        except Exception as exc:
            if not failures.dropped(exc):
                raise
            self._connection.terminate()
            return False
        self._taken = held
        return held

    async def acquire(
        self,
        *,
        seconds: float,
        place: str,
        kept: Callable[[], str],
        waiting: Callable[[str], None],
        ledger: Callable[[], Awaitable[None]],
    ) -> None:
        """Take the lock, or say who has it.

        Args:
            seconds: How long to wait for it.
            place: Where, for the message.
            kept: Says what was changed so far, for the message.
            waiting: Told who holds it, once for each holder.
            ledger: Makes the ledger where it is missing.

        Raises:
            LockedError: Another run held it all the time.
        """
        deadline = time.monotonic() + seconds
        told = ""
        while True:
            holder = await self._try(waiting, ledger)
            if holder is None:
                break
            if holder.said and holder.said != told:
                told = holder.said
                waiting(told)
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"Another run works on {place}: {told or 'it has just ended'}. Waited"
                    f" {seconds:g} s for it. {kept()} Run again when it has ended."
                )
            await asyncio.sleep(_POLL)
        self._taken = True

    async def renew(self, *, place: str, kept: Callable[[], str]) -> None:
        """Between two revisions, take the advisory lock where a holder was passed by.

        Raises:
            LockedError: Another run has it: one of a former version, which knows no other lock.
        """
        if not self._passes:
            return
        async with self._turn:
            taken = await self._try_advisory()
            holder = None if taken else await self._holder(self._advisory)
            await self._rest()
        if holder and holder.migrates:
            raise LockedError(
                f"Another run works on {place}: {holder.said}. {kept()} Run again when it has"
                " ended."
            )

    async def _try(
        self, waiting: Callable[[str], None], ledger: Callable[[], Awaitable[None]]
    ) -> _Holder | None:
        """Take the lock; gives who holds it, None where this run does now."""
        if await self._try_advisory():
            other = await self._holder(_PASSED)
            if other is None:
                return None
            await self._connection.execute("SELECT pg_catalog.pg_advisory_unlock_all()")
            return other
        holder = await self._holder(self._advisory)
        if holder is None or holder.migrates:
            return holder or _Holder(said="", migrates=True)
        await ledger()
        if not await self._try_table():
            return await self._holder(_PASSED) or _Holder(said="", migrates=True)
        # A run that has taken the advisory lock meanwhile does not see the table's.
        again = await self._holder(self._advisory)
        if again and again.migrates:
            await self._connection.execute("ROLLBACK")
            return again
        await self._rest()
        self._passes = True
        waiting(f"not for {holder.said}: it has no rights on schema {self._schema}")
        return None

    async def _try_advisory(self) -> bool:
        sql = "SELECT pg_catalog.pg_try_advisory_lock($1::int, $2::int)"
        return bool(await self._connection.fetchval(sql, *self._numbers))

    async def _try_table(self) -> bool:
        import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

        for statement in _BEGIN:
            await self._connection.execute(statement)
        try:
            await self._connection.execute(f"LOCK TABLE {_TABLE} IN {_MODE} MODE NOWAIT")
        except asyncpg.PostgresError as exc:
            await self._connection.execute("ROLLBACK")
            if exc.sqlstate == _UNAVAILABLE:
                return False
            raise
        return True

    async def _rest(self) -> None:
        """Let go of the snapshot of the last question, which its portal keeps until the next one.

        CREATE INDEX CONCURRENTLY would wait for it; a statement without parameters keeps none.
        """
        await self._connection.execute("SELECT")

    async def _holder(self, held: str) -> _Holder | None:
        """Describe who else holds a lock; None where it is free by now."""
        sql = _HOLDER.format(held=held)
        row = await self._connection.fetchrow(sql, self._schema)
        if row is None:
            return None
        # Of another role's session little is shown to one without pg_read_all_stats.
        address = f" from {row['address']}" if row["address"] else ""
        at = row["since"] and row["since"].astimezone(UTC)
        since = f", since {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
        program = f", {row['application']!r}" if row["application"] else ""
        said = f"{row['who']} of {row['role']}{program}{address}{since}"
        return _Holder(said=said, migrates=row["migrates"])

    async def close(self) -> None:
        """End the session, and the lock with it."""
        await connecting.hang_up(self._connection)
