"""A report as Markdown of GitHub, cut to fit into a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.project import spelled
from infra.schema.reporting import escaping, rows, words
from infra.schema.reporting.content import Code, Drawing, Grid, Points, Said
from infra.schema.reporting.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.schema.reporting.content import Block, Cell, Point, Report, Row, Section

__all__ = ["LEAST", "write"]

LEAST = 4_096
"""Below this not even the top has room."""

_WHOLE = "The whole report: <code>python -m infra.schema report</code>."
# Parts of the room, in characters as they are counted; the first three are always there.
_VERDICT = 640
_STACK = 320
_NOTICE = 900
_REASONS = 8  # this part of the limit
_BELOW = 4  # this part of the limit is left to the details, however many rows there are
_LINE = 200  # letters of a line of a cell, or beside the title of a section


def write(report: Report, limit: int) -> str:
    """Write a report of at most `limit` characters, counted as `escaping.length` does.

    What is last goes first: the diagram, before and after, the SQL; findings are kept longest. Of
    the table rows without anything to worry about go first. What was cut is said below the table.

    Raises:
        ValueError: the limit is below `LEAST`.
    """
    if limit < LEAST:
        raise ValueError(f"a report needs room for {LEAST} characters, and has {limit}")
    top = _top(report, limit // _REASONS)
    room = limit - escaping.length(top) - _NOTICE - 200
    table, cut_rows = _table(report.rows, room - (limit // _BELOW if report.sections else 0))
    room -= escaping.length(table)
    kept, cut = _sections(report.sections, room)
    notice = _notice([cut_rows, *cut] if cut_rows else cut)
    return "\n\n".join(part for part in (top, table, notice, *kept) if part) + "\n"


def _top(report: Report, room: int) -> str:
    where = f" for {escaping.short(report.stack, _STACK)}" if report.stack else ""
    lines = [
        escaping.marker(report.stack),
        f"### Schema change{where}",
        "",
        f"{report.sign} **{escaping.short(report.verdict, _VERDICT)}**",
        *([""] if report.reasons else []),
    ]
    for reason in report.reasons:
        written = f"- {escaping.short(reason, _VERDICT)}"
        room -= escaping.length(written)
        lines += [written] if room > 0 else []
    if report.digest:
        command = f"pulumi config set {spelled('approved_plan')} {report.digest}"
        lines += ["", "To approve exactly this plan:", "", escaping.fenced(command, "sh")]
    return "\n".join(lines).rstrip()


def _table(table: Sequence[Row], room: int) -> tuple[str, str]:
    """Write as many rows as there is room for; gives the words for the others beside it."""
    if not table:
        return "", ""
    head = f"| {' | '.join(rows.HEAD)} |\n|{'---|' * len(rows.HEAD)}"
    written = [_row(number, row) for number, row in enumerate(table, 1)]
    room -= escaping.length(head)
    kept = set()
    for place in sorted(range(len(table)), key=lambda place: (-table[place].worries, place)):
        size = escaping.length(written[place]) + 1
        if size <= room:
            room -= size
            kept.add(place)
    text = "\n".join([head, *(written[place] for place in sorted(kept))]) if kept else ""
    gone = [row for place, row in enumerate(table) if place not in kept]
    if not gone:
        return text, ""
    bad = sum(bool(row.worries) for row in gone)
    about = f", {bad:,} of them with something to look at" if bad else ", none with a worry"
    return text, f"Table: {len(gone):,} of {words.plural(len(table), 'revision')}{about}"


def _row(number: int, row: Row) -> str:
    name = f"{number}. {escaping.coded(row.revision)}"
    message = escaping.text(row.message)
    marks = escaping.text(", ".join(row.marks))
    first = "<br>".join(filter(None, (name, message, f"<sub>{marks}</sub>" if marks else "")))
    return f"| {' | '.join([first, *map(_cell, row.cells)])} |"


def _cell(cell: Cell) -> str:
    said = "<br>".join(escaping.text(words.cut(line, _LINE)) for line in cell.lines)
    return f"**{said}**" if cell.tone == "bad" else said


def _notice(cut: Sequence[str]) -> str:
    if not cut:
        return ""
    said = escaping.short("; ".join(cut), _NOTICE)
    return f"> ✂️ Cut to fit into a comment: {said}. {_WHOLE}"


def _sections(sections: Sequence[Section], room: int) -> tuple[list[str], list[str]]:
    """Give those that fit, in order, and what was cut; those to be kept take their room first."""
    written: dict[int, str] = {}
    cut: dict[int, str] = {}
    for place in sorted(range(len(sections)), key=lambda place: -sections[place].keep):
        fitted = fit(sections[place], room - 2, lambda section: escaping.length(_section(section)))
        if fitted.section is not None:
            written[place] = _section(fitted.section)
            room -= escaping.length(written[place]) + 2
        if fitted.cut:
            cut[place] = fitted.cut
            room = 0  # nothing that should go before it stays while a part of it is gone
    return [written[place] for place in sorted(written)], [cut[place] for place in sorted(cut)]


def _section(section: Section) -> str:
    about = f": {escaping.text(words.cut(section.about, _LINE))}" if section.about else ""
    # Folded all of them, since a comment is read in two minutes; not what it refuses for.
    is_open = " open" if section.open and section.unit != "diagram" else ""
    blocks = "\n\n".join(_block(block) for block in section.blocks)
    head = f"<details{is_open}><summary><b>{section.title}</b>{about}</summary>"
    return f"{head}\n\n{blocks}\n\n</details>"


def _block(block: Block) -> str:
    if isinstance(block, Said):
        return escaping.text(block.text)
    if isinstance(block, Points):
        return "\n".join(_point(point) for point in block.points)
    if isinstance(block, Code):
        code = escaping.fenced(block.text, block.language)
        return f"{escaping.text(block.title)}\n\n{code}" if block.title else code
    if isinstance(block, Drawing):
        return escaping.fenced(block.mermaid, "mermaid")
    return _grid(block)


def _point(point: Point) -> str:
    lead = f"{escaping.coded(point.lead)} " if point.lead else ""
    if point.link:
        lead = f"[{lead.rstrip()}]({point.link}) "
    first, *more = (
        "".join(escaping.coded(text) if code else escaping.text(text) for text, code in pieces)
        for pieces in point.pieces
    )
    return "<br>".join([f"- {lead}{first}", *more])


def _grid(grid: Grid) -> str:
    lines = [f"| {' | '.join(grid.head)} |", f"|{'---|' * len(grid.head)}"]
    lines += [f"| {' | '.join(map(escaping.text, row))} |" for row in grid.rows]
    return "\n".join(lines)
