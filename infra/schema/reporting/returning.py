"""How to go back: the commands, what the rehearsal of it saw, and the SQL that would run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.schema import catalog
from infra.schema.reporting import details, words
from infra.schema.reporting.content import Code, Grid, Point, Points, Said, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import Plan
    from infra.schema.reporting.content import Block, Row
    from infra.schema.review import Rehearsal

__all__ = ["way_back", "way_back_sql"]

_COMMANDS = """\
# in a checkout of the commit before this change, whose newest revision is {there}
pulumi config set {downgrade} allow
pulumi up
# or, without Pulumi:
python -m infra.schema upgrade --downgrade allow{stack}"""

_FORWARD = """\
# this takes revisions back; to apply them again, from a checkout that has them
pulumi up
# or, without Pulumi:
python -m infra.schema upgrade{stack}"""


def way_back(
    plan: Plan,
    rehearsal: Rehearsal | None,
    table: tuple[Row, ...],
    *,
    stack: str,
    refused: bool,
) -> Section | None:
    """Say how to undo what would run, and what came of it in the rehearsal."""
    if not plan.steps:
        return None
    up = any(step.direction == "up" for step in plan.steps)
    there = words.line(", ".join(plan.before) or "none: the database is empty")
    commands = (_COMMANDS if up else _FORWARD).format(
        there=there,
        downgrade=spelled("downgrade"),
        # Asked for where the ledger names the stack.
        stack=f" --stack {shlex.quote(stack)}" if stack else "",
    )
    blocks: list[Block] = [Code(text=commands, language="sh")]
    if up and rehearsal:
        blocks += _rehearsed(rehearsal)
    blocks += _reasons(plan)
    bad = sum(row.back.tone == "bad" for row in table)
    good = all("rehearsed" in row.back.lines for row in table)
    sure = "for all, rehearsed" if good else "not rehearsed for all"
    return Section(
        title="How to go back",
        about=f"none that is sure for {words.plural(bad, 'revision')}" if bad else sure,
        blocks=tuple(blocks),
        unit="line",
        keep=8,
        open=not refused and bool(bad),
    )


def _rehearsed(rehearsal: Rehearsal) -> Iterator[Block]:
    if rehearsal.back:
        rows = tuple(
            (
                words.line(each.revision),
                f"fails: {words.cut(each.failure, 200)}" if each.failure else "taken back",
                words.seconds(each.seconds),
            )
            for each in rehearsal.back
        )
        yield Grid(head=("revision", "in the rehearsal", "time"), rows=rows)
    if rehearsal.unreturned:
        yield Said(text=f"Not taken back to the end: {words.line(rehearsal.unreturned)}")
    if rehearsal.returned:
        yield Said(text="Afterwards this is not as it was before:")
        points = [Point(text=words.line(catalog.worded(each))) for each in rehearsal.returned]
        yield Points(points=tuple(points))
    elif rehearsal.back and not rehearsal.unreturned:
        yield Said(text="Afterwards the schema was as before, object by object.")


def _reasons(plan: Plan) -> Iterator[Block]:
    """Say of revisions without SQL for the way back, why."""
    points = [
        Point(lead=words.line(step.revision), text=words.line(f"{word}: {step.undo.live}"))
        for step in plan.steps
        if step.direction == "up" and (step.undo.absent or step.undo.live)
        for word in ("has none" if step.undo.absent else "runs live",)
    ]
    if points:
        yield Points(points=tuple(points))


def way_back_sql(plan: Plan) -> Section | None:
    """Show the SQL of the way back, the newest revision first."""
    blocks: list[Block] = []
    for step in reversed(plan.steps):
        if step.direction == "up" and step.undo.statements:
            blocks.append(Said(text=words.line(f"{step.revision} {step.message}")))
            total = len(step.undo.statements)
            blocks += [
                details.written(statement, f"statement {number} of {total}")
                for number, statement in enumerate(step.undo.statements, 1)
            ]
    if not blocks:
        return None
    number = sum(isinstance(block, Code) for block in blocks)
    return Section(
        title="SQL of the way back",
        about=words.plural(number, "statement"),
        blocks=tuple(blocks),
        unit="statement",
        keep=2,
    )
