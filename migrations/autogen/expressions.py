"""Whether two expressions of SQL mean the same to PostgreSQL: asked of its planner."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Computed, DefaultClause, TextClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import Connection
    from sqlalchemy.sql.elements import ClauseElement

__all__ = [
    "DIALECT",
    "compiled",
    "computed_text",
    "connection_of",
    "default_text",
    "quoted_literal",
    "same",
]

# PostgreSQL keeps no such default.
_NULL = re.compile(r"[\s(]*NULL[\s)]*(::[\w\s.\"\[\]()]+)?", re.IGNORECASE)
_INSUFFICIENT_PRIVILEGE = "42501"
_LOG = logging.getLogger("alembic.autogenerate.expressions")
# Not the connection's: a driver that takes % for a parameter would double it.
DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # so in SQLAlchemy


def compiled(element: ClauseElement) -> str:
    """Return the text of an expression of a model, with its values in it."""
    options = {"literal_binds": True, "include_table": False}
    return str(element.compile(dialect=DIALECT, compile_kwargs=options))


def computed_text(computed: Computed) -> str:
    r"""Return the expression of a computed column as SQL text.

    It can have no parameter: ":b" is part of a literal, reflected or in a model, as "\:b" is.
    """
    expression = computed.sqltext
    if isinstance(expression, TextClause):
        return expression.text.replace("\\:", ":")
    return compiled(expression)


def default_text(default: object) -> str | None:
    """Return a server default as SQL text; None where it is none, or an identity or computed."""
    if not isinstance(default, DefaultClause):
        return None
    value = default.arg
    if isinstance(value, str):
        return quoted_literal(value)
    # In a reflected text, ":b" is part of a literal, and no parameter.
    found = value.text if default.reflected and isinstance(value, TextClause) else compiled(value)
    return None if _NULL.fullmatch(found) else found


def connection_of(context: AutogenContext) -> Connection:
    """Return the connection that autogenerate compares with."""
    if context.connection is None:
        raise AssertionError("autogenerate works on a connection alone")
    return context.connection


def quoted_literal(value: str) -> str:
    """Return `value` as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def same(
    connection: Connection, pairs: Sequence[tuple[str, str]], *, table: str
) -> list[bool | None]:
    """Tell of each pair whether both expressions mean the same for rows of `table`.

    PostgreSQL keeps an expression as a tree and writes it back in its own words. So the planner
    is given both, and what it makes of them is compared. Nothing is run and nothing is written:
    it works with read rights alone, in a read-only transaction and on a standby.

    Args:
        connection: Any; a failure leaves its transaction usable.
        pairs: Expressions as SQL text.
        table: The table's name as SQL text.

    Returns:
        True or False for each pair; False too for an expression that the table, as it is now,
        doesn't understand; None where the rights don't suffice to tell.
    """
    if not pairs:
        return []
    outputs = ", ".join(f"({expression})" for pair in pairs for expression in pair)
    query = f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {outputs} FROM ONLY {table}"  # noqa: S608 - of models and of the catalog, which are trusted alike
    try:
        with connection.begin_nested():
            # As it stands: colons, percent signs and backslashes are its own.
            plan = connection.exec_driver_sql(
                query, execution_options={"no_parameters": True}
            ).scalar_one()
    except DBAPIError as exc:
        if len(pairs) > 1:
            return [same(connection, [pair], table=table)[0] for pair in pairs]
        if getattr(exc.orig, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
            _LOG.warning("Can't compare expressions of table %s: %s", table, exc.orig)
            return [None]
        return [False]
    found = _outputs(plan)
    return [first == second for first, second in zip(found[::2], found[1::2], strict=True)]


def _outputs(plan: Any) -> list[str]:
    tree = json.loads(plan) if isinstance(plan, str) else plan
    return list(tree[0]["Plan"]["Output"])
