"""A dialect whose literals mean exactly what the bound values of a live run would mean.

SQLAlchemy renders some values into literals that PostgreSQL reads as something else, and leaves out
others without a word. Here each is either rendered faithfully, or refused.
"""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alembic.util.sqla_compat import _literal_bindparam
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import BIT, BYTEA, INTERVAL, ranges
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.elements import BindParameter

from infra.schema.rendering import value_text
from infra.schema.rendering.recorder import NotRenderableError, by_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import Compiled

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


def _ranges() -> dict[type, type]:
    """Give types that take SQLAlchemy's ranges as they are, without a driver's own.

    A SQLAlchemy before 2.0.17 has none to make them of: what holds a range is not rendered then.
    """
    if not hasattr(ranges, "AbstractSingleRangeImpl"):
        return {}

    class SingleRange(ranges.AbstractSingleRangeImpl[Any]):
        pass

    class MultiRange(ranges.AbstractMultiRangeImpl[Any]):
        pass

    return {ranges.AbstractSingleRange: SingleRange, ranges.AbstractMultiRange: MultiRange}


class _Bits(BIT):
    """The same for strings of bits."""

    def bind_processor(self, dialect: Dialect) -> None:  # type: ignore[override] # as other types
        """Leave them as they are."""
        del dialect


class _Literals(PGCompiler_asyncpg):
    """Renders values, and refuses those that are known only when the statement runs."""

    def render_literal_value(self, value: Any, type_: Any) -> str:
        """Write what the type makes of a value for a driver, None too, and quote the rest.

        Types whose literals SQLAlchemy knows keep its spelling of them.
        """
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            return f"'{value}'"
        if value is not None and not isinstance(type_, sqltypes.ARRAY):
            try:
                return str(super().render_literal_value(value, type_))  # type: ignore[no-untyped-call] # SQLAlchemy's own
            except CompileError as exc:
                if isinstance(exc.__cause__, NotRenderableError):
                    raise
        processor = type_._cached_bind_processor(self.dialect)  # noqa: SLF001 - no public way
        implementation = type_._unwrapped_dialect_impl(self.dialect)  # noqa: SLF001 - the same
        try:
            bound = processor(value) if processor else value
            text = value_text.sql(bound, implementation)
        except NotRenderableError:
            raise
        except Exception as exc:
            raise CompileError(f"no literal for a value of type {type_!r}: {exc}") from exc
        if bound is not None and implementation.render_bind_cast:
            return str(self.render_bind_cast(type_, implementation, text))  # type: ignore[no-untyped-call] # the same
        return text

    def render_literal_bindparam(
        self, bindparam: BindParameter[Any], *args: Any, **kwargs: Any
    ) -> str:
        """Refuse a parameter without a value, and leave out nothing that a type adds to one."""
        missing = bindparam.value is None and bindparam.callable is None
        if bindparam.required and missing:
            raise CompileError(f"the parameter {bindparam.key} has no value")
        if isinstance(bindparam, _literal_bindparam):  # of bulk_insert
            plain: BindParameter[Any] = BindParameter(
                bindparam.key, bindparam.value, type_=bindparam.type
            )
            return str(self.process(plain, literal_binds=True))
        if missing and "render_literal_value" not in kwargs and not bindparam.expanding:
            return self.render_literal_value(None, bindparam.type)
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
        BIT: _Bits,
        **_ranges(),
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
