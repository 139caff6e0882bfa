"""Runs a plan: takes the lock, compares, and runs one step after the other; decides nothing."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from infra.schema import ledger
from infra.schema.errors import LiveError, LockedError, MigrationError, StoppedError
from infra.schema.invocation import Invocation
from infra.schema.model import Policy, Script, Step
from infra.schema.running import compiled, failures
from infra.schema.running.compose import keep, transaction
from infra.schema.running.failures import Failure
from infra.schema.running.process import Online
from infra.schema.running.progress import Progress
from infra.schema.running.session import Identity, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from infra.schema.model import History, Plan
    from infra.schema.running.watch import Watch

__all__ = ["Outcome", "Terms", "run"]

_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Where and how a plan is run.

    Attributes:
        url: libpq URL of the migrator, secret.
        folder: The Alembic directory, for revisions that run live.
        invocation: How Alembic is called there.
        stack: Name for the ledger and the lock; empty outside of a stack.
        commit: Commit of the checkout, for the ledger; empty where none is known.
        lock_timeout: PostgreSQL's, for each wait for a lock. Empty leaves what the role or the URL
            says, or takes 5 s. A statement with CONCURRENTLY waits for 15 minutes where neither
            its revision nor env.py says otherwise, since it keeps nobody waiting.
        statement_timeout: PostgreSQL's, for each statement; empty the same, or one hour.
        lock_wait: Seconds to wait for another run.
        tries: How often a revision is tried after a lock timeout, a deadlock, a serialization
            failure or a lost connection.
        pause: Seconds before the second try, half as much up or down; twice that before the third.
        reconnect: Seconds to try for after a lost connection.
        deadline: Seconds that the whole run may take; None for any time.
        policy: What of the drift it accepts; the rest stays drift.
        approved: Whether the plan was approved: then a revision that runs through env.py may load
            and send only what the approval covers.
    """

    url: str
    folder: Path
    invocation: Invocation = field(default_factory=Invocation)
    stack: str = ""
    commit: str = ""
    lock_timeout: str = ""
    statement_timeout: str = ""
    lock_wait: float = 15.0
    tries: int = 5
    pause: float = 0.5
    reconnect: float = 60.0
    deadline: float | None = None
    policy: Policy = field(default_factory=Policy)
    approved: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has done.

    Attributes:
        heads: The version table's rows now, sorted.
        applied: The revisions that ran, in order.
        stamped: Those that were written down without running.
        seconds: How long it took.
        warnings: What did not work and cost nothing, a line each.
    """

    heads: tuple[str, ...]
    applied: tuple[str, ...]
    stamped: tuple[str, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


def run(
    plan: Plan,
    history: History,
    terms: Terms,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    watch: Watch | None = None,
) -> Outcome:
    """Run a plan, and record the catalog; of a plan without steps, the catalog alone.

    Args:
        plan: What to run, from `plan.before`.
        history: What it was made from: the version table, env.py's own SQL, what is stamped.
        terms: Where and how.
        progress: Told what happens; inside of an event loop, so that it should not take long.
        cancelled: Asked before each revision whether to stop; the same.
        watch: Looks on.

    Raises:
        LateError: The deadline came.
        LiveError: No connection, or it did not come back.
        LockedError: Another run holds the lock.
        MovedError: The database is not where the plan begins, or was moved meanwhile.
        LedgerError: The ledger can't be made or written.
        StoppedError: `cancelled` said so.
        MigrationError: A revision failed.
    """
    return asyncio.run(_Run(plan, history, terms, progress, cancelled, watch).run())


class _Run:
    """One run of a plan."""

    def __init__(
        self,
        plan: Plan,
        history: History,
        terms: Terms,
        progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        watch: Watch | None,
    ) -> None:
        """Know everything; nothing happens yet."""
        self._plan = plan
        self._history = history
        self._terms = terms
        self._progress = progress
        self._cancelled = cancelled
        self._watch = watch
        self._current: Step | None = None
        self._applied: list[str] = []
        self._heads = plan.before
        identity = Identity(
            id=str(uuid.uuid4()), stack=terms.stack, commit=terms.commit, plan=plan.digest
        )
        self._session = Session(
            terms.url,
            identity,
            history,
            lock_timeout=terms.lock_timeout,
            statement_timeout=terms.statement_timeout,
            watch=watch,
        )
        self._online = Online(self._session, history, terms, watch=watch)

    async def run(self) -> Outcome:
        """Run it all, within the deadline."""
        limit = asyncio.timeout(self._terms.deadline)
        try:
            async with limit:
                return await self._run()
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise failures.late(
                self._current, self._session.running, self._terms.deadline, self._kept()
            ).having(self._applied) from exc
        finally:
            await self._online.close()
            await self._session.close()
            if self._watch:
                await self._watch.close()

    async def _run(self) -> Outcome:
        begin = time.monotonic()
        await self._session.open(
            seconds=self._terms.lock_wait, kept=self._kept, waiting=self._wait_for
        )
        await self._prepare()
        await self._stamp()
        for number, step in enumerate(self._plan.steps, start=1):
            await self._step(number, step)
        warnings = await self._record()
        return Outcome(
            heads=self._heads,
            applied=tuple(self._applied),
            stamped=self._plan.stamp,
            seconds=time.monotonic() - begin,
            warnings=warnings,
        )

    async def _prepare(self) -> None:
        """Compare with the plan, and see to the ledger; nothing is changed before that."""
        try:
            await self._persist(self._check)
        except Failure as failure:
            raise MigrationError(
                f"{self._session.place} can't be migrated: {failure.reason.text}"
                f" ({failure.reason.sqlstate or 'no answer'}). {self._kept()}"
                f" {failures.advice(failure.reason)}"
            ) from failure

    async def _check(self) -> None:
        heads = await self._session.heads()
        if heads != self._plan.before:
            raise self._moved(self._plan.before, heads)
        await self._fits()
        await self._session.ensure_ledger()
        await self._session.survey(heads)

    async def _persist(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do what can be done twice, again after each loss of the connection."""
        for tries in range(1, self._terms.tries + 1):
            try:
                await action()
            except Failure as failure:
                if not failure.reason.lost or tries == self._terms.tries:
                    raise
                await self._reopen(self._kept)
            else:
                return

    async def _reopen(self, kept: Callable[[], str]) -> None:
        await self._session.reopen(
            deadline=self._terms.reconnect,
            seconds=self._terms.lock_wait,
            kept=kept,
            waiting=self._wait_for,
        )

    async def _fits(self) -> None:
        """Refuse ids that the version table can't hold, before anything runs."""
        rows = {id_ for step in self._plan.steps for id_ in step.after} | set(self._plan.after)
        if not rows - set(self._plan.before):
            return
        width = await self._session.width()
        for id_ in sorted(rows):
            if width and len(id_) > width:
                holds, advice = "holds", "widen the column version_num"
                if self._session.frame.missing:
                    holds, advice = "would hold", "let version_table_impl of env.py widen it"
                raise MigrationError(
                    f"The revision id {id_} has {len(id_)} characters, and the version table"
                    f" {self._session.frame.run.key} {holds} {width}. {self._kept()} Give it a"
                    f" shorter id, or {advice}."
                )

    async def _stamp(self) -> None:
        """Write down what is there already, without running it."""
        ids, plan = self._plan.stamp, self._plan
        if not ids:
            return
        after = plan.steps[0].before if plan.steps else plan.after
        known = self._history.by_id
        steps = [
            Step(
                revision=id_,
                direction="up",
                message=known[id_].message,
                script=Script(),
                before=plan.before,
                after=after,
                needs=known[id_].needs,
                undo=known[id_].downgrade,
            )
            for id_ in ids
        ]

        async def attempt(step: Step) -> None:
            frame = self._session.frame
            events = [ledger.event(frame.run, each, direction="stamp") for each in steps]
            moves = frame.table.move(plan.before, after)
            keeping = keep(frame, moves=moves, events=events)
            await self._session.send(transaction(frame, step, [], compare=True, keeping=keeping))
            self._session.made()

        await self._attempts(steps[-1], attempt, Progress(state="started"), stamped=True)
        self._heads = after

    async def _step(self, number: int, step: Step) -> None:
        """Run one step, unless somebody wants to stop."""
        if self._cancelled():
            left = len(self._plan.steps) - number + 1
            raise StoppedError(
                f"Stopped as asked, before revision {step.revision}; {left} are left."
                f" {self._kept()} Run again to go on."
            ).having(self._applied)
        told = Progress(
            state="started",
            number=number,
            total=len(self._plan.steps),
            revision=step.revision,
            message=step.message,
            direction=step.direction,
        )
        self._progress(told)
        self._current = step
        if self._watch:
            await self._watch.begin(step)
            self._session.remark(self._watch.mark)
        begin = time.monotonic()
        attempt = self._online.run if step.script.live else self._compiled
        await self._attempts(step, attempt, told)
        if self._watch:
            await self._watch.end(step)
        self._note_applied(step)
        self._progress(replace(told, state="done", seconds=time.monotonic() - begin))

    def _note_applied(self, step: Step) -> None:
        self._applied.append(step.revision)
        self._heads = step.after

    async def _compiled(self, step: Step) -> None:
        await compiled.run(self._session, step)

    async def _attempts(
        self,
        step: Step,
        attempt: Callable[[Step], Awaitable[None]],
        told: Progress,
        *,
        stamped: bool = False,
    ) -> None:
        """Try a step until it is there, or can't be."""
        if not self._session.lock.held and await self._settled(step, stamped=stamped):
            return
        await self._session.renew(self._kept)
        self._session.forget_blocker()
        for tries in range(1, self._terms.tries + 1):
            if self._watch:
                self._watch.attempt()
            try:
                await attempt(step)
            except Failure as failure:
                reason = failure.reason
                if reason.finished:
                    self._note_applied(step)
                    raise failures.failed(
                        step, reason, kept=self._kept(), tries=1, place=self._session.place
                    ).having(self._applied) from failure
                unsure = reason.lost or failure.moved
                if unsure and await self._settled(step, stamped=stamped):
                    return
                again = unsure or reason.sqlstate in failures.AGAIN
                if not again or tries == self._terms.tries:
                    raise failures.failed(
                        step,
                        reason,
                        kept=self._kept(),
                        tries=tries,
                        place=self._session.place,
                        blocker=self._session.blocker,
                    ).having(self._applied) from failure
                await self._pause(tries, self._why(reason), told)
            else:
                return

    def _why(self, reason: failures.Reason) -> str:
        """Say why a step is tried again, and who was in its way."""
        blocked = reason.sqlstate in failures.BLOCKED and self._session.blocker
        return f"{reason.text.splitlines()[0]}, held by {blocked}" if blocked else reason.text

    async def _settled(self, step: Step, *, stamped: bool) -> bool:
        """After a connection was lost, see to it that there is one, and whether a step is there.

        Raises:
            MovedError: The database is neither before nor after the step, or somebody else took it
                there.
        """
        unknown = f"Whether {step.revision} was finished is not known."
        kept = f"{self._kept()} {unknown}" if self._applied else unknown
        for _ in range(self._terms.tries):
            try:
                await self._reopen(lambda: kept)
                heads = await self._session.heads()
                done = heads == step.after and await self._session.done(step, stamped=stamped)
            except Failure as failure:
                if not failure.reason.lost:
                    raise
            else:
                if done or heads == step.before:
                    return done
                raise self._moved(step.before, heads)
        raise LiveError(
            f"The connection to {self._session.place} is lost again and again. {kept} Run again"
            " when it is stable."
        )

    async def _pause(self, tries: int, why: str, told: Progress) -> None:
        """Wait before the next try, longer each time, and not as long as others do."""
        seconds = self._terms.pause * 2 ** (tries - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        seconds = min(seconds, _LONGEST_PAUSE)
        note = f"{why.splitlines()[0]}; try {tries + 1} of {self._terms.tries} in {seconds:.1f} s"
        self._progress(replace(told, state="again", note=note))
        await asyncio.sleep(seconds)

    async def _record(self) -> tuple[str, ...]:
        """Keep the catalog for later comparisons; a run does not fail for want of it."""
        try:
            await self._persist(lambda: self._session.record(self._heads, self._terms.policy))
        except (Failure, LiveError, LockedError) as exc:
            said = (
                f"the catalog could not be recorded ({exc}): changes by hand can't be told until"
                " the next run"
            )
            return (said,)
        return ()

    def _wait_for(self, note: str) -> None:
        self._progress(Progress(state="waiting", note=note))

    def _kept(self) -> str:
        if not self._applied:
            noted = self._session.noted
            return f"{failures.NO_REVISION} {noted}" if noted else failures.NOTHING
        number = len(self._applied)
        revisions = "One revision is" if number == 1 else f"{number} revisions are"
        return f"{revisions} finished and kept: the database is at {failures.heads(self._heads)}."

    def _moved(self, planned: tuple[str, ...], found: tuple[str, ...]) -> MigrationError:
        error = failures.moved(planned, found, kept=self._kept(), place=self._session.place)
        return error.having(self._applied)
