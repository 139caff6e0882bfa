"""A report on a terminal, with rich; names are never taken for rich's own markup."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from infra.project import spelled
from infra.schema.reporting import rows
from infra.schema.reporting.content import Code, Drawing, Points, Said

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.schema.reporting.content import Block, Cell, Grid, Point, Report, Row, Section

__all__ = ["show"]

_BORDERS = {"fine": "green", "look": "yellow", "stop": "red", "unknown": "magenta"}
_STYLES = {"": "", "good": "green", "bad": "bold red", "faint": "dim"}
_COLOURED = 100_000  # letters; longer code would take seconds to colour, and nobody reads it here
# The names of pygments for what it colours.
_LEXERS = {"sql": "postgresql", "diff": "diff", "sh": "bash"}
_NARROW = 90  # columns below which a table of five would be one of letters


def show(report: Report, console: Console | None = None) -> None:
    """Print a report, whole."""
    if console is None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks must not end this
            sys.stdout.reconfigure(errors="replace")
        console = Console(highlight=False)
    console.print(_head(report))
    if report.rows:
        console.print(_list(report) if console.width < _NARROW else _table(report))
    for section in report.sections:
        console.print(_section(section))


def _head(report: Report) -> Panel:
    lines: list[RenderableType] = [Text(f"{report.sign} {report.verdict}", style="bold")]
    lines += [Text(f"- {reason}") for reason in report.reasons]
    if report.digest:
        lines.append(Text("\nTo approve exactly this plan:"))
        command = f"pulumi config set {spelled('approved_plan')} {report.digest}"
        lines.append(Text(command, overflow="fold"))
    title = Text(f"Schema change for {report.stack}" if report.stack else "Schema change")
    return Panel(Group(*lines), title=title, border_style=_BORDERS[report.mood], padding=(0, 1))


def _table(report: Report) -> Table:
    table = Table(box=box.ROUNDED, show_lines=True, expand=False)
    for title in rows.HEAD:
        table.add_column(title, overflow="fold")
    for number, row in enumerate(report.rows, 1):
        table.add_row(_what(number, row), *map(_cell, row.cells))
    return table


def _list(report: Report) -> Group:
    """Show the table as lines, where there is no width for it."""
    said: list[RenderableType] = []
    for number, row in enumerate(report.rows, 1):
        said.append(_what(number, row))
        for title, cell in zip(rows.HEAD[1:], row.cells, strict=True):
            text = Text(f"{title}: ", style="dim")
            text.append(", ".join(cell.lines), style=_STYLES[cell.tone])
            said.append(Padding(text, (0, 0, 0, 3)))
    return Group(*said, Text())


def _what(number: int, row: Row) -> Text:
    text = Text(f"{number}. ")
    text.append(row.revision, style="bold cyan")
    if row.message:
        text.append(f"\n{row.message}")
    if row.marks:
        text.append(f"\n{', '.join(row.marks)}", style="yellow")
    return text


def _cell(cell: Cell) -> Text:
    return Text("\n".join(cell.lines), style=_STYLES[cell.tone])


def _section(section: Section) -> Group:
    title = Text(section.title, style="bold")
    if section.about:
        title.append(f": {section.about}", style="not bold dim")
    blocks = [Padding(_block(block), (0, 0, 1, 2)) for block in section.blocks]
    return Group(Rule(title, align="left", style="dim"), *blocks)


def _block(block: Block) -> RenderableType:
    if isinstance(block, Said):
        return Text(block.text)
    if isinstance(block, Points):
        return Group(*map(_point, block.points))
    if isinstance(block, Code):
        code = _code(block)
        return Group(Text(block.title, style="dim"), code) if block.title else code
    if isinstance(block, Drawing):
        return Text(block.mermaid, overflow="fold")
    return _grid(block)


def _point(point: Point) -> Text:
    text = Text("- ")
    if point.lead:
        link = f" link {point.link}" if point.link else ""
        text.append(point.lead, style=f"bold{link}").append(" ")
    for number, pieces in enumerate(point.pieces):
        style = "dim" if number else ""
        text.append("\n  " if number else "")
        for said, code in pieces:
            text.append(said, style=f"{style} bold".strip() if code else style)
    return text


def _code(block: Code) -> RenderableType:
    lexer = _LEXERS.get(block.language)
    if lexer is None or len(block.text) > _COLOURED:
        return Text(block.text, overflow="fold")
    return Syntax(block.text, lexer, theme="ansi_dark", background_color="default", word_wrap=True)


def _grid(grid: Grid) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in grid.head:
        table.add_column(title, overflow="fold")
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table
