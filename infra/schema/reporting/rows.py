"""The table of revisions: what, locks, destroys, rehearsed time, way back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema.reporting import coverage, data_checks, words
from infra.schema.reporting.content import Cell, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.schema.model import Step
    from infra.schema.reporting.content import Tone
    from infra.schema.review import Finding, Held, Rehearsal, Rehearsed, Review

__all__ = [
    "HEAD",
    "LONG_LOCK",
    "LOSES_DATA",
    "alarming",
    "destroyed",
    "strong",
    "table",
    "waits",
]

HEAD = ("Revision", "Locks", "Destroys", "Rehearsed", "Way back")

LOSES_DATA = "downgrade-loses-data"
"""The rule that finds a downgrade which can't bring back what the revision made."""

LONG_LOCK = 1.0
"""Seconds of a lock on what was there before, from which on a reader should look: those who wait
for it longer are users who notice."""

_LOCKS = 3  # in a cell; all of them are in the details
_LOSSES = 6

_REHEARSED = Cell(lines=("rehearsed",), tone="good")
_NOTHING = Cell(lines=("its downgrade does nothing",), tone="bad")

# What waits for a lock, of that which an application does; PostgreSQL 17, 13.3.1.
_WAITS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
    "ShareUpdateExclusiveLock": "other changes of the schema, vacuum",
    "RowExclusiveLock": "changes of the schema",
    "RowShareLock": "changes of the schema",
    "AccessShareLock": "changes of the schema",
}
_STRONG = frozenset(mode for mode, waits in _WAITS.items() if "writes" in waits)


def waits(mode: str) -> str:
    """Say what waits while somebody holds a lock."""
    return _WAITS.get(mode, "not known")


def strong(mode: str) -> bool:
    """Tell whether an application that writes waits for it."""
    return mode in _STRONG


def table(review: Review) -> tuple[Row, ...]:
    """Give a row for each revision that would run."""
    if review.plan is None:
        return ()
    losing = {each.revision: each for each in review.findings if each.rule == LOSES_DATA}
    return tuple(_row(step, review, losing) for step in review.plan.steps)


def alarming(row: Row) -> bool:
    """Tell whether a reader must know of a revision although an earlier release has it."""
    return any(cell.tone == "bad" for cell in (row.locks, row.destroys, row.time))


def _row(step: Step, review: Review, losing: Mapping[str, Finding]) -> Row:
    rehearsal = review.rehearsal
    ran = rehearsal.step(step.revision) if rehearsal else None
    marks = (
        "takes back" if step.direction == "down" else "",
        "runs live" if step.script.live else "",
        "commits statement by statement" if step.script.autocommit else "",
        "goes on after an interrupted run" if step.again else "",
    )
    return Row(
        revision=words.line(step.revision),
        message=words.cut(step.message, 120),
        marks=tuple(filter(None, marks)),
        locks=_locks(step, ran, rehearsal.rows if rehearsal else {}),
        destroys=_destroys(step, rehearsal),
        time=_time(ran, rehearsal),
        back=_back(step, review, losing),
    )


def _locks(step: Step, ran: Rehearsed | None, real: Mapping[str, int]) -> Cell:
    if ran is not None and not (ran.failure and not ran.locks):
        held = ran.locks
        said = [_held(lock, real) for lock in held]
        bad = any(strong(lock.mode) and lock.seconds >= LONG_LOCK for lock in held)
    elif step.script.live:
        return Cell(lines=("not known: runs live",), tone="bad")
    else:
        said = [f"{each.mode} on {each.relation} (by the manual)" for each in step.script.locks]
        bad = False  # nobody knows for how long
    if not said:
        return Cell(lines=("none on what is there",), tone="faint")
    more = len(said) - _LOCKS
    lines = [*said[:_LOCKS], *([f"and {more:,} more"] if more > 0 else [])]
    return Cell(lines=tuple(map(words.line, lines)), tone="bad" if bad else "")


def _held(lock: Held, real: Mapping[str, int]) -> str:
    manual = " (by the manual)" if lock.by == "manual" else ""
    # How long it is held for real depends on them, and nobody else tells how many there are.
    rows = real.get(lock.relation, 0) if strong(lock.mode) else 0
    about = f" ({words.about(rows)})" if rows else ""
    return f"{lock.mode} on {lock.relation}{about}, {words.seconds(lock.seconds)}{manual}"


def destroyed(step: Step, rehearsal: Rehearsal | None) -> tuple[str, ...]:
    """List what goes with its data: what the plan knows, and what the rehearsal saw emptied."""
    ran = rehearsal.step(step.revision) if rehearsal else None
    emptied = [f"empties {table}" for table in (ran.emptied if ran else ())]
    known = " ".join(step.loses)
    fresh = [text for text in emptied if text.removeprefix("empties ") not in known]
    return tuple(map(words.line, (*step.loses, *fresh)))


def _destroys(step: Step, rehearsal: Rehearsal | None) -> Cell:
    lost = destroyed(step, rehearsal)
    if lost:
        more = len(lost) - _LOSSES
        lines = (*lost[:_LOSSES], *((f"and {more:,} more",) if more > 0 else ()))
        return Cell(lines=lines, tone="bad")
    if step.script.live:
        return Cell(lines=("not known: runs live",))
    return Cell(lines=("nothing",), tone="faint")


def _time(ran: Rehearsed | None, rehearsal: Rehearsal | None) -> Cell:
    if rehearsal is None:
        return Cell(lines=("not rehearsed",), tone="faint")
    if ran is None:
        return Cell(lines=("not reached",), tone="bad")
    if ran.failure:
        return Cell(lines=("fails",), tone="bad")
    over = coverage.over(ran, rehearsal)
    return Cell(lines=tuple(filter(None, (words.seconds(ran.seconds), over))))


def _back(  # noqa: PLR0911 - one for each thing that a person may count on
    step: Step, review: Review, losing: Mapping[str, Finding]
) -> Cell:
    """Say what a person can count on who wants to undo this."""
    rehearsal = review.rehearsal
    if step.direction == "down":
        lost = destroyed(step, rehearsal)
        said = "apply it again" + ("; the data is gone" if lost else "")
        return Cell(lines=(said,), tone="bad" if lost else "")
    if step.undo.absent:
        return Cell(lines=("none",), tone="bad")
    if data_checks.refused_back(review, step.revision) is not None:
        return Cell(lines=("fails over the live rows",), tone="bad")
    went = next((each for each in _back_of(rehearsal) if each.revision == step.revision), None)
    tried = _tried(step, went, rehearsal)
    if went and rehearsal and rehearsal.returned and not went.failure:
        if _idle(step):
            return _NOTHING
        return Cell(lines=("rehearsed, differs",), tone="bad")
    finding = losing.get(step.revision)
    if finding is not None:  # a note, where it only loses what is written from now on
        bad = finding.level != "note" and not finding.suppressed
        tone: Tone = "bad" if bad or tried.tone == "bad" else ""
        return Cell(lines=("loses data", *tried.lines), tone=tone)
    return tried


def _tried(step: Step, went: Rehearsed | None, rehearsal: Rehearsal | None) -> Cell:
    if went is not None and rehearsal is not None:
        if went.failure:
            return Cell(lines=("fails",), tone="bad")
        over = coverage.over(went, rehearsal)
        return replace(_REHEARSED, lines=(*_REHEARSED.lines, *filter(None, (over,))))
    if step.undo.live:
        return Cell(lines=("runs live, not rehearsed",))
    return _NOTHING if _idle(step) else Cell(lines=("available, not rehearsed",))


def _idle(step: Step) -> bool:
    """Tell whether a revision changes something, and its downgrade does not."""
    changes = bool(step.script.statements or step.script.live)
    return changes and not (step.undo.statements or step.undo.live)


def _back_of(rehearsal: Rehearsal | None) -> tuple[Rehearsed, ...]:
    return rehearsal.back if rehearsal else ()
