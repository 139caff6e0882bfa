"""One run's two connections, and what they know of the database."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from infra.errors import GroundworkError
from infra.schema import catalog, drift, ledger, unreached
from infra.schema.dsn import place
from infra.schema.errors import DatabaseMissingError, LedgerError, LiveError
from infra.schema.model import Catalog, Live
from infra.schema.running import connecting, failures
from infra.schema.running.compose import (
    COUNTED,
    MARK,
    PROLOGUE,
    Frame,
    Text,
    act,
    keep,
    timeouts,
)
from infra.schema.running.heartbeat import Heartbeat
from infra.schema.running.lock import Lock
from infra.schema.running.versions import VersionTable
from infra.schema.statements.session import preparing
from infra.schema.statements.sql import first_line, identifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.schema.model import Drift, History, Policy, Step
    from infra.schema.running.watch import Watch

__all__ = ["Identity", "Session"]

_T = TypeVar("_T")
_PAUSE = 0.5  # seconds between two tries to come back
_NOTHING = " Nothing was changed."  # true of a connection that did not come about, not of a run
_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "1h"

_FACTS = """
SELECT current_setting('role') AS role, pg_is_in_recovery() AS standby,
       ARRAY(SELECT name FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')
             AND source IN ('global', 'database', 'user', 'database user', 'client')) AS own
"""
_ACTING = "SELECT current_setting('role') AS role, current_schema() AS schema"
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND application_name = $2 AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which run this is.

    Attributes:
        id: A UUID.
        stack: Name of the stack; empty outside of one.
        commit: Commit of the checkout; empty where none is known.
        plan: Digest of the plan.
    """

    id: str
    stack: str
    commit: str
    plan: str


class Session:
    """The connections of a run: opened, locked, and opened again when they are lost.

    Attributes:
        noted: What this run has written beside its revisions, in a sentence; else empty.
        abandoned: Called when the server does not answer any more.
    """

    def __init__(
        self,
        url: str,
        identity: Identity,
        history: History,
        *,
        lock_timeout: str,
        statement_timeout: str,
        watch: Watch | None = None,
    ) -> None:
        """Know where to connect; nothing happens yet."""
        self.url = url
        self.place = place(url)
        self.identity = identity
        self.name = connecting.application(identity.stack, identity.id)
        self._history = history
        self._timeouts = {"lock_timeout": lock_timeout, "statement_timeout": statement_timeout}
        self._frame: Frame | None = None
        self._work: Any = None
        self._lock: Lock | None = None
        self._text = Text()
        self._marks = 0
        self._watch = watch
        self._before: Catalog | None = None
        self._drift: tuple[Drift, ...] = ()
        self._marked = False
        self._working: tuple[int, float] | None = None
        self._heartbeat: Heartbeat | None = None
        self.noted = ""
        self.abandoned: Callable[[], None] = lambda: None

    @property
    def frame(self) -> Frame:
        """What stands around the statements of each revision."""
        if self._frame is None:
            raise RuntimeError("not open")
        return self._frame

    @property
    def lock(self) -> Lock:
        """The lock."""
        if self._lock is None:
            raise RuntimeError("not open")
        return self._lock

    async def open(
        self, *, seconds: float, kept: Callable[[], str], waiting: Callable[[str], None]
    ) -> None:
        """Connect, and take the lock.

        Args:
            seconds: How long to wait for the lock.
            kept: Says what this run has changed so far, for a message.
            waiting: Told who holds the lock.

        Raises:
            LiveError: No connection, or a standby.
            LockedError: Somebody else holds the lock.
        """
        try:
            await self._open(seconds=seconds, kept=kept, waiting=waiting)
        except GroundworkError:
            raise
        except Exception as exc:
            if failures.dropped(exc):
                said = str(exc).strip().rstrip(".") or "no answer"
                raise LiveError(
                    f"The connection to {self.place} was lost: {said}. {kept()} Run again when it"
                    " is stable."
                ) from exc
            raise unreached.worded(exc, self.url) from exc

    async def _open(
        self, *, seconds: float, kept: Callable[[], str], waiting: Callable[[str], None]
    ) -> None:
        if self._work is None or self._work.is_closed():
            self._marked = False
            self._work = await connecting.connect(self.url, self.name, settings=connecting.APPLYING)
            self._work.add_log_listener(self._count)
            self._frame = await self._framed()
        if self._lock is None or not self._lock.held:
            if self._heartbeat is not None:
                await self._heartbeat.stop()
            if self._lock is not None:
                await self._lock.close()
            holder = await connecting.connect(
                self.url, f"{self.name} lock", settings=connecting.APPLYING
            )
            self._lock = Lock(holder, self.frame.run.key, self.frame.table.schema)
            await self._lock.acquire(
                seconds=seconds,
                place=self.place,
                kept=kept,
                waiting=waiting,
                ledger=self.ensure_ledger,
            )
            await self._lock.end_left([self._work.pid])
        if not self._marked:
            await self._work.execute(self._lock.mark)
            self._marked = True
        await self._look_after(waiting)

    async def _look_after(self, tell: Callable[[str], None]) -> None:
        """Have the lock's session look whether the server answers, and who blocks."""
        if self._heartbeat is not None and self._heartbeat.beats:
            return
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        self._heartbeat = Heartbeat(
            self.lock, working=lambda: self._working, silent=self._give_up, tell=tell
        )
        await self._heartbeat.start()

    def _give_up(self) -> None:
        """Let go of connections that the server does not answer on any more."""
        self._work.terminate()
        self.abandoned()

    async def holds(self) -> bool:
        """Ask the server whether this run has its lock; a connection that is gone has none."""
        if not self.lock.held:
            return False
        return await self.lock.confirm()

    async def renew(self, kept: Callable[[], str]) -> None:
        """See to it that no other run has come in; see `Lock.renew`.

        Raises:
            LockedError: One has.
        """
        try:
            await self.lock.renew(place=self.place, kept=kept)
        except Exception as exc:
            if not failures.dropped(exc):  # a lost lock is taken again before the next revision
                raise

    async def reopen(
        self,
        *,
        deadline: float,
        seconds: float,
        kept: Callable[[], str],
        waiting: Callable[[str], None],
    ) -> None:
        """Connect again after a loss, and see to it that what was running has ended.

        Args:
            deadline: Seconds to try for.
            seconds: How long to wait for the lock.
            kept: Says what this run has changed so far, for a message.
            waiting: Told who holds the lock.

        Raises:
            LiveError: Nobody let us in again.
            LockedError: Somebody else took the lock meanwhile.
        """
        end = time.monotonic() + deadline
        lost = self._work.pid if self._work.is_closed() else None
        while True:
            try:
                await self.open(seconds=seconds, kept=kept, waiting=waiting)
                if lost is not None:
                    await self._work.fetch(_END, lost, self.name)
            except DatabaseMissingError:
                raise
            except Exception as exc:
                if isinstance(exc, GroundworkError) and not isinstance(exc, LiveError):
                    raise
                if time.monotonic() > end:
                    said = str(exc).replace(_NOTHING, "").strip()
                    raise LiveError(
                        f"The connection to {self.place} was lost, and {deadline:g} s of trying did"
                        f" not bring it back. {said} {kept()} Run again when it is back."
                    ) from exc
            else:
                return
            await asyncio.sleep(_PAUSE)

    @property
    def blocker(self) -> str:
        """Who was last seen in the way of the statement at work, in words; empty for nobody."""
        return self._heartbeat.blocker if self._heartbeat else ""

    def forget_blocker(self) -> None:
        """Begin a step that nobody has been in the way of yet."""
        if self._heartbeat:
            self._heartbeat.forget()

    async def _answer(self, asking: Awaitable[_T]) -> _T:
        """Wait for the server, and note since when."""
        self._working = (self._work.pid, time.monotonic())
        try:
            return await asking
        finally:
            self._working = None

    async def close(self) -> None:
        """Let go of both."""
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        if self._work is not None:
            await connecting.hang_up(self._work)
        if self._lock is not None:
            await self._lock.close()

    async def send(self, text: Text) -> None:
        """Run a text; a transaction that fails is undone.

        Raises:
            Failure: It did not succeed; where the connection was lost, nobody knows.
        """
        self._text, self._marks = text, 0
        if self._watch:
            await self._watch.sends(text)
        try:
            await self._answer(self._work.execute(text.sql))
        except Exception as exc:
            failure = failures.read(exc)
            at = int(getattr(exc, "position", None) or 0)
            number = text.number_at(at) if at else text.number_after(self._marks)
            await self._undo()
            if number is None:
                raise failure from exc
            raise failure.at(number, text.statements[number]) from exc
        if self._watch:
            await self._watch.sent(text)

    async def fetch(self, sql: str, *values: Any) -> Any:
        """Ask for the first column of the first row.

        Raises:
            Failure: The question was refused, or the connection lost.
        """
        try:
            return await self._answer(self._work.fetchval(sql, *values))
        except Exception as exc:
            raise failures.read(exc) from exc

    async def ask_ledger(self, sql: str, *values: Any) -> Any:
        """Ask the ledger as its role, whatever role a revision or env.py has left the session in.

        Raises:
            Failure: As for `fetch`.
        """
        return await self._fetch_as(self.frame.role, sql, *values)

    async def _fetch_as(self, role: str, sql: str, *values: Any) -> Any:
        await self.execute("BEGIN READ ONLY", *act(role))
        try:
            return await self.fetch(sql, *values)
        finally:
            await self._undo()

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """Ask for rows, by column.

        Raises:
            Failure: The question was refused, or the connection lost.
        """
        try:
            return [dict(row) for row in await self._answer(self._work.fetch(sql))]
        except Exception as exc:
            raise failures.read(exc) from exc

    async def execute(self, *statements: str) -> None:
        """Run statements of our own.

        Raises:
            Failure: One was refused, or the connection lost.
        """
        await self.send(Text(*statements))

    async def heads(self) -> tuple[str, ...]:
        """Read the version table's rows, sorted; none where it is not there.

        Raises:
            Failure: They can't be read.
        """
        if self.frame.missing:
            if await self.fetch(self.frame.table.width) is None:
                return ()
            self.made()
        rows, acting = self.frame.table.rows, self.frame.acting
        if acting != self.frame.role:  # the table is that role's
            return tuple(sorted(await self._fetch_as(acting, rows)))
        return tuple(sorted(await self.fetch(rows)))

    async def width(self) -> int:
        """Give how many characters an id may have in the version table; 0 for any number.

        Raises:
            Failure: That can't be read.
        """
        if self.frame.missing:
            return self._history.version_width
        return int(await self.fetch(self.frame.table.width))

    def remark(self, mark: str) -> None:
        """Take other SQL between statements from here on."""
        self._frame = replace(self.frame, mark=mark)

    @property
    def running(self) -> tuple[int, str] | None:
        """The number and the text of the statement at work; None where it is none of a revision."""
        number = self._text.number_after(self._marks)
        return None if number is None else (number, self._text.statements[number])

    def made(self) -> None:
        """Note that the version table is there now."""
        self._frame = replace(self.frame, missing=False)

    async def done(self, step: Step, *, stamped: bool = False) -> bool:
        """Ask the ledger whether this run has finished a step.

        Raises:
            Failure: It can't be asked.
        """
        run = self.frame.run
        direction = "stamp" if stamped else step.direction
        return bool(await self.ask_ledger(ledger.DONE, run.key, run.id, step.revision, direction))

    async def survey(self, heads: tuple[str, ...]) -> None:
        """Read the catalog as it is before a run, and keep in the ledger what is drift in it.

        So it is known although the run may be killed between two revisions.

        Args:
            heads: What the database is at.

        Raises:
            Failure: It can't be read, or not be kept.
        """
        key = self.frame.run.key
        keeps = bool(await self.fetch(ledger.KEEPS_DRIFT))
        found = await self.ask_ledger(ledger.recorded(unaccepted=keeps), key)
        self._drift, self._before = (), None
        if found is None:
            return
        recorded = json.loads(found)
        unaccepted = ledger.unaccepted(recorded.get("unaccepted", {}))
        before = Live(
            heads=heads,
            recorded=Catalog(format=recorded["format"], objects=recorded["objects"]),
            recorded_heads=tuple(recorded["heads"]),
            unaccepted=unaccepted,
            catalog=await self._catalog(),
        )
        self._before, self._drift = before.catalog, drift.changes(before)
        if keeps and set(self._drift) != set(unaccepted):
            await self._keep(ledger.note(key, self._drift))
            self.noted = self.noted or "Drift was noted in the ledger."

    async def record(self, heads: tuple[str, ...], policy: Policy) -> None:
        """Keep the catalog as it is now, and what of it is drift still.

        Args:
            heads: What it is the catalog of.
            policy: What it accepts is no drift from now on.

        Raises:
            Failure: It can't be read, or not be kept.
        """
        key, now = self.frame.run.key, await self._catalog()
        still = drift.carried(self._drift, self._before, now, policy) if self._before else ()
        if await self.fetch(ledger.KEEPS_DRIFT):
            await self._keep(ledger.record(key, heads, now, still))
        elif still and await self.ask_ledger(ledger.MAY_ALTER):
            await self._keep(ledger.ADD_UNACCEPTED, ledger.record(key, heads, now, still))
        else:  # what revisions have made, in the one place that there is
            made = replace(now, objects=drift.revised(now.objects, still))
            await self._keep(ledger.record(key, heads, made))

    async def _catalog(self) -> Catalog:
        await self.execute(*self.frame.reset)
        table = self.frame.table
        try:
            return await catalog.read(
                self._work, version_table=table.table, version_schema=table.schema
            )
        except Exception as exc:
            raise failures.read(exc) from exc

    async def _keep(self, *events: str) -> None:
        keeping = keep(self.frame, events=events)
        await self.execute("BEGIN", *timeouts(self.frame, local=True), *keeping, "COMMIT")

    async def ensure_ledger(self) -> None:
        """Make the ledger where it is missing.

        Raises:
            LedgerError: The role may not.
        """
        if not await self.fetch(ledger.EXISTS):
            await self._make_ledger()
        rows = await self.rows(ledger.MISSING_RIGHTS)
        if rows:
            lacking = ", ".join(f"{row['privilege']} on {row['object']}" for row in rows)
            role, _ = await self._who()
            raise LedgerError(
                f"The role {role} lacks {lacking} on {self.place}. Nothing was changed. As the"
                f" owner of it: GRANT USAGE ON SCHEMA {ledger.SCHEMA} TO {identifier(role)}; GRANT"
                f" SELECT, INSERT ON ALL TABLES IN SCHEMA {ledger.SCHEMA} TO {identifier(role)};"
                f" GRANT UPDATE ON {ledger.SCHEMA}.catalogs TO {identifier(role)};"
            )

    async def _make_ledger(self) -> None:
        try:
            await self.execute("BEGIN", ledger.CREATE, "COMMIT")
            self.noted = f"The ledger was made (schema {ledger.SCHEMA}), and stays."
        except failures.Failure as failure:
            if failure.reason.lost:
                raise
            if await self.fetch(ledger.EXISTS):
                return  # another version table's run was quicker
            role, database = await self._who()
            raise LedgerError(
                f"The ledger can't be made on {self.place}: {failure.reason.text}. Nothing was"
                f" changed. As the owner of the database: GRANT CREATE ON DATABASE"
                f" {identifier(database)} TO {identifier(role)};"
            ) from failure

    async def _who(self) -> tuple[str, str]:
        (row,) = await self.rows("SELECT current_user AS role, current_database() AS database")
        return row["role"], row["database"]

    async def _framed(self) -> Frame:
        """Find out where a revision runs, and in which role."""
        facts = await self._work.fetchrow(_FACTS)
        if facts["standby"]:
            await connecting.hang_up(self._work)
            raise LiveError(f"{self.place} is a standby, which takes no change: go to its primary.")
        acting = await self._after_prologue()
        schema = self._history.version_schema or acting["schema"]
        if not schema:
            raise LiveError(
                f"The search_path on {self.place} leads to no schema. Nothing was changed. Create"
                " the schema that it names, and grant USAGE and CREATE on it."
            )
        table = VersionTable(
            schema=schema,
            table=self._history.version_table,
            columns=self._history.version_columns,
        )
        identity = self.identity
        run = ledger.Run(
            key=await self._work.fetchval(ledger.KEY, table.schema, table.table),
            id=identity.id,
            stack=identity.stack,
            commit=identity.commit,
            plan=identity.plan,
        )
        defaults = {"lock_timeout": _LOCK_TIMEOUT, "statement_timeout": _STATEMENT_TIMEOUT}
        return Frame(
            run=run,
            table=table,
            prologue=preparing(self._history.prologue),
            role=facts["role"],
            acting=acting["role"],
            missing=await self._work.fetchval(table.width) is None,
            limits=self._work.limits,
            mark=self._watch.mark if self._watch else COUNTED,
            **{
                name: value or ("" if name in facts["own"] else defaults[name])
                for name, value in self._timeouts.items()
            },
        )

    async def _after_prologue(self) -> Any:
        """Look at what env.py's own SQL makes of role and search_path, and undo it."""
        whole = self._history.prologue
        if not whole:
            return await self._work.fetchrow(_ACTING)
        prepared = preparing(whole)
        try:
            acting = await self._acting(prepared)
        except LiveError:
            if prepared == whole:
                raise
        else:
            if acting["schema"] or prepared == whole:
                return acting
        return await self._acting(whole)  # a role or a schema of it is still to be made

    async def _acting(self, statements: tuple[str, ...]) -> Any:
        """Ask for role and schema after statements, in a transaction that is undone."""
        text = Text("BEGIN", f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        text.add_numbered([(PROLOGUE, statement) for statement in statements])
        try:
            await self.send(text)
            return await self._work.fetchrow(_ACTING)
        except failures.Failure as failure:
            reason = failure.reason
            raise LiveError(
                f"{self.place} refused what env.py sends before the revisions,"
                f" {first_line(reason.statement)!r}: {reason.text} ({reason.sqlstate})."
            ) from failure
        finally:
            await self._undo()

    async def _undo(self) -> None:
        """End a transaction that is open; one whose connection is gone has ended."""
        if self._work.is_closed() or not self._work.is_in_transaction():
            return
        try:
            await self._work.execute("ROLLBACK")
        except Exception as exc:
            if not failures.dropped(exc):
                raise

    def _count(self, _connection: Any, message: Any) -> None:
        """Hear how far a text has come."""
        if message.message.startswith(MARK):
            self._marks += 1
            if self._watch:
                number = self._text.number_after(self._marks)
                self._watch.heard(number, message.message.removeprefix(MARK))
