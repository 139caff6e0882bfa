"""The words for what autogenerate finds: one line a difference."""

from __future__ import annotations

from typing import Any

__all__ = ["worded"]


def worded(diff: Any) -> str:
    """Say one difference between models and database, of those that Alembic's `as_diffs` gives.

    Args:
        diff: A tuple that begins with what would have to be done ("add_column"), or a list of such
            tuples about one column.
    """
    if isinstance(diff, list):
        return "; ".join(worded(each) for each in diff)
    kind, *about = diff
    what = str(kind).replace("_", " ")
    if str(kind).startswith("modify_"):
        schema, table, column, _, before, after = about
        return f"{what} of {_dotted(schema, table, column)}: {_said(before)} -> {_said(after)}"
    if kind in ("add_column", "remove_column"):
        schema, table, column = about
        return f"{what} {_dotted(schema, table, column.name)}"
    return f"{what} {', '.join(_said(each) for each in about)}".rstrip()


def _dotted(*names: str | None) -> str:
    return ".".join(name for name in names if name)


def _said(thing: Any) -> str:
    """Name what stands in a difference: a table, an index or a constraint, or a plain value."""
    table = getattr(getattr(thing, "table", None), "fullname", "")
    name = getattr(thing, "fullname", None) or getattr(thing, "name", None)
    if name and table and table != name:
        return f"{name} of {table}"
    return str(name) if name else " ".join(str(thing).split())
