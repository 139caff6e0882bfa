"""What a report says, before it is Markdown, a terminal or a page: plain text in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Drawing",
    "Grid",
    "Language",
    "Mood",
    "Point",
    "Points",
    "Report",
    "Row",
    "Said",
    "Section",
    "Tone",
]

Mood = Literal["fine", "look", "stop", "unknown"]
Tone = Literal["", "good", "bad", "faint"]
Language = Literal["sql", "diff", "sh", "text"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the table of revisions.

    Attributes:
        lines: What it says; never empty.
        tone: "bad" for what a reader must not miss.
    """

    lines: tuple[str, ...]
    tone: Tone = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A revision in the table at the top.

    Attributes:
        revision: Its id.
        message: What it is for.
        marks: What is special about it, in words: "takes back", "runs live".
        locks: What it locks.
        destroys: What goes with its data.
        time: How long it took in the rehearsal.
        back: The way back.
    """

    revision: str
    message: str
    marks: tuple[str, ...]
    locks: Cell
    destroys: Cell
    time: Cell
    back: Cell

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All but the first column, in order."""
        return self.locks, self.destroys, self.time, self.back

    @property
    def worries(self) -> int:
        """How many of its cells a reader must not miss: rows without any are cut first."""
        return sum(cell.tone == "bad" for cell in self.cells)


@dataclass(frozen=True, kw_only=True)
class Said:
    """A sentence."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One of a list.

    Attributes:
        text: What it says, one line.
        lead: A name that stands before it; may be empty.
        more: Further lines below it.
        link: Where `lead` is explained, a URL; may be empty.
        marked: Whether what stands between backticks is code, as in Markdown.
    """

    text: str
    lead: str = ""
    more: tuple[str, ...] = ()
    link: str = ""
    marked: bool = False

    @property
    def pieces(self) -> tuple[tuple[tuple[str, bool], ...], ...]:
        """The text and each further line, in pieces, and whether each of these is code."""
        return tuple(map(self._pieces, (self.text, *self.more)))

    def _pieces(self, line: str) -> tuple[tuple[str, bool], ...]:
        parts = line.split("`") if self.marked else [line]
        if len(parts) % 2 == 0:  # one that has no other
            parts = [line]
        return tuple((part, place % 2 == 1) for place, part in enumerate(parts) if part)


@dataclass(frozen=True, kw_only=True)
class Points:
    """A list."""

    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text that is shown letter by letter.

    Attributes:
        text: It may be long, and hold any character that can be seen.
        language: For colours.
        title: What it is, above it; may be empty.
    """

    text: str
    language: Language = "sql"
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of short texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """An entity diagram.

    Attributes:
        mermaid: As Mermaid takes it.
        svg: The same drawn, with classes and without colours; empty where it can't be.
    """

    mermaid: str
    svg: str = ""


Block = Said | Points | Code | Grid | Drawing


@dataclass(frozen=True, kw_only=True)
class Section:
    """Something that can be folded.

    Attributes:
        title: What it is about.
        about: What is in it, in a few words beside the title.
        blocks: Its content.
        unit: What its pieces are, for a count of those that are cut: "statements".
        keep: Those with a low number are cut first.
        open: Whether it is shown unfolded where there is a choice.
    """

    title: str
    about: str
    blocks: tuple[Block, ...]
    unit: str
    keep: int
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole report.

    Attributes:
        stack: "project/stack"; may be empty.
        sign: One character that says the same as `mood`.
        mood: How it looks.
        verdict: The verdict in a line.
        reasons: What the verdict rests on, a line each.
        digest: The plan's, to approve it; empty where nothing would run.
        rows: The table of revisions; empty where none would run.
        sections: The details.
    """

    stack: str
    sign: str
    mood: Mood
    verdict: str
    reasons: tuple[str, ...]
    digest: str
    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
