"""Runs a revision that commits on its way, so that an interrupted one can be taken up again.

Each event "begun" tells which statements are committed. It commits together with them where
PostgreSQL allows that, and stands before and after those that it takes outside of transactions
alone. Of these, CREATE INDEX CONCURRENTLY and DROP INDEX CONCURRENTLY are recognised when they had
finished unnoticed; any other one runs again, and must bear it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from infra.schema import ledger
from infra.schema.running import indexes, leftovers
from infra.schema.running.compose import Text, keep, transaction
from infra.schema.running.failures import Failure, Reason
from infra.schema.statements.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import Step
    from infra.schema.running.session import Session

__all__ = ["Pieces"]

_BUILDING_SECONDS = 60.0  # for a build whose client is gone; the server looks every second
_POLL = 0.5

# What a statement says inside of a transaction that it can't run in; nothing has happened then.
_ALONE = frozenset({"25001", "2D000"})
_UNDEFINED = "42704"
_NOT_AVAILABLE = "55P03"
# Before a digest: the statement was sent, and nobody knows yet whether it has committed.
_SENT = "?"


class Pieces:
    """One attempt at such a revision."""

    def __init__(self, session: Session, step: Step) -> None:
        """Know what to run."""
        self._session = session
        self._step = step
        self._digests = ledger.digests(step.script)
        self._started = ""
        self._in_flight = False

    async def run(self) -> None:
        """Run what is not committed yet.

        Raises:
            Failure: It did not succeed; what was committed is in the ledger.
        """
        done = await self._resume()
        await self._begin(done)
        for numbered, autocommit in self._chunks(done):
            if autocommit:
                await self._single(*numbered[0])
            elif numbered[-1][0] == len(self._digests):
                await self._finish(numbered)
                return
            else:
                await self._together(numbered)
        await self._finish([])

    async def _resume(self) -> int:
        """Give how many statements an interrupted run has committed."""
        run, step = self._session.frame.run, self._step
        values = (run.key, step.revision, step.direction)
        committed: list[str] = await self._session.ask_ledger(ledger.UNFINISHED, *values) or []
        known = tuple(digest for digest in committed if not digest.startswith(_SENT))
        if self._digests[: len(known)] != known:
            return 0  # edited since: it begins again, and PostgreSQL says what stands in the way
        following = self._digests[len(known) : len(known) + 1]
        self._in_flight = committed[len(known) :] == [_SENT + digest for digest in following]
        self._in_flight = self._in_flight and bool(following)
        return len(known)

    async def _begin(self, done: int) -> None:
        """Note that it has begun, and leave the session as env.py would have it."""
        frame, step = self._session.frame, self._step
        keeping = keep(frame, events=[self._begun(done, sent=self._in_flight)])
        text = transaction(frame, step, [], compare=True, keeping=keeping, start="lasting")
        await self._session.send(text)
        self._session.made()
        self._started = await self._session.ask_ledger(
            "SELECT started_at::text FROM schema_ledger.events WHERE version_table = $1"
            " AND run = $2::uuid AND revision = $3 ORDER BY id LIMIT 1",
            frame.run.key,
            frame.run.id,
            step.revision,
        )

    def _chunks(self, done: int) -> Iterator[tuple[list[tuple[int, str]], bool]]:
        """Give the numbered statements that run together, and whether they are in autocommit."""
        number = 0
        for part in self._step.script.parts:
            numbered = list(enumerate(part.statements, start=number + 1))
            number += len(numbered)
            left = [(place, statement) for place, statement in numbered if place > done]
            if part.autocommit:
                yield from (([one], True) for one in left)
            elif left:
                yield left, False

    async def _together(self, numbered: list[tuple[int, str]]) -> None:
        """Run statements in one transaction."""
        keeping = keep(self._session.frame, events=[self._begun(numbered[-1][0])])
        await self._session.send(self._transaction(numbered, keeping, compare=False))

    async def _finish(self, numbered: list[tuple[int, str]]) -> None:
        """Run the transaction that ends the revision."""
        frame, step = self._session.frame, self._step
        moves = frame.table.move(step.before, step.after)
        events = [ledger.event(frame.run, step, started=self._started)]
        keeping = keep(frame, moves=moves, events=events)
        await self._session.send(self._transaction(numbered, keeping, compare=True))

    async def _single(self, number: int, statement: str) -> None:
        """Run one statement, together with its note where it bears a transaction."""
        in_flight, self._in_flight = self._in_flight, False
        if not in_flight and not indexes.concurrently(statement):
            try:
                await self._together([(number, statement)])
            except Failure as failure:
                if failure.reason.sqlstate not in _ALONE:
                    raise
            else:
                return
        await self._alone(number, statement, in_flight=in_flight)

    async def _alone(self, number: int, statement: str, *, in_flight: bool) -> None:
        """Run one statement outside of transactions, with a note before and after."""
        prepared = await self._make_good(statement, in_flight=in_flight)
        if prepared is None:
            await self._note(number)
            return
        statement = prepared
        state = await self._look(statement, in_flight=in_flight)
        if state != "built":
            if state == "free":  # or the failure that is to come would look like our own index
                await self._note(number - 1, sent=True)
            try:
                await self._patiently(number, statement)
            except Failure as failure:
                if failure.reason.lost:
                    raise
                gone = failure.reason.sqlstate == _UNDEFINED and indexes.drops_index(statement)
                if not (in_flight and gone):
                    await self._note(number - 1)
                    raise Failure(replace(failure.reason, redone=in_flight)) from failure
        await self._note(number)

    async def _look(self, statement: str, *, in_flight: bool) -> Literal["free", "taken", "built"]:
        """See whether the index of a statement is there already; a broken one is dropped."""
        build = indexes.build(statement)
        if build is None:
            return "free"
        row = await self._settled(build)
        if row is None:
            return "free"
        if row["valid"]:
            return "built" if in_flight and row["ours"] else "taken"
        if row["ours"]:
            await self._patiently(None, f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}")
        return "free"

    async def _make_good(self, statement: str, *, in_flight: bool) -> str | None:
        """Take away what a killed statement has left that has no name of its own.

        Returns:
            The statement to run; None where the killed one had finished unnoticed.
        """
        detachment = leftovers.detachment(statement)
        if detachment is not None:
            (row,) = await self._waited(detachment.state, "busy", "has been detaching a partition")
            if row["state"] == "pending":
                return detachment.finalize
            return None if in_flight and row["state"] == "gone" else statement
        rebuild = leftovers.rebuild(statement)
        if rebuild is None:
            return statement
        if rebuild.prepare:
            await self._session.execute(*rebuild.prepare)
        rows = await self._waited(rebuild.broken, "building", "has been building an index")
        for row in rows:
            await self._patiently(None, f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}")
        if in_flight and rebuild.finished and await self._session.fetch(rebuild.finished):
            return None
        return statement

    async def _waited(self, question: str, busy: str, what: str) -> list[dict[str, Any]]:
        """Ask until no other session is at it."""
        deadline = time.monotonic() + _BUILDING_SECONDS
        while True:
            rows = await self._session.rows(question)
            if not any(row[busy] for row in rows):
                return rows
            if time.monotonic() > deadline:
                text = f"another session {what} for a while"
                raise Failure(Reason(text=text, sqlstate=_NOT_AVAILABLE))
            await asyncio.sleep(_POLL)

    async def _settled(self, build: indexes.Build) -> dict[str, object] | None:
        """Read the state of an index, once nobody builds it any more."""
        deadline = time.monotonic() + _BUILDING_SECONDS
        while True:
            rows = await self._session.rows(build.state)
            if not rows or not rows[0]["building"]:
                return rows[0] if rows else None
            if time.monotonic() > deadline:
                text = f"another session has been building {rows[0]['name']} for a while"
                raise Failure(Reason(text=text, sqlstate=_NOT_AVAILABLE))
            await asyncio.sleep(_POLL)

    async def _patiently(self, number: int | None, statement: str) -> None:
        """Run a statement outside of transactions, with a long lock_timeout if none was chosen."""
        step, frame = self._step, self._session.frame
        said = (*frame.prologue, *step.script.statements)
        chosen = step.lock_timeout or any("lock_timeout" in text.lower() for text in said)
        patient = indexes.concurrently(statement) and not chosen
        if patient:
            await self._session.execute(indexes.patience())
        await self._session.send(Text.alone(number, statement))
        if patient:
            timeout = frame.lock_timeout
            back = f"SET lock_timeout = {literal(timeout)}" if timeout else "RESET lock_timeout"
            await self._session.execute(back)

    async def _note(self, done: int, *, sent: bool = False) -> None:
        """Write how far it has come."""
        keeping = keep(self._session.frame, events=[self._begun(done, sent=sent)])
        await self._session.send(self._transaction([], keeping, compare=False))

    def _begun(self, done: int, *, sent: bool = False) -> str:
        committed = self._digests[:done]
        if sent:
            committed = (*committed, _SENT + self._digests[done])
        return ledger.event(
            self._session.frame.run,
            self._step,
            state="begun",
            committed=committed,
            started=self._started,
        )

    def _transaction(
        self, numbered: list[tuple[int, str]], keeping: list[str], *, compare: bool
    ) -> Text:
        return transaction(
            self._session.frame,
            self._step,
            numbered,
            compare=compare,
            keeping=keeping,
            start="on",
        )
