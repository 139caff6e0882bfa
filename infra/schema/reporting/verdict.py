"""The verdict in a line, and what it rests on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.schema import view
from infra.schema.reporting import coverage, data_checks, rows, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import Plan
    from infra.schema.reporting.content import Mood, Row
    from infra.schema.review import Rehearsal, Review

__all__ = ["SIGNS", "verdict"]

SIGNS: dict[Mood, str] = {"fine": "✅", "look": "👀", "stop": "⛔", "unknown": "❓"}

_WIDTH = 300
_SAID = "PostgreSQL said"
_STATEMENT = re.compile(r"\bstatement \d+(?: of \d+)?")


def verdict(review: Review, table: tuple[Row, ...]) -> tuple[Mood, str, tuple[str, ...]]:
    """Give how it looks, the line, and the reasons in full, a line each."""
    plan, rehearsal = review.plan, review.rehearsal
    if review.unplanned or plan is None:
        why = review.unplanned or "no plan was made"
        return "unknown", words.cut(f"{view.BLIND}: {why}", _WIDTH), _lines(why)
    violated = data_checks.violations(review)
    if violated:
        said = f"fails over the rows that are there: {words.cut(violated[0], _WIDTH)}"
        said += f" (and {len(violated) - 1:,} more)" if len(violated) > 1 else ""
        return "stop", said, (*review.refuses, *violated[1:], *_for_whom(review, plan))
    if rehearsal and rehearsal.failure:
        return "stop", _failed(plan, rehearsal), (*review.refuses, *_before(review))
    if review.refuses:
        more = len(review.refuses) - 1
        said = f"refused: {words.cut(review.refuses[0], _WIDTH)}"
        said += f" (and {more:,} more)" if more else ""
        return "stop", said, (*review.refuses, *_before(review))
    reasons = tuple(_reasons(review, plan, table))
    if reasons:
        return "look", f"look closely: {'; '.join(reasons)}", _for_whom(review, plan)
    return "fine", _ready(review, plan, table), _before(review)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines()) if "\n" in text.strip() or len(text) > _WIDTH else ()


def _failed(plan: Plan, rehearsal: Rehearsal) -> str:
    """Say which revision failed, at which statement, and what PostgreSQL said."""
    failed = next((step for step in rehearsal.steps if step.failure), None)
    message = failed.failure if failed else rehearsal.failure
    if failed is None:
        return words.cut(f"fails in rehearsal: {message}", _WIDTH)
    said = next((line for line in message.splitlines() if line.startswith(_SAID)), "")
    found = _STATEMENT.search(message) or _STATEMENT.search(rehearsal.failure)
    if not said:
        return words.cut(f"fails in rehearsal: {message}", _WIDTH)
    planned = next((step for step in plan.steps if step.revision == failed.revision), None)
    name = f"{failed.revision} ({planned.message})" if planned and planned.message else ""
    place = f", {found[0]}" if found else ""
    what = "taking back revision" if failed.direction == "down" else "revision"
    said = f"{what} {name or failed.revision}{place}: {said}"
    return words.cut(f"fails in rehearsal: {said}", _WIDTH)


def _ready(review: Review, plan: Plan, table: tuple[Row, ...]) -> str:
    if not plan.steps and not plan.stamp:
        return f"nothing to do: at {words.joined(plan.after) or 'base'}"
    said, rehearsal = _count(review, plan), review.rehearsal
    if plan.steps and rehearsal:
        said += f", {_time(review, rehearsal)}{f', {_back(table)}' if table else ''}"
    elif plan.steps:
        said += ", not rehearsed"
    return f"ready: {said}"


def _back(table: tuple[Row, ...]) -> str:
    rehearsed = all("rehearsed" in row.back.lines and row.back.tone != "bad" for row in table)
    losing = sum("loses data" in row.back.lines for row in table)
    said = "way back for all" if rehearsed else "way back not rehearsed for all"
    return f"{said}, which loses data in {losing:,}" if losing else said


def _for_whom(review: Review, plan: Plan) -> tuple[str, ...]:
    """Say what would run, where the verdict itself says what is wrong with it."""
    if not plan.steps and not plan.stamp:
        return ()
    time = f", {_time(review, review.rehearsal)}" if review.rehearsal else ""
    return (f"{_count(review, plan)}{time}", *_before(review))


def _before(review: Review) -> tuple[str, ...]:
    """Say where those are that the table leaves out."""
    if not review.released:
        return ()
    old = words.plural(len(review.released), "revision")
    return (f"{old} that the previous release has already would run too; their SQL is at the end",)


def _count(review: Review, plan: Plan) -> str:
    down = sum(step.direction == "down" for step in plan.steps)
    up = len(plan.steps) - down - len(review.released)
    new = "new revision" if review.released else "revision"
    said = [
        f"{words.plural(len(plan.stamp), 'revision')} to adopt without running"
        if plan.stamp
        else "",
        f"{words.plural(down, 'revision')} to take back" if down else "",
        f"{words.plural(up, new)} to apply" if up else "",
    ]
    return ", ".join(filter(None, said)) or "no new revision"


def _time(review: Review, rehearsal: Rehearsal) -> str:
    """Say how long what is new took, and that the real tables have rows where these had none."""
    new = [step for step in rehearsal.steps if step.revision not in review.released]
    taken = words.seconds(sum(step.seconds for step in new or rehearsal.steps))
    return f"about {taken} in rehearsal {coverage.total(rehearsal)}".rstrip()


def _reasons(review: Review, plan: Plan, table: tuple[Row, ...]) -> Iterator[str]:
    """Name what a reviewer has to decide about, the worst first."""
    losing = sum(bool(rows.destroyed(step, review.rehearsal)) for step in plan.steps)
    if losing:
        yield f"destroys data in {words.plural(losing, 'revision')}"
    yield from _about_findings(review)
    bad = sum(row.back.tone == "bad" for row in table)
    if bad:
        yield f"no sure way back for {words.plural(bad, 'revision')}"
    blind = sum(
        bool(step.script.live) and not (review.rehearsal and review.rehearsal.step(step.revision))
        for step in plan.steps
    )
    if blind:
        yield f"{words.plural(blind, 'revision')} run live and not rehearsed".replace(
            "1 revision run", "1 revision runs"
        )
    if review.rehearsal:
        yield from _about_rehearsal(review.rehearsal, back=not bad and _goes_up(plan))
    if plan.drift:
        yield f"{words.plural(len(plan.drift), 'object')} changed by hand"


def _about_findings(review: Review) -> Iterator[str]:
    counted = [finding for finding in review.findings if not finding.suppressed]
    for level in ("error", "warning"):
        number = sum(finding.level == level for finding in counted)
        if number:
            yield words.plural(number, level)


def _goes_up(plan: Plan) -> bool:
    return any(step.direction == "up" for step in plan.steps)


def _about_rehearsal(rehearsal: Rehearsal, *, back: bool) -> Iterator[str]:
    held = [
        lock
        for step in rehearsal.steps
        for lock in step.locks
        if rows.strong(lock.mode) and lock.seconds >= rows.LONG_LOCK
    ]
    if held:
        worst = max(held, key=lambda lock: lock.seconds)
        yield (f"{worst.mode} on {words.line(worst.relation)} for {words.seconds(worst.seconds)}")
    rewritten = words.unique(each.relation for step in rehearsal.steps for each in step.rewritten)
    if rewritten:
        yield f"writes {words.line(words.joined(rewritten, most=3))} anew"
    if rehearsal.unreturned and back:
        yield "the way back did not go to its end in rehearsal"
    if rehearsal.returned:
        objects = words.plural(len(rehearsal.returned), "object")
        yield f"the way back leaves {objects} different"
    if rehearsal.differs:
        yield "the models say otherwise than the revisions"
