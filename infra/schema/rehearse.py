"""Rehearses a plan: on a throwaway server that is made like the live database, and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.schema import apply, catalog, dsn, live
from infra.schema.errors import MigrationError
from infra.schema.graph import Present, closure
from infra.schema.model import Catalog, Plan, Step
from infra.schema.rehearsing import comparing, words
from infra.schema.rehearsing.limit import Limit
from infra.schema.rehearsing.measure import Measure
from infra.schema.rehearsing.remake import empty, remake
from infra.schema.review import Rehearsal, Rehearsed
from infra.schema.running.progress import Progress, line
from infra.schema.statements.sql import identifier
from infra.servers.throwaway import throwaway

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from infra.schema.model import History, Live
    from infra.schema.node import Say
    from infra.schema.options import Options
    from infra.schema.rehearsing.remake import Remade

__all__ = ["SETTINGS", "Terms", "rehearse"]

# Nothing but the rehearsal may write WAL or take locks. Many relations in one transaction, as a
# schema of thousands of tables is made, need more locks than a server has by default.
_NOTHING = Catalog(format=catalog.FORMAT, objects={})
SETTINGS = ("autovacuum=off", "full_page_writes=on", "max_locks_per_transaction=2048")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Where and how a plan is rehearsed.

    Attributes:
        folder: The Alembic directory.
        url: libpq URL of the live database, secret; read, and nothing else. None where there is
            none yet.
        options: How the node acts.
        binaries: Folder with PostgreSQL's programs; empty uses the machine's or fetches them.
        released: Ids of pending revisions that an earlier release had: they are made first, and
            belong to what the others begin with.
        deletes: Statements that take out of made-up rows what the live rows have none of.
    """

    folder: Path
    url: str | None
    options: Options
    binaries: str = ""
    released: Collection[str] = ()
    deletes: Sequence[str] = ()


def rehearse(
    plan: Plan, history: History, there: Live | None, terms: Terms, *, say: Say
) -> Rehearsal:
    """Run a plan where it can do no harm, and tell what happened.

    Args:
        plan: What is pending.
        history: What it was made from.
        there: The live database; None where there is none yet.
        terms: Where and how.
        say: Told of progress.

    Returns:
        What was seen; where a step failed, its failure.

    Raises:
        RehearsalError: The live database could not be remade.
        ClusterError: No throwaway server could be made.
    """
    limit = Limit(terms.options.rehearse_timeout)
    say("rehearsing: a throwaway server is made like the live database", live=True)
    rows = terms.options.rehearse_rows
    seen, refused = _once(plan, history, there, terms, rows=rows, limit=limit, say=say)
    if not refused:
        return seen
    # Values are made up, and may be what no live row has: what they refuse proves nothing.
    say("rehearsing again, without made-up rows", live=True)
    again, _ = _once(plan, history, there, terms, rows=0, limit=limit, say=say)
    return again if again.failure else replace(again, refused=refused)


def _once(  # noqa: PLR0913 - a plan, and on what it is rehearsed
    plan: Plan,
    history: History,
    there: Live | None,
    terms: Terms,
    *,
    rows: int,
    limit: Limit,
    say: Say,
) -> tuple[Rehearsal, str]:
    """Rehearse on a server of its own; gives what was seen, and what made-up rows refused."""
    with throwaway(binaries=terms.binaries, settings=SETTINGS) as server:
        if limit.over:
            raise limit.late("while the throwaway server was made")
        if there is None or terms.url is None:
            made = empty(server, history, limit, terms.options.schema)
        else:
            made = remake(
                server,
                history,
                there,
                terms.url,
                folder=terms.folder,
                invocation=terms.options.invocation,
                generate=rows,
                deletes=terms.deletes,
                limit=limit,
            )
        stage = _Stage(plan, history, terms, made, limit=limit, say=say)
        return stage.play(), stage.refused


class _Stage:
    """One rehearsal on a server that is ready for it.

    Attributes:
        refused: What failed over made-up rows, in a line, where the values may be at fault.
    """

    def __init__(
        self,
        plan: Plan,
        history: History,
        terms: Terms,
        made: Remade,
        *,
        limit: Limit,
        say: Say,
    ) -> None:
        """Know everything; nothing happens yet."""
        self._plan = plan
        self._history = history
        self._terms = terms
        self._made = made
        self._limit = limit
        self._say = say
        self._there = live.read_for(history, made.url)
        self.refused = ""

    def play(self) -> Rehearsal:
        """Run it all: what an earlier release had, what is new, and back again."""
        first, new = _divided(self._plan, self._history, self._terms.released)
        steps: list[Rehearsed] = []
        seen = Rehearsal(
            base=self._base(first),
            server=_version(self._there.server),
            before=self._there.catalog or _NOTHING,
            rows=self._made.rows,
            generated=self._made.generated,
            notes=self._made.notes,
        )
        try:
            if first.steps:
                self._run(first, steps)
                seen = replace(seen, before=self._catalog())
            self._run(new, steps)
        except MigrationError as exc:
            timeout = self._terms.options.rehearse_timeout
            made_up = bool(self._made.generated)
            self.refused = words.refused(exc, self._plan) if made_up else ""
            failure, why = words.failed(exc, self._plan, timeout, made_up=made_up)
            if steps:
                steps[-1] = replace(steps[-1], failure=why)
            return replace(seen, steps=tuple(steps), failure=failure)
        seen = replace(seen, steps=tuple(steps), after=self._catalog())
        return self._back(self._compared(seen), new)

    def _compared(self, seen: Rehearsal) -> Rehearsal:
        """Compare what came of it with the models."""
        if not self._at_head():
            return replace(
                seen, uncompared="the models are those of the head, where this does not end"
            )
        differs, why = comparing.compare(
            self._made.url,
            folder=self._terms.folder,
            invocation=self._terms.options.invocation,
            seconds=self._limit.left(),
        )
        return replace(seen, differs=differs, uncompared=why)

    def _at_head(self) -> bool:
        """Tell whether all is there; heads that others depend on are no rows of their own."""
        needs = {revision.id: revision.needs for revision in self._history.revisions}
        return closure(self._plan.after, needs).issuperset(self._history.heads)

    def _back(self, seen: Rehearsal, done: Plan) -> Rehearsal:
        """Take back what is new, newest first, and compare with the beginning."""
        down, why = _undone(done)
        if down.steps and self._limit.over:
            return replace(seen, unreturned="no time was left to go back")
        back: list[Rehearsed] = []
        try:
            if down.steps:
                self._run(down, back)
        except MigrationError as exc:
            why = words.unreturned(exc, down)
            if back and back[-1].revision == exc.revision:
                back[-1] = replace(back[-1], failure=why)
        seen = replace(seen, back=tuple(back), unreturned=why)
        if why:
            return seen
        return replace(seen, returned=catalog.compare(seen.before, self._catalog()))

    def _run(self, plan: Plan, steps: list[Rehearsed]) -> None:
        if not plan.steps and not plan.stamp:
            return
        options = self._terms.options
        measure = Measure(
            dsn.arguments(self._made.admin),
            version_table=self._version_table(),
            rows=self._made.rows,
            sizes=self._made.bytes,
            home=self._there.schema,
        )
        measure.steps = steps
        apply.run(
            plan,
            self._history,
            apply.Terms(
                url=self._made.url,
                folder=self._terms.folder,
                invocation=options.invocation,
                lock_timeout=options.lock_timeout,
                statement_timeout=options.statement_timeout,
                tries=1,
                deadline=self._limit.left(),
            ),
            progress=self._progress,
            watch=measure,
        )

    def _progress(self, progress: Progress) -> None:
        if progress.state == "started":
            self._say(f"rehearsing {line(progress)}", live=True)

    def _catalog(self) -> Catalog:
        return live.read_for(self._history, self._made.url).catalog or _NOTHING

    def _version_table(self) -> str:
        schema = self._history.version_schema or self._there.schema
        return f"{identifier(schema)}.{identifier(self._history.version_table)}"

    def _base(self, first: Plan) -> str:
        if not first.steps:
            return self._made.base
        return f"the history up to {', '.join(first.after)}, which an earlier release had"


def _version(number: int) -> str:
    return f"{number // 10_000}.{number % 10_000}"


def _divided(plan: Plan, history: History, released: Collection[str]) -> tuple[Plan, Plan]:
    """Divide a plan into what an earlier release had and what is new."""
    old = [step for step in plan.steps if step.direction == "up" and step.revision in released]
    new = [step for step in plan.steps if step not in old]
    if not old or not new or any(step.direction == "down" for step in new):
        return Plan(), plan
    needs = {revision.id: revision.needs for revision in history.revisions}
    present = Present(set(plan.stamp), needs)
    begin = present.heads if plan.stamp else plan.before
    if begin:  # a database that has something begins with what it has
        return Plan(), plan
    ordered = [_moved(present, step) for step in (*old, *new)]
    middle = ordered[len(old) - 1].after
    return (
        Plan(steps=tuple(ordered[: len(old)]), before=(), after=middle),
        Plan(steps=tuple(ordered[len(old) :]), before=middle, after=plan.after),
    )


def _moved(present: Present, step: Step) -> Step:
    before = present.heads
    present.add(step.revision)
    return replace(step, before=before, after=present.heads)


def _undone(done: Plan) -> tuple[Plan, str]:
    """Plan the way back, as far as there is one; and say what it ends at."""
    steps: list[Step] = []
    why = ""
    for step in reversed(done.steps):
        if step.direction == "down":
            why = "the plan itself goes back"
            break
        if step.undo.absent:
            why = f"{step.revision} has no way back: {step.undo.live}"
            break
        steps.append(
            replace(
                step,
                direction="down",
                script=step.undo,
                before=step.after,
                after=step.before,
                again=False,
                loses=(),
            )
        )
    after = steps[-1].after if steps else done.after
    return Plan(steps=tuple(steps), before=done.after, after=after), why
