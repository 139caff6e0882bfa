"""Draws the entity diagram of docs/schema.md from the models: `make diagram`."""

from __future__ import annotations

import argparse
import importlib
import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from paracelsus.transformers.mermaid import Mermaid
from sqlalchemy import Enum, MetaData
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.types import UserDefinedType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column
    from sqlalchemy.types import TypeEngine

__all__ = ["MarkersError", "draw", "insert", "main"]

_ROOT = Path(__file__).parents[1]
_BEGIN = "<!-- diagram: from here to its end written by `make diagram` -->\n"
_END = "<!-- diagram: end -->\n"
_DIALECT = PGDialect()  # type: ignore[no-untyped-call]  # its class has no annotations
# Names that PostgreSQL takes for the same: a type of Mermaid is one word.
_ONE_WORD = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "double precision": "float8",
}


class MarkersError(ValueError):
    """The page does not have the two markers, each once and in order, around the diagram."""


class _Named(UserDefinedType[object]):
    """A type that is written as PostgreSQL names it.

    paracelsus asks a type for its text without a database in mind, which is CHAR(32) for a uuid.
    """

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


def draw(metadata: MetaData) -> str:
    """Draw tables, columns, keys and references as a Mermaid diagram.

    Args:
        metadata: That of the models; it is not changed.
    """
    copy = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(copy)
    columns = [column for table in copy.tables.values() for column in table.columns]
    for column in columns:
        if not isinstance(column.type, Enum):  # paracelsus lists the labels of an enum itself
            column.type = _Named(_type_name(column.type))
        # It would know of indexes over one column alone, and knows no way to write a quote.
        column.index = None
        column.comment = " ".join((column.comment or "").replace('"', "'").split())
    drawn = str(Mermaid(copy, "preserve-order", max_enum_members=sys.maxsize))
    for column in columns:
        if column.nullable:
            drawn = _without_parent(drawn, column)
    return drawn.rstrip() + "\n"


def insert(page: str, diagram: str) -> str:
    """Put the diagram between the markers of a page, and leave the rest of it as it is.

    Raises:
        MarkersError: the markers are missing, doubled or in the wrong order.
    """
    if page.count(_BEGIN) != 1 or page.count(_END) != 1 or page.index(_BEGIN) > page.index(_END):
        raise MarkersError(f"wants one line {_BEGIN.strip()} and after it one {_END.strip()}")
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n```mermaid\n{diagram}```\n\n{_END}{rest.split(_END)[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the diagram of the page, or with `--check` only say whether it is stale.

    Returns:
        0 when the page is as it should be, 1 when it is not and nothing was written.
    """
    parser = argparse.ArgumentParser(prog="docs.diagram", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 when stale")
    parser.add_argument("--migrations", type=Path, default=_ROOT / "migrations")
    parser.add_argument("--page", type=Path, default=_ROOT / "docs" / "schema.md")
    options = parser.parse_args(arguments)
    try:
        page = options.page.read_text(encoding="utf-8")
        current = insert(page, draw(_metadata(options.migrations)))
    except Exception as exc:  # noqa: BLE001 - models are code, which may fail in any way
        sys.stderr.write(
            f"error: no diagram of {options.migrations} for {options.page}: {type(exc).__name__}:"
            f" {exc}. Nothing was written.\n"
        )
        return 1
    if options.check and page != current:
        before, after = (text.splitlines(keepends=True) for text in (page, current))
        sys.stderr.writelines(unified_diff(before, after, "the page", "the models", n=0))
        sys.stderr.write(f"error: {options.page} is stale: run `make diagram`.\n")
        return 1
    if page != current:
        options.page.write_text(current, encoding="utf-8")
    return 0


def _metadata(migrations: Path) -> MetaData:
    # The models are in no package: Alembic too finds them beside env.py.
    sys.path.insert(0, str(migrations.resolve()))
    metadata: MetaData = importlib.import_module("models").Base.metadata
    return metadata


def _type_name(kind: TypeEngine[object]) -> str:
    name = kind.compile(dialect=_DIALECT).lower()
    for long, short in _ONE_WORD.items():
        name = name.replace(long, short)
    return name.replace(" ", "_")


def _without_parent(drawn: str, column: Column[object]) -> str:
    """Say that a row may be without what the column refers to: paracelsus always says one."""
    for key in column.foreign_keys:
        parent, child = key.column.table.name, column.table.name
        line = f"  {parent} {{}}--o{{{{ {child} : {column.name}\n"
        drawn = drawn.replace(line.format("||"), line.format("|o"))
    return drawn


if __name__ == "__main__":
    sys.exit(main())
