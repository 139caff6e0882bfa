"""Makes the content of a report from a review: what all three outputs show."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.schema import view
from infra.schema.model import Plan
from infra.schema.reporting import (
    compared,
    coverage,
    data_checks,
    details,
    drawing,
    erd,
    returning,
    rows,
    words,
)
from infra.schema.reporting.content import Drawing, Report, Said, Section
from infra.schema.reporting.verdict import SIGNS, verdict
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.reporting.content import Block, Row
    from infra.schema.review import Rehearsal, Review

__all__ = ["report"]

_REASONS = 8  # at the top; more of them are folded
_WIDTH = 300


def report(review: Review) -> Report:
    """Decide what a report says; the order of its sections is that of reading."""
    table = _table(review)
    mood, line, reasons = verdict(review, table)
    plan = review.plan
    failed = bool(review.rehearsal and review.rehearsal.failure)
    failed = failed or bool(data_checks.violations(review))
    content = Report(
        stack=words.line(review.stack),
        sign=SIGNS[mood],
        mood=mood,
        verdict=words.line(line),
        reasons=tuple(words.cut(reason, _WIDTH) for reason in reasons[:_REASONS]),
        # Nobody is to approve what has just failed.
        digest="" if failed or plan is None else view.approve(plan),
        rows=table,
        sections=tuple(_sections(review, table, reasons)),
    )
    shown: Report = _shown(content)
    return shown


def _shown(content: Any) -> Any:
    """Let no control character through, whatever part of the content it is in."""
    if isinstance(content, str):
        return visible(content)
    if isinstance(content, tuple):
        return tuple(map(_shown, content))
    if is_dataclass(content) and not isinstance(content, type):
        return replace(
            content, **{each.name: _shown(getattr(content, each.name)) for each in fields(content)}
        )
    return content


def _table(review: Review) -> tuple[Row, ...]:
    """Give the rows of what is new, and of what a reader must not miss of the rest."""
    return tuple(
        row
        for row in rows.table(review)
        if row.revision not in map(words.line, review.released) or rows.alarming(row)
    )


def _told(review: Review, table: tuple[Row, ...]) -> tuple[Plan, Rehearsal | None]:
    """Leave out of the details what is not in the table: history, which has a section of its own.

    Long ago somebody has read it; what is new must not be cut for it.
    """
    told = {row.revision for row in table}
    plan, rehearsal = review.plan or Plan(), review.rehearsal
    if rehearsal:
        steps, back = (
            tuple(each for each in way if words.line(each.revision) in told)
            for way in (rehearsal.steps, rehearsal.back)
        )
        rehearsal = replace(rehearsal, steps=steps, back=back)
    steps_ = tuple(step for step in plan.steps if words.line(step.revision) in told)
    return replace(plan, steps=steps_), rehearsal


def _before(review: Review, table: tuple[Row, ...]) -> Section | None:
    """Give the SQL of what is not in the table."""
    if review.plan is None:
        return None
    told = {row.revision for row in table}
    steps = tuple(step for step in review.plan.steps if words.line(step.revision) not in told)
    found = details.sql(replace(review.plan, steps=steps), review.rehearsal)
    return found and replace(found, title="SQL that the previous release has already", keep=-1)


def _sections(
    review: Review, table: tuple[Row, ...], reasons: tuple[str, ...]
) -> Iterator[Section]:
    plan, rehearsal = review.plan, review.rehearsal
    long = len(reasons) > _REASONS or any(len(reason) > _WIDTH for reason in reasons)
    found = [
        details.reasons(reasons) if long else None,
        details.failure(review),
        details.findings(review),
        data_checks.data_checks(review),
    ]
    if plan:
        refused = bool(review.refuses) or bool(rehearsal and rehearsal.failure)
        told, seen = _told(review, table)
        found += [
            details.sql(told, seen),
            details.locks(told, seen),
            coverage.unrehearsed(review, told),
            returning.way_back(told, seen, table, stack=review.stack, refused=refused),
            details.drift(plan),
            details.models(rehearsal),
            details.notes(review, plan),
            returning.way_back_sql(told),
        ]
    yield from filter(None, found)
    yield from _schema(rehearsal if table else None)
    yield from filter(None, [_before(review, table)])


def _schema(rehearsal: Rehearsal | None) -> Iterator[Section]:
    """Show what becomes of the schema."""
    if rehearsal and rehearsal.after is not None:
        before_and_after = compared.before_and_after(rehearsal.before, rehearsal.after)
        yield from filter(None, [before_and_after, _diagram(rehearsal)])


def _diagram(rehearsal: Rehearsal) -> Section | None:
    if rehearsal.after is None:
        return None
    found = erd.diagram(rehearsal.before, rehearsal.after)
    if found is None:
        return None
    try:
        svg = drawing.svg(found)
    except Exception:  # noqa: BLE001 - a picture is the last that a report may fail for
        svg = ""
    blocks: list[Block] = [Drawing(mermaid=found.mermaid, svg=svg)]
    near = sum(not entity.mark for entity in found.entities)
    if near:
        blocks.append(Said(text="Of tables without a mark only the keys are shown."))
    if found.left_out:
        left = words.plural(found.left_out, "table")
        blocks.append(Said(text=f"{left} more that this change touches had no room in it."))
    return Section(
        title="Diagram",
        about=f"{words.plural(len(found.entities), 'table')}, after the change",
        blocks=tuple(blocks),
        unit="diagram",
        keep=0,
        open=True,
    )
