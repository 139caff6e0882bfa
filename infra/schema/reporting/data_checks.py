"""What the live rows say of the statements that depend on them, as a section of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.reporting import words
from infra.schema.reporting.content import Point, Points, Said, Section
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.schema.reporting.content import Block
    from infra.schema.review import DataCheck, Review

__all__ = ["data_checks", "refused_back", "violations"]

_ABOUT = {
    "violated": "will fail",
    "likely": "may fail",
    "unchecked": "not checked",
    "rehearsed": "rehearsed over made-up rows",
    "holds": "hold",
}


def violations(review: Review) -> tuple[str, ...]:
    """Give what live rows make fail, where neither the file nor the stack lets it pass."""
    return tuple(
        f"revision {each.revision}: {each.message}"
        for each in review.findings
        if each.rule == "rows-violate" and each.level == "error" and not each.suppressed
    )


def refused_back(review: Review, revision: str) -> DataCheck | None:
    """Give why the downgrade of a revision would fail over the live rows; None where it would not.

    Args:
        review: The review.
        revision: Its id.
    """
    return next(
        (
            each
            for each in review.data_checks
            if each.undo and each.revision == revision and each.outcome == "violated"
        ),
        None,
    )


def data_checks(review: Review) -> Section | None:
    """List each statement that depends on rows, with what is known of them."""
    checks = review.data_checks
    if not checks:
        return None
    blocks: list[Block] = []
    for undo, title in ((False, "What would run:"), (True, "The downgrades, over rows as of now:")):
        points = tuple(_point(each) for each in checks if each.undo is undo)
        if points:
            blocks += [Said(text=title), Points(points=points)]
    return Section(
        title="Rows that statements depend on",
        about=_summary(checks),
        blocks=tuple(blocks),
        unit="statement",
        keep=8,
        open=any(each.outcome == "violated" for each in checks),
    )


def _summary(checks: Iterable[DataCheck]) -> str:
    found: list[str] = [each.outcome for each in checks]
    counts = ((found.count(outcome), said) for outcome, said in _ABOUT.items())
    return ", ".join(f"{number:,} {said}" for number, said in counts if number)


def _point(check: DataCheck) -> Point:
    place = f"{check.relation}: " if check.relation else ""
    number = f" statement {check.number}" if check.number else ""
    more = (f"in: {first_line(check.statement)}",) if check.statement else ()
    return Point(
        lead=words.line(f"{check.revision}{number}"),
        text=words.line(f"{place}{check.text}"),
        more=tuple(map(words.line, more)),
    )
