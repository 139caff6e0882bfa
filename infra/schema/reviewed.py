"""What a preview does with its review: says it in a few lines, files the report, stops for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.schema import plan_review, view
from infra.schema.errors import RehearsalError
from infra.schema.review import Review

if TYPE_CHECKING:
    from infra.schema.node import Look, Place, Say

__all__ = ["preview", "unplanned"]


def preview(place: Place, seen: Look, *, say: Say) -> None:
    """Review a plan as the stack says, tell of it, and keep the report in files.

    Args:
        place: Where.
        seen: What there is, and what is to be done.
        say: Told of the rehearsal's progress and of the outcome.

    Raises:
        RehearsalError: A step failed in the rehearsal; the report is there all the same.
        GroundworkError: The rehearsal, or lint, could not be done at all.
    """
    try:
        found = plan_review.review(place, seen, say=say, rehearsed=place.options.rehearse)
    except GroundworkError as exc:
        unplanned(place, str(exc))
        raise
    text = view.reviewed(found)
    filed = _file(found)
    if text:
        say("\n".join(filter(None, (text, filed))))
    if found.rehearsal is not None and found.rehearsal.failure:
        raise RehearsalError(found.rehearsal.failure)


def unplanned(place: Place, why: str) -> None:
    """Keep a report that says why there is no plan."""
    _file(Review(stack=place.stack, unplanned=why, lint=place.options.lint))


def _file(found: Review) -> str:
    """Keep the report, and say where; no preview is refused for want of a folder."""
    from infra.schema import filed  # noqa: PLC0415 - a run at head writes a line, and draws nothing

    try:
        return f"report: {filed.write(found)}"
    except OSError as exc:
        return f"the report could not be written: {exc}"
