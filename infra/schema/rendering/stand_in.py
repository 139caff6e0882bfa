"""A driver that leads nowhere: it notes what it is asked to send, and answers nothing."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from infra.schema.invocation import DRIVERS
from infra.schema.rendering import drivers
from infra.schema.statements.lexer import UnfinishedError
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HOME", "Notes", "StandIn", "offered"]

_ASKING = re.compile(
    r"\s*\(*\s*(SELECT|SHOW|WITH|VALUES|TABLE)\b|.*\bRETURNING\b", re.IGNORECASE | re.DOTALL
)
HOME = "groundwork_first_of_search_path"
"""Stands for the schema that a server would name as the current one."""

_ANSWERS: dict[str, Any] = {
    "current_schema": HOME,
    "search_path": HOME,
    "current_database": "offline",
    "current_user": "offline",
    "session_user": "offline",
    "current_role": "offline",
    "version": "PostgreSQL 17.0",
    "server_version": "17.0",
    "pg_try_advisory": True,
    "1": 1,
    "true": True,
}
_VERSION = (17, 0)


@dataclass
class Notes:
    """What connections were asked.

    Attributes:
        connecting: The arguments that each was opened with.
        sent: Texts, in order.
    """

    connecting: list[dict[str, Any]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)


class _Cursor:
    """Notes what it is to execute; a question has no rows."""

    rowcount = 0
    arraysize = 1
    lastrowid = None

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._rows: list[tuple[Any, ...]] = []
        self.description: list[tuple[Any, ...]] | None = None

    def execute(self, sql: str, _values: Any = None) -> None:
        """Note a text."""
        self._notes.sent.append(sql)
        self.description = None
        if _ASKING.match(sql):
            row = _answers(sql)
            self.description = [(f"answer{n}", *[None] * 6) for n in range(len(row) or 1)]
            self._rows = [row] if row else []

    def executemany(self, sql: str, values: Any) -> None:
        """Note a text once."""
        self.execute(sql, values)

    def fetchone(self) -> Any:
        """Give the next row."""
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[Any]:
        """Give all rows that are left."""
        rows, self._rows = self._rows, []
        return rows

    def fetchmany(self, _size: int | None = None) -> list[Any]:
        """Give them as well."""
        return self.fetchall()

    def __getattr__(self, name: str) -> Any:
        """Take any other call for done."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


def _answers(sql: str) -> tuple[Any, ...]:
    """Give a row for a question about no table, as far as any server says the same; else none."""
    try:
        sentence = Sentence(sql)
    except UnfinishedError:
        return ()
    if sentence.take("SHOW"):
        return (_answer(sentence.source),)
    if not sentence.take("SELECT") or sentence.has("FROM"):
        return ()
    return tuple(_answer(clause.source) for clause in sentence.clauses())


def _answer(asked: str) -> Any:
    text = asked.lower().removeprefix("pg_catalog.").removeprefix("current_setting('")
    return next((value for name, value in _ANSWERS.items() if text.startswith(name)), None)


class _Connection:
    """A connection to nothing."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def cursor(self, *_: Any, **__: Any) -> _Cursor:
        """Begin to note."""
        return _Cursor(self._notes)

    def __getattr__(self, name: str) -> Any:
        """Take any other call for done."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


def _nothing(*_: Any, **__: Any) -> None:
    return None


class StandIn(PGDialect_asyncpg):
    """SQLAlchemy's dialect for asyncpg, without asyncpg and without a server."""

    supports_statement_cache = True
    notes: Notes

    @classmethod
    def import_dbapi(cls) -> Any:
        """Give what SQLAlchemy looks for in a driver."""
        errors = {name: type(name, (Exception,), {}) for name in drivers.ERRORS}
        return SimpleNamespace(paramstyle="numeric_dollar", **errors)

    def connect(self, *positional: Any, **named: Any) -> Any:
        """Open nothing."""
        del positional
        self.notes.connecting.append(named)
        return _Connection(self.notes)

    def initialize(self, connection: Any) -> None:
        """Know what a server would say of itself."""
        del connection
        self.server_version_info = _VERSION
        self.default_schema_name = "public"
        self.default_isolation_level = "READ COMMITTED"

    def on_connect(self) -> Callable[[Any], None]:
        """Set up nothing."""
        return _nothing

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """Give PostgreSQL's own."""
        del dbapi_connection
        return "READ COMMITTED"

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Be there."""
        del dbapi_connection
        return True

    def do_terminate(self, dbapi_connection: Any) -> None:
        """End nothing."""


@contextmanager
def offered() -> Iterator[Notes]:
    """Let every engine for PostgreSQL that is made inside use the stand-in.

    Returns:
        What its connections are asked.
    """
    notes = Notes()
    dialect = type("StandIn", (StandIn,), {"notes": notes})
    names = ("postgresql", *(f"postgresql.{driver}" for driver in DRIVERS))
    before = {name: registry.impls.get(name) for name in names}
    registry.impls.update(dict.fromkeys(names, lambda: dialect))
    try:
        yield notes
    finally:
        for name, found in before.items():
            if found is None:
                registry.impls.pop(name, None)
            else:
                registry.impls[name] = found
