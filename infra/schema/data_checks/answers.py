"""What is said of an answer: one line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.data_checks.conditions import AnyRow, NotNull, Unique
from infra.schema.linting import trees

if TYPE_CHECKING:
    from infra.schema.data_checks.conditions import Condition
    from infra.schema.data_checks.tables import Table

__all__ = ["among", "duration", "holds", "likely", "limit", "unchecked", "violated"]

_STATISTICS = "by the planner's statistics"


def among(rows: int | None) -> str:
    """Say "at least one of about 2,000 rows"."""
    return f"at least one of about {rows:,} rows" if rows and rows > 1 else "at least one row"


def violated(condition: Condition, rows: int | None, *, undo: bool) -> str:
    """Say that a row stands in the way."""
    fails = "the downgrade would fail" if undo else "this will fail"
    return f"{among(rows)} {condition.says}: {fails}"


def holds(*, undo: bool) -> str:
    """Say that none does."""
    return "no row violates it now" if undo else "no row violates it"


def unchecked(why: str, hint: str = "") -> str:
    """Say that it was not checked, and what statistics make likely."""
    return f"not checked: {why}" + (f"; {hint}" if hint else "")


def limit(seconds: float, rows: int | None, hint: str) -> str:
    """Say that it took too long."""
    about = f" (about {rows:,} rows)" if rows is not None else ""
    more = f"; {hint}" if hint.startswith(_STATISTICS) else ""
    return f"not checked within {duration(seconds)}{about}{more}"


def duration(seconds: float) -> str:
    """Say a time as the configuration has it: 500 ms, 2 s, 10 min."""
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    minutes = seconds / 60
    return f"{minutes:g} min" if minutes >= 1 and minutes == int(minutes) else f"{seconds:g} s"


def likely(condition: Condition, table: Table | None) -> tuple[str, bool]:
    """Say what statistics make likely, and whether that is a failure; nothing where they are mute.

    They are of the last ANALYZE, and of a sample.
    """
    if table is None:
        return "", False
    if isinstance(condition, AnyRow) and table.rows is not None:
        fails = table.rows >= condition.fewer
        count = f"about {table.rows:,} rows" if table.rows else "no rows"
        end = ", so that this will fail" if fails else ""
        return f"{_STATISTICS} the table has {count}{end}", fails
    if isinstance(condition, NotNull) and len(condition.columns) == 1:
        return _nulls(condition.columns[0], table)
    if isinstance(condition, Unique) and len(condition.elements) == len(condition.columns) == 1:
        return _distinct(condition.columns[0], table)
    return (f"about {table.rows:,} rows", False) if table.rows else ("", False)


def _nulls(column: str, table: Table) -> tuple[str, bool]:
    known = table.columns.get(column)
    if known is None or known.nulls is None:
        return "", False
    written = trees.written(column)
    if known.nulls > 0:
        share = f"{known.nulls:.0%} of about {table.rows or 0:,} rows have no {written}"
        return f"{_STATISTICS} {share}: this will likely fail", True
    return f"{_STATISTICS} all of about {table.rows or 0:,} rows have a {written}", False


def _distinct(column: str, table: Table) -> tuple[str, bool]:
    known = table.columns.get(column)
    if known is None or known.distinct is None or not table.rows:
        return "", False
    filled = table.rows * (1 - (known.nulls or 0))
    values = known.distinct if known.distinct > 0 else -known.distinct * table.rows
    name = trees.written(column)
    if round(values) >= round(filled):
        return f"{_STATISTICS} all values of {name} differ", False
    said = f"{_STATISTICS} {name} has about {values:,.0f} values in about {table.rows:,} rows"
    return f"{said}: this will likely fail", True
