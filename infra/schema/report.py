"""A review as people read it: a comment on GitHub, a terminal, a page; the same in all three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.reporting import build, escaping, words
from infra.schema.reporting.markdown import LEAST, write

if TYPE_CHECKING:
    from rich.console import Console

    from infra.schema.review import Review

__all__ = ["LEAST", "LIMIT", "markdown", "marker", "page", "terminal", "verdict"]

LIMIT = 65_536
"""Characters of a comment on GitHub."""


def verdict(review: Review) -> str:
    """Say in a line how it looks: "ready: 2 revisions to apply, about 1.2 s in rehearsal, ..."."""
    return build.report(review).verdict


def markdown(review: Review, *, limit: int = LIMIT) -> str:
    """Write a review as one document in GitHub's Markdown; its first line is `marker`.

    Args:
        review: What to show.
        limit: Characters, counted in units of UTF-16; at least `LEAST`. What does not fit is
            cut, last things first, and the document says what.

    Raises:
        ValueError: `limit` is too low.
    """
    return write(build.report(review), limit)


def marker(stack: str) -> str:
    """Give the first line of a stack's report, by which its comment is found again."""
    return escaping.marker(words.line(stack))


def terminal(review: Review, *, console: Console | None = None) -> None:
    """Print a review.

    Args:
        review: What to show.
        console: Where to; None takes standard output.
    """
    from infra.schema.reporting import terminal as printed  # noqa: PLC0415 - rich is not small

    printed.show(build.report(review), console)


def page(review: Review) -> str:
    """Write a review as one HTML page that needs nothing else, no network and no script."""
    from infra.schema.reporting import page as written  # noqa: PLC0415 - its name is ours too

    return written.write(build.report(review))
