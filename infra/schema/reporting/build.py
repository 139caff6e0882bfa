"""Makes the content of a report from a review: what all three outputs show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema import view
from infra.schema.reporting import compared, details, drawing, erd, returning, rows, words
from infra.schema.reporting.content import Drawing, Report, Said, Section
from infra.schema.reporting.verdict import SIGNS, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.reporting.content import Block, Row
    from infra.schema.review import Rehearsal, Review

__all__ = ["report"]

_REASONS = 8  # at the top; more of them are folded
_WIDTH = 300


def report(review: Review) -> Report:
    """Decide what a report says; the order of its sections is that of reading."""
    table = rows.table(review)
    mood, line, reasons = verdict(review, table)
    plan = review.plan
    failed = review.rehearsal is not None and bool(review.rehearsal.failure)
    return Report(
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


def _sections(
    review: Review, table: tuple[Row, ...], reasons: tuple[str, ...]
) -> Iterator[Section]:
    plan, rehearsal = review.plan, review.rehearsal
    long = len(reasons) > _REASONS or any(len(reason) > _WIDTH for reason in reasons)
    found = [
        details.reasons(reasons) if long else None,
        details.failure(review),
        details.findings(review),
    ]
    if plan:
        refused = bool(review.refuses) or bool(rehearsal and rehearsal.failure)
        found += [
            details.sql(plan, rehearsal),
            details.locks(plan, rehearsal),
            returning.way_back(plan, rehearsal, table, refused=refused),
            details.drift(plan),
            details.models(rehearsal),
            details.notes(review, plan),
            returning.way_back_sql(plan),
        ]
    yield from filter(None, found)
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
