"""Makes a review as a preview does: the live database between two releases, and what is pending."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.schema import node, options, plan_review
from tests.schema.applying import database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.schema.review import Review
    from tests.conftest import PostgresServer
    from tests.migrations.place import Place
    from tests.review.cases import Case

__all__ = ["Stage", "masked", "stage"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A live database, and the files that meet it.

    Attributes:
        live: The database.
        folder: The files.
    """

    live: Place
    folder: Path

    def place(self, **chosen: str) -> node.Place:
        """Say where, and how the node is to act."""
        return node.Place(
            folder=self.folder,
            url=f"{self.live.url}?sslmode=disable",
            options=options.parse(chosen),
            stack="groundwork/dev",
        )

    def up(self, **chosen: str) -> None:
        """Bring the database to where the files lead."""
        node.bring(self.place(**chosen), shown="", say=_quiet, cancelled=lambda: False)

    def review(self, **chosen: str) -> Review:
        """Look, rehearse and lint, as a preview does."""
        place = self.place(**chosen)
        return plan_review.review(place, node.look(place), say=_quiet, rehearsed=True)


def _quiet(text: str, *, live: bool = False, warning: bool = False) -> None:
    del text, live, warning


@contextmanager
def stage(case: Case, server: PostgresServer, root: Path) -> Iterator[Stage]:
    """Make the live database of a case, and its files with what is pending."""
    project = case.project(root)
    with database(server) as live:
        made = Stage(live=live, folder=root)
        made.up()
        live.execute(case.rows)
        case.release(project)
        if case.back:
            made.up()
        if case.by_hand:
            live.execute(case.by_hand)
        yield made


_MASKS = (
    (re.compile(r"\b(?:under )?\d[\d.,]*\s?(?:µs|ms|s|min|h)\b"), "TIME"),
    (re.compile(r"\b\d[\d.,]*\s?(?:bytes|byte|B|kB|KB|KiB|MB|MiB|GB|GiB)\b"), "SIZE"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\bPostgreSQL 17\.\d+"), "PostgreSQL 17.MINOR"),
)


def masked(text: str, **more: Any) -> str:
    """Put words in the place of what is another in every run or machine: times, sizes, digests."""
    text = text.replace("&#46;", ".").replace(" (by the manual)", "")
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    for name, value in more.items():
        text = text.replace(str(value), name.upper())
    return text
