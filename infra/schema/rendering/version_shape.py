"""The shape of the version table, which env.py's implementation may choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table
from sqlalchemy.schema import CreateTable

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

__all__ = ["WIDTH", "computes", "of"]

WIDTH = 32
"""Characters of a revision id that Alembic's own version table holds."""


def of(table: Table, dialect: Dialect) -> tuple[str, int]:
    """Give what stands in the parentheses of its CREATE TABLE, and the width of an id.

    Returns:
        "" for a table as Alembic makes it; and 0 where an id may have any number of characters.
    """
    usual = _usual(table.name, table.schema, dialect)
    columns, common = (_columns(each, dialect) for each in (table, usual))
    width = getattr(table.c["version_num"].type, "length", None) or 0
    return "" if columns == common else columns, width


def _usual(name: str, schema: str | None, dialect: Dialect) -> Table:
    """Give the table as Alembic makes it."""
    impl = PostgresqlImpl(dialect, None, False, None, None, {})  # noqa: FBT003 - as Alembic calls it
    if hasattr(impl, "version_table_impl"):
        return impl.version_table_impl(
            version_table=name, version_table_schema=schema, version_table_pk=True
        )
    return Table(  # an Alembic before 1.14 lets no env.py choose its columns
        name,
        MetaData(),
        Column("version_num", String(WIDTH), nullable=False),
        PrimaryKeyConstraint("version_num", name=f"{name}_pkc"),
        schema=schema,
    )


def computes(table: Table) -> bool:
    """Tell whether a column has a value that SQLAlchemy makes when it writes a row."""
    return any(column.default is not None or column.onupdate is not None for column in table.c)


def _columns(table: Table, dialect: Dialect) -> str:
    text = str(CreateTable(table).compile(dialect=dialect)).strip()
    name = dialect.identifier_preparer.format_table(table)
    return text.removeprefix(f"CREATE TABLE {name} (").removesuffix(")").strip()
