"""The shape of the version table, which env.py's implementation may choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy.schema import CreateTable

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Dialect

__all__ = ["WIDTH", "computes", "of"]

WIDTH = 32
"""Characters of a revision id that Alembic's own version table holds."""


def of(table: Table, dialect: Dialect) -> tuple[str, int]:
    """Give what stands in the parentheses of its CREATE TABLE, and the width of an id.

    Returns:
        "" for a table as Alembic makes it; and 0 where an id may have any number of characters.
    """
    schema = table.schema
    impl = PostgresqlImpl(dialect, None, False, None, None, {})  # noqa: FBT003 - as Alembic calls it
    usual = impl.version_table_impl(
        version_table=table.name, version_table_schema=schema, version_table_pk=True
    )
    columns, common = (_columns(each, dialect) for each in (table, usual))
    width = getattr(table.c["version_num"].type, "length", None) or 0
    return "" if columns == common else columns, width


def computes(table: Table) -> bool:
    """Tell whether a column has a value that SQLAlchemy makes when it writes a row."""
    return any(column.default is not None or column.onupdate is not None for column in table.c)


def _columns(table: Table, dialect: Dialect) -> str:
    text = str(CreateTable(table).compile(dialect=dialect)).strip()
    name = dialect.identifier_preparer.format_table(table)
    return text.removeprefix(f"CREATE TABLE {name} (").removesuffix(")").strip()
