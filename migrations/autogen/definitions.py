"""What PostgreSQL makes of the indexes of a model: made on an empty table, read, and undone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from alembic.operations.ops import CreateIndexOp
from sqlalchemy import Column, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex
from sqlalchemy.types import NullType

from autogen.expressions import DIALECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Index

__all__ = ["same_indexes"]

_LOG = logging.getLogger("alembic.autogenerate.indexes")
_PROBE = "pg_temp.autogen_probe"
# A statement as it stands: with percent signs and colons of its own.
_PLAIN = {"no_parameters": True}
_LIVE = """
SELECT p.relname AS name, i.indisunique AS uniqueness, pg_get_indexdef(p.oid) AS definition
FROM pg_index i JOIN pg_class p ON p.oid = i.indexrelid
WHERE i.indrelid = to_regclass(:table)
"""


def same_indexes(
    connection: Connection, indexes: Iterable[Index], *, table: str
) -> Mapping[str, bool]:
    """Tell of indexes by the names of some that are there whether they are those.

    PostgreSQL writes an index in its own words: operator classes, casts, orders and conditions. So
    each is made on an empty temporary table of the same columns, and the words are compared; all
    within a savepoint that is undone.

    Args:
        connection: Any; its transaction stays usable, and nothing of this is left in it.
        indexes: Of a model of the table.
        table: The table's name as SQL text.

    Returns:
        By name; without those of which it can't be told: the role may make no temporary table, the
        transaction is read-only, or the columns are not there yet.
    """
    there = {
        row.name: (row.uniqueness, _words(row.definition))
        for row in connection.execute(text(_LIVE), {"table": table})
    }
    asked = [index for index in indexes if str(index.name) in there]
    if not asked:
        return {}
    found: dict[str, bool] = {}
    savepoint = connection.begin_nested()
    try:
        _run(connection, f"CREATE TEMPORARY TABLE autogen_probe (LIKE {table})")
        for index in asked:
            words = _made(connection, index, number=len(found))
            if words:
                found[str(index.name)] = there[str(index.name)] == (bool(index.unique), words)
    except DBAPIError as exc:
        _LOG.debug("Can't make indexes of table %s to compare them: %s", table, exc.orig)
        return {}
    finally:
        savepoint.rollback()
    return found


def _made(connection: Connection, index: Index, *, number: int) -> str:
    """Make an index, and give its words; "" where the table, as it is now, does not take it."""
    # As a revision makes it, where an operator class goes to a text of its name too.
    written = CreateIndexOp.from_index(index).to_index()
    if written.table is None:
        return ""
    for name in index.dialect_options["postgresql"]["include"] or ():
        if isinstance(name, str) and name not in written.table.columns:
            written.table.append_column(Column(name, NullType))
    statement = str(CreateIndex(written).compile(dialect=DIALECT))
    place = DIALECT.identifier_preparer.format_table(written.table)
    _, _, rest = statement.partition(f" ON {place} ")
    unique = "UNIQUE " if index.unique else ""
    name = f"autogen_probe_{number}"
    try:
        with connection.begin_nested():
            _run(connection, f"CREATE {unique}INDEX {name} ON {_PROBE} {rest}")
            asked = f"SELECT pg_get_indexdef('pg_temp.{name}'::regclass)"
            return _words(connection.exec_driver_sql(asked).scalar_one())
    except DBAPIError:
        return ""


def _words(definition: str) -> str:
    """Leave out the names of index and table."""
    return definition.partition(" USING ")[2]


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options=_PLAIN)
