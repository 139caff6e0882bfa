"""The details of what would run: findings, SQL, locks, notes; a section each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from infra.schema import catalog
from infra.schema.linting import levels
from infra.schema.reporting import rows, words
from infra.schema.reporting.content import Code, Grid, Point, Points, Said, Section
from infra.schema.review import LEVELS
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.model import Plan, Script, Step
    from infra.schema.reporting.content import Block
    from infra.schema.review import Finding, Rehearsal, Rehearsed, Review, Sent

__all__ = ["drift", "failure", "findings", "locks", "models", "notes", "sql", "written"]

_VALUES = "\n-- with "  # what was sent beside a statement stands behind it
_ALIKE = 3
_SHORT = 40  # lines of SQL that are shown unfolded
_RECORDED = (
    "Runs live: {why}. This is what the rehearsal recorded; what runs on the real database may"
    " differ, and is not promised."
)


def failure(review: Review) -> Section | None:
    """Give the whole message of a rehearsal that failed."""
    rehearsal = review.rehearsal
    if rehearsal is None or not rehearsal.failure:
        return None
    said = [rehearsal.failure]
    said += [each.failure for each in rehearsal.steps if each.failure not in rehearsal.failure]
    return Section(
        title="Why it fails",
        about="the whole message",
        blocks=tuple(Code(text=words.visible(text), language="text") for text in said),
        unit="message",
        keep=10,
        open=True,
    )


def reasons(lines: Iterable[str]) -> Section:
    """Give reasons in full, where there are too many for the top."""
    points = tuple(Point(text=words.line(line)) for line in lines)
    return Section(
        title="Why",
        about=words.plural(len(points), "reason"),
        blocks=(Points(points=points),),
        unit="reason",
        keep=10,
        open=True,
    )


def findings(review: Review) -> Section | None:
    """List what lint says by level, and what the revisions' files let pass, with the reason."""
    counted = [finding for finding in review.findings if not finding.suppressed]
    passed = [finding for finding in review.findings if finding.suppressed]
    blocks: list[Block] = []
    about = []
    for level in LEVELS:
        of_level = [finding for finding in counted if finding.level == level]
        if of_level:
            about.append(words.plural(len(of_level), level))
            blocks.append(Said(text=f"{about[-1].capitalize()}:"))
            blocks.append(Points(points=tuple(map(_finding, of_level))))
    if passed:
        about.append(f"{len(passed):,} let pass")
        blocks.append(Said(text=f"{len(passed):,} let pass by the revisions' own files:"))
        blocks.append(Points(points=tuple(map(_finding, passed))))
    if not blocks:
        return None
    return Section(
        title="Findings",
        about=", ".join(about),
        blocks=tuple(blocks),
        unit="finding",
        keep=9,
        open=any(finding.level == "error" for finding in counted),
    )


def _finding(finding: Finding) -> Point:
    more = [
        f"let pass, since: {finding.suppressed}" if finding.suppressed else "",
        f"instead: {finding.help}" if finding.help else "",
        f"in: {first_line(finding.statement)}" if finding.statement else "",
    ]
    where = f" (revision {finding.revision})" if finding.revision else ""
    return Point(
        lead=words.line(finding.rule),
        link=levels.page(finding.rule),
        marked=True,
        text=words.line(f"{finding.message}{where}"),
        more=tuple(words.line(text) for text in more if text),
    )


def sql(plan: Plan, rehearsal: Rehearsal | None) -> Section | None:
    """Show all SQL in order, with what each statement took where it was rehearsed."""
    if not plan.steps:
        return None
    blocks: list[Block] = []
    for number, step in enumerate(plan.steps, 1):
        ran = rehearsal.step(step.revision) if rehearsal else None
        what = "take back " if step.direction == "down" else ""
        name = words.line(f"{what}{step.revision} {step.message}")
        blocks.append(Said(text=f"{number}/{len(plan.steps)} {name}"))
        blocks += _of_step(step, ran)
    code = [block for block in blocks if isinstance(block, Code)]
    number, lines = len(code), sum(block.text.count("\n") + 1 for block in code)
    return Section(
        title="SQL",
        about=f"{words.plural(len(plan.steps), 'revision')}, {words.plural(number, 'statement')}",
        blocks=tuple(blocks),
        unit="statement",
        keep=3,
        open=lines <= _SHORT,
    )


def _of_step(step: Step, ran: Rehearsed | None) -> Iterator[Block]:
    sent = ran.sent if ran else ()
    if step.script.live:
        why = words.line(step.script.live)
        for statement in step.script.environment:
            yield written(statement, "sent by env.py itself")
        if not sent:
            yield Said(text=f"Runs live: {why}. No SQL is known in advance.")
            return
        yield Said(text=_RECORDED.format(why=why.rstrip(".")))
        yield from _recorded(sent)
        return
    if not step.script.statements:
        yield Said(text="No SQL: it only moves the version.")
    yield from _statements(step.script, sent)


def _recorded(sent: tuple[Sent, ...]) -> Iterator[Block]:
    """Show what was sent; of one statement that is sent for each row only the first ones."""
    numbered = enumerate(sent, 1)
    for _, group in itertools.groupby(numbered, lambda each: each[1].sql.partition(_VALUES)[0]):
        alike = list(group)
        shown = alike[:_ALIKE] if len(alike) > _ALIKE + 1 else alike
        for number, each in shown:
            yield written(each.sql, f"statement {number}{_took(each)} (recorded)")
        more = [each for _, each in alike[len(shown) :]]
        if more:
            taken = words.seconds(sum(each.seconds for each in more))
            yield Said(text=f"The same {len(more):,} times more with other values, {taken}.")


def _statements(script: Script, sent: tuple[Sent, ...]) -> Iterator[Block]:
    """Show the SQL that is promised, beside what the rehearsal measured of the same."""
    total = len(script.statements)
    # Only where the two are told apart in the same way can a time be that of a statement.
    measured = sent if [each.sql for each in sent] == [*script.statements[: len(sent)]] else ()
    number = 0
    for part in script.parts:
        for statement in part.statements:
            took = _took(measured[number]) if number < len(measured) else ""
            number += 1
            alone = ", commits by itself" if part.autocommit else ""
            alone += ", sent by env.py itself" if part.environment else ""
            yield written(statement, f"statement {number} of {total}{took}{alone}")


def _took(sent: Sent) -> str:
    wal = f", {words.size(sent.wal)} of WAL" if sent.wal else ""
    return f", {words.seconds(sent.seconds)}{wal}"


def written(statement: str, title: str) -> Code:
    """Show a statement, ended as psql wants it."""
    text = words.visible(statement).strip("\n")
    last = text.rstrip().rsplit("\n", 1)[-1]
    ended = text if text.rstrip().endswith(";") or "--" in last else f"{text.rstrip()};"
    return Code(text=ended, language="sql", title=title)


def locks(plan: Plan, rehearsal: Rehearsal | None) -> Section | None:
    """Tell which locks are held how long, what is written anew, what is built, how much WAL."""
    if rehearsal is None or not rehearsal.steps:
        return _by_the_manual(plan)
    steps = rehearsal.steps
    blocks: list[Block] = []
    held = tuple(_held(step) for step in steps)
    if any(held):
        head = ("revision", "lock", "on", "held", "from", "waits meanwhile")
        blocks.append(Grid(head=head, rows=tuple(row for each in held for row in each)))
    else:
        blocks.append(Said(text="No locks on what is there."))
    blocks += _rewritten(steps, rehearsal)
    blocks += _built(steps)
    wal = sum(step.wal for step in steps)
    blocks.append(Said(text=f"WAL: {words.size(wal)} on the throwaway server."))
    return Section(
        title="Locks and cost",
        about=_cost(steps),
        blocks=tuple(blocks),
        unit="line",
        keep=6,
    )


def _cost(steps: tuple[Rehearsed, ...]) -> str:
    anew = len(words.unique(each.relation for step in steps for each in step.rewritten))
    built = sum(len(step.built) for step in steps)
    said = [
        words.plural(sum(len(step.locks) for step in steps), "lock"),
        f"{words.plural(anew, 'table')} written anew" if anew else "",
        f"{words.plural(built, 'index', 'indexes')} built" if built else "",
        f"{words.size(sum(step.wal for step in steps))} of WAL",
    ]
    return ", ".join(filter(None, said))


def _held(step: Rehearsed) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            words.line(step.revision),
            f"{lock.mode} (by the manual)" if lock.by == "manual" else lock.mode,
            words.line(lock.relation),
            words.seconds(lock.seconds),
            f"statement {lock.statement}" if lock.statement else "env.py's own",
            rows.waits(lock.mode),
        )
        for lock in step.locks
    )


def _by_the_manual(plan: Plan) -> Section | None:
    found = tuple(
        (words.line(step.revision), lock.mode, words.line(lock.relation), rows.waits(lock.mode))
        for step in plan.steps
        for lock in step.script.locks
    )
    if not found:
        return None
    said = Said(text="By PostgreSQL's manual: not rehearsed, so nobody knows for how long.")
    grid = Grid(head=("revision", "lock", "on", "waits meanwhile"), rows=found)
    return Section(
        title="Locks and cost",
        about=f"{words.plural(len(found), 'lock')}, by the manual",
        blocks=(said, grid),
        unit="line",
        keep=6,
    )


def _rewritten(steps: tuple[Rehearsed, ...], rehearsal: Rehearsal) -> Iterator[Block]:
    found = tuple(
        (
            words.line(step.revision),
            words.line(each.relation),
            _rows(each.rows, each.relation, rehearsal),
            words.size(each.bytes) if each.bytes is not None else "not known",
        )
        for step in steps
        for each in step.rewritten
    )
    if found:
        yield Said(text="Tables that are written anew as a whole, locked all the while:")
        yield Grid(head=("revision", "table", "rows", "size"), rows=found)


def _rows(rows_: int | None, relation: str, rehearsal: Rehearsal) -> str:
    known = rehearsal.rows.get(relation) if rows_ is None else rows_
    return "not known" if known is None else words.about(known)


def _built(steps: tuple[Rehearsed, ...]) -> Iterator[Block]:
    found = tuple(
        (
            words.line(step.revision),
            words.line(each.index),
            words.line(each.relation) + (" (new)" if each.fresh else ""),
            words.size(each.bytes),
        )
        for step in steps
        for each in step.built
    )
    if found:
        yield Said(text="Indexes that are built; sizes are those after the rehearsal:")
        yield Grid(head=("revision", "index", "on", "size"), rows=found)


def drift(plan: Plan) -> Section | None:
    """List what somebody changed by hand."""
    if not plan.drift:
        return None
    points = tuple(Point(text=words.line(catalog.worded(each))) for each in plan.drift)
    return Section(
        title="Changed by hand",
        about=words.plural(len(points), "object"),
        blocks=(Points(points=points),),
        unit="object",
        keep=7,
    )


def models(rehearsal: Rehearsal | None) -> Section | None:
    """List what the models say otherwise, or why they were not compared."""
    if rehearsal is None or not (rehearsal.differs or rehearsal.uncompared):
        return None
    blocks: list[Block] = []
    if rehearsal.differs:
        points = tuple(Point(text=words.line(each)) for each in rehearsal.differs)
        blocks += [
            Said(text="After these revisions the models say otherwise than the schema:"),
            Points(points=points),
        ]
    if rehearsal.uncompared:
        blocks.append(Said(text=f"Not compared: {words.line(rehearsal.uncompared)}"))
    about = words.plural(len(rehearsal.differs), "difference")
    return Section(
        title="Models",
        about=about if rehearsal.differs else "not compared",
        blocks=tuple(blocks),
        unit="difference",
        keep=5,
    )


def notes(review: Review, plan: Plan) -> Section | None:
    """Say what a reader could not guess, of the plan and of the rehearsal."""
    rehearsal = review.rehearsal
    said = [*plan.notes]
    said += ["lint is off: nobody looked for findings"] if review.lint == "off" else []
    said += [f"adopted without running: {words.joined(plan.stamp)}"] if plan.stamp else []
    if rehearsal:
        said.append(f"rehearsed on PostgreSQL {rehearsal.server}, from {rehearsal.base}")
        said += rehearsal.notes
        made = {name: number for name, number in rehearsal.generated.items() if number}
        if made:
            tables = words.joined([f"{name} ({n:,})" for name, n in sorted(made.items())])
            said.append(f"rows made up for the rehearsal: {tables}")
    if not said:
        return None
    points = tuple(Point(text=words.line(each)) for each in said)
    return Section(
        title="Notes",
        about=words.plural(len(points), "note"),
        blocks=(Points(points=points),),
        unit="note",
        keep=4,
    )
