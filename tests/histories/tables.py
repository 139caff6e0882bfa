"""Writes results as a table in Markdown, and the reasons below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.histories.comparison import Result, Way

__all__ = ["table"]

_HEAD = (
    "history",
    "revisions",
    "rendered",
    "heads",
    "compared",
    "apply: compiled",
    "apply: online",
    "down and up",
    "plain s",
    "first",
    "again",
)
_SHOWN = 12  # differences of one run
_WIDTH = 400


def table(results: Sequence[Result]) -> str:
    """Write it: one row a history, then what differs, what was generated, and what runs online."""
    rows = [_HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    notes = [line for result in results for line in _notes(result)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"


def _row(result: Result) -> tuple[str, ...]:
    count, rendered, heads = result.revisions
    if result.unable:
        return (
            result.name,
            *["" for _ in _HEAD[1:4]],
            "plain Alembic fails",
            *["" for _ in _HEAD[5:]],
        )
    ways = {way.apply: way for way in result.ways}
    objects, tables, rows = result.objects
    compiled = ways.get("compiled")
    return (
        result.name,
        str(count),
        str(rendered),
        str(heads),
        f"{objects} definitions, {tables} tables, {rows} rows",
        _verdict(compiled),
        _verdict(ways.get("online")),
        _down(result.ways),
        f"{result.plain:.1f}",
        _ratio(compiled, 0, result.plain),
        _ratio(compiled, 1, result.plain),
    )


def _verdict(way: Way | None) -> str:
    if way is None:
        return "not run"
    return f"{len(way.problems)} differences" if way.problems else "same"


def _down(ways: list[Way]) -> str:
    said = {way.down for way in ways}
    if any(each.startswith("plain") for each in said):
        return "plain Alembic can't"
    return f"same, {said.pop()}" if len(said) == 1 and "" not in said else "no"


def _ratio(way: Way | None, place: int, plain: float) -> str:
    return f"{way.seconds[place] / plain:.2f}" if way and plain and way.seconds[place] else ""


def _notes(result: Result) -> list[str]:
    lines = []
    if result.unable:
        lines += [f"  plain Alembic: {result.unable}", f"  the node: {result.refusal}"]
    for way in result.ways:
        lines += [f"  apply: {way.apply}: {each}" for each in way.problems[:_SHOWN]]
        if len(way.problems) > _SHOWN:
            lines.append(f"  apply: {way.apply}: and {len(way.problems) - _SHOWN} more")
        if "plain" in way.down:
            lines.append(f"  {way.down}")
    lines += [f"  differs in two runs of plain Alembic too: {each}" for each in result.generated]
    lines += [f"  {count} online: {reason}" for reason, count in result.reasons.items()]
    unique = list(dict.fromkeys(lines))
    return [f"{result.name}:", *(_cut(line) for line in unique)] if unique else []


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
