"""A report as one HTML page: no script, nothing from elsewhere, light and dark, fit to print."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.schema.reporting import rows
from infra.schema.reporting.content import Code, Drawing, Grid, Points, Said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.reporting.content import Block, Cell, Mood, Point, Report, Row, Section

__all__ = ["write"]

_STYLE = Path(__file__).with_name("page.css")
# Even a name that got through as HTML could load and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# Letters that every font has: a machine without coloured ones shows a box for the others.
_SIGNS: dict[Mood, str] = {"fine": "✓", "look": "!", "stop": "×", "unknown": "?"}  # noqa: RUF001
_CLASSES = {"+": "new", "-": "dropped"}


def write(report: Report) -> str:
    """Write a report as a whole page."""
    title = f"Schema change for {report.stack}" if report.stack else "Schema change"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(title)}: {_text(report.verdict)}</title>",
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>",
        "</head>",
        "<body>",
        "<main>",
        *_head(report),
        *_table(report),
        *map(_section, report.sections),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _text(plain: str) -> str:
    return escape(plain)


def _head(report: Report) -> Iterator[str]:
    stack = f" for <code>{_text(report.stack)}</code>" if report.stack else ""
    yield f"<h1>Schema change{stack}</h1>"
    yield f'<div class="verdict {report.mood}">'
    yield f'<p><span class="sign">{_SIGNS[report.mood]}</span> {_text(report.verdict)}</p>'
    if report.reasons:
        said = "".join(f"<li>{_text(reason)}</li>" for reason in report.reasons)
        yield f"<ul>{said}</ul>"
    yield "</div>"
    if report.digest:
        command = f"pulumi config set {spelled('approved_plan')} {report.digest}"
        yield '<p class="approve">To approve exactly this plan:</p>'
        yield f"<pre><code>{_text(command)}</code></pre>"


def _table(report: Report) -> Iterator[str]:
    if not report.rows:
        return
    yield '<div class="wide"><table class="revisions">'
    yield f"<thead><tr>{''.join(f'<th>{title}</th>' for title in rows.HEAD)}</tr></thead>"
    yield "<tbody>"
    for number, row in enumerate(report.rows, 1):
        cells = "".join(map(_cell, rows.HEAD[1:], row.cells))
        yield f"<tr>{_what(number, row)}{cells}</tr>"
    yield "</tbody></table></div>"


def _what(number: int, row: Row) -> str:
    marks = "".join(f'<span class="badge">{_text(mark)}</span>' for mark in row.marks)
    name = f'<span class="number">{number}.</span> <code>{_text(row.revision)}</code>'
    return f"<td>{name}<br>{_text(row.message)}<div>{marks}</div></td>"


def _cell(title: str, cell: Cell) -> str:
    said = "<br>".join(map(_text, cell.lines))
    return f'<td class="{cell.tone}" data-title="{title}"><div>{said}</div></td>'


def _section(section: Section) -> str:
    is_open = " open" if section.open else ""
    about = f' <span class="about">{_text(section.about)}</span>' if section.about else ""
    blocks = "\n".join(_block(block) for block in section.blocks)
    head = f"<summary><h2>{_text(section.title)}</h2>{about}</summary>"
    return f"<details{is_open}>{head}\n{blocks}\n</details>"


def _block(block: Block) -> str:
    if isinstance(block, Said):
        return f"<p>{_text(block.text)}</p>"
    if isinstance(block, Points):
        return f"<ul>{''.join(map(_point, block.points))}</ul>"
    if isinstance(block, Code):
        title = f'<p class="title">{_text(block.title)}</p>' if block.title else ""
        return f'{title}<pre class="{block.language}"><code>{_code(block)}</code></pre>'
    if isinstance(block, Drawing):
        return _drawing(block)
    return _grid(block)


def _point(point: Point) -> str:
    lead = f"<code>{_text(point.lead)}</code>" if point.lead else ""
    if point.link:
        lead = f'<a href="{_text(point.link)}" rel="noreferrer">{lead}</a>'
    first, *lines = (
        "".join(f"<code>{_text(text)}</code>" if code else _text(text) for text, code in pieces)
        for pieces in point.pieces
    )
    more = "".join(f'<br><span class="faint">{line}</span>' for line in lines)
    return f"<li>{lead}{' ' if lead else ''}{first}{more}</li>"


def _code(block: Code) -> str:
    if block.language != "diff":
        return _text(block.text)
    lines = (
        f'<span class="{_CLASSES[line[0]]}">{_text(line)}</span>'
        if line[:1] in _CLASSES
        else f"<span>{_text(line)}</span>"
        for line in block.text.split("\n")
    )
    return "".join(lines)


def _drawing(drawing: Drawing) -> str:
    source = f"<pre><code>{_text(drawing.mermaid)}</code></pre>"
    if not drawing.svg:
        return source
    source = f'<details class="source"><summary>As Mermaid</summary>{source}</details>'
    return f'<div class="wide diagram">{drawing.svg}</div>{source}'


def _grid(grid: Grid) -> str:
    head = "".join(f"<th>{_text(title)}</th>" for title in grid.head)
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(text)}</td>' for text in row)}</tr>" for row in grid.rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'
