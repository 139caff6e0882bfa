"""A dialect whose literals mean exactly what the bound values of a live run would mean.

SQLAlchemy renders some values into literals that PostgreSQL reads as something else, and leaves out
others without a word. Here each is either rendered faithfully, or refused.
"""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import BYTEA, INTERVAL
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.exc import CompileError

from infra.schema.rendering.recorder import NotRenderableError, by_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import Compiled
    from sqlalchemy.sql.elements import BindParameter

    from infra.schema.rendering.recorder import Recorder

__all__ = ["checked", "register"]


class _Bytes(BYTEA):
    """Renders any byte; SQLAlchemy's own way decodes them as UTF-8, and keeps backslashes."""

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Render in hex."""
        del dialect
        return lambda value: f"'\\x{bytes(value).hex()}'"


class _Interval(INTERVAL):
    """Keeps days apart from seconds, as drivers do: they differ where the clock is put forward."""

    @classmethod
    def adapt_emulated_to_native(cls, interval: Any, **kw: Any) -> _Interval:  # type: ignore[override] # named as there, which is not named as in its own base
        """Stand for SQLAlchemy's general type."""
        del kw
        return cls(precision=interval.second_precision)

    def literal_processor(self, dialect: Dialect) -> Callable[[timedelta], str]:
        """Render as a function call, which no setting reads differently."""
        del dialect

        def process(value: timedelta) -> str:
            seconds = f"{value.seconds}.{value.microseconds:06}"
            return f"make_interval(days => {value.days}, secs => {seconds})"

        return process


class _Literals(PGCompiler_asyncpg):
    """Renders values, and refuses those that are known only when the statement runs."""

    def render_literal_value(self, value: Any, type_: Any) -> str:
        """Quote the numbers that are not numerals."""
        if isinstance(value, float) and not math.isfinite(value):
            return f"'{value}'"
        if isinstance(value, Decimal) and not value.is_finite():
            return f"'{value}'"
        return str(super().render_literal_value(value, type_))  # type: ignore[no-untyped-call] # SQLAlchemy's own

    def render_literal_bindparam(
        self, bindparam: BindParameter[Any], *args: Any, **kwargs: Any
    ) -> str:
        """Refuse a parameter without a value, which would become NULL."""
        if bindparam.required and bindparam.value is None and bindparam.callable is None:
            raise CompileError(f"the parameter {bindparam.key} has no value")
        return str(super().render_literal_bindparam(bindparam, *args, **kwargs))  # type: ignore[no-untyped-call] # SQLAlchemy's own

    def bindparam_string(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Refuse a parameter that stays one."""
        del args, kwargs
        raise CompileError(f"the parameter {name} has no value")


def checked(compiled: Compiled) -> str:
    """Give the text of a statement.

    Raises:
        CompileError: It has columns whose default Python computes; their literal would be NULL.
    """
    for prefetched in ("insert_prefetch", "update_prefetch"):
        for column in getattr(compiled, prefetched, ()):
            raise CompileError(f"the default of column {column.name} is computed in Python")
    return str(compiled)


class _Unconnected(PGDialect_asyncpg):
    """Knows no server; whoever asks for what only a server tells is refused."""

    statement_compiler = _Literals
    supports_statement_cache = True
    _backslash_escapes = False  # no connection says so: standard_conforming_strings is on
    colspecs: dict[type, type] = {  # noqa: RUF012 - as the base declares it
        **PGDialect_asyncpg.colspecs,
        sqltypes.LargeBinary: _Bytes,
        BYTEA: _Bytes,
        sqltypes.Interval: _Interval,
        INTERVAL: _Interval,
    }
    recorder: Recorder

    @property
    def server_version_info(self) -> None:  # type: ignore[override] # a variable of the base
        """The version of no server, for SQLAlchemy itself."""
        self._refuse("server's version")

    @property
    def default_schema_name(self) -> None:  # type: ignore[override] # a variable of the base
        """The schema of no connection, for SQLAlchemy itself."""
        self._refuse("default schema")

    def _refuse(self, what: str) -> None:
        frame = sys._getframe(2)  # noqa: SLF001 - the only way to know who asks
        if not by_library(frame):
            self.recorder.refuse(f"asks for the {what}")
            raise NotRenderableError(f"no database to ask for its {what}")


def register(recorder: Recorder) -> str:
    """Make the dialect known to SQLAlchemy in this process.

    Args:
        recorder: Where it notes what it can't tell.

    Returns:
        Its name.
    """
    name = "postgresql.rendered"
    dialect = type("Rendered", (_Unconnected,), {"recorder": recorder})
    registry.impls[name] = lambda: dialect
    return name.replace(".", "+")
