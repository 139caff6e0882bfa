"""Over how many rows a rehearsal ran, and what it could not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.reporting import words
from infra.schema.reporting.content import Point, Points, Said, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import Plan
    from infra.schema.review import Rehearsal, Rehearsed, Review

__all__ = ["over", "total", "unrehearsed"]

_NAMED = 5


def total(rehearsal: Rehearsal) -> str:
    """Say over how many rows all of it ran; empty where the live tables have none either."""
    made = [number for number in rehearsal.generated.values() if number]
    if made:
        tables = words.plural(len(made), "table")
        return f"over {words.plural(sum(made), 'made-up row')} in {tables}"
    return "without rows" if any(rehearsal.rows.values()) else ""


def over(ran: Rehearsed, rehearsal: Rehearsal) -> str:
    """Say over how many rows one revision ran: those of the tables that it locks."""
    tables = words.unique(lock.relation for lock in ran.locks)
    rows = sum(rehearsal.generated.get(table, 0) for table in tables)
    if rows:
        return words.plural(rows, "made-up row")
    return "no rows" if any(map(rehearsal.rows.get, tables)) else ""


def unrehearsed(review: Review, plan: Plan) -> Section | None:
    """List what a rehearsal that went well does not say."""
    rehearsal = review.rehearsal
    if rehearsal is None or rehearsal.failure:
        return None
    points = tuple(Point(text=words.line(text)) for text in _missing(review, plan, rehearsal))
    if not points:
        return None
    return Section(
        title="Not rehearsed",
        about=words.plural(len(points), "thing"),
        blocks=(
            Said(text="What went well on the throwaway server says nothing of these:"),
            Points(points=points),
        ),
        unit="thing",
        keep=7,
    )


def _missing(review: Review, plan: Plan, rehearsal: Rehearsal) -> Iterator[str]:
    if rehearsal.refused:
        yield f"rows: {rehearsal.refused}; without rows all revisions ran"
    touched = words.unique(lock.relation for step in rehearsal.steps for lock in step.locks)
    empty = [
        f"{table} ({words.about(rehearsal.rows[table])} there)"
        for table in touched
        if rehearsal.rows.get(table) and not rehearsal.generated.get(table)
    ]
    if empty:
        yield f"tables without rows here: {words.joined(empty, most=_NAMED)}"
    made = [table for table in touched if rehearsal.generated.get(table)]
    if made:
        yield (
            f"the values of the live rows: those of {words.joined(made, most=_NAMED)} are made up"
            " (types, NULLs and numbers of different values are like the live ones)"
        )
    depending = sum(not each.undo and each.outcome != "holds" for each in review.data_checks)
    if depending:
        yield f"whether live rows allow {words.plural(depending, 'statement')}: see the rows above"
    for step in plan.steps:
        if step.script.live:
            why = step.script.live
            yield f"what {step.revision} sends to the real rows: it runs online ({why})"
    if rehearsal.unreturned and not any(step.direction == "down" for step in plan.steps):
        yield f"the way back: {rehearsal.unreturned}"
    yield from (note for note in rehearsal.notes if note.startswith("not remade"))
