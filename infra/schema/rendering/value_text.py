"""Values as the text that PostgreSQL reads them from, whatever their type is."""

from __future__ import annotations

import datetime as dt
import ipaddress
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import BIT

try:
    from sqlalchemy.dialects.postgresql.ranges import AbstractMultiRange, Range
except ImportError:  # SQLAlchemy 1.4, with which nothing is rendered

    class Range:  # type: ignore[no-redef]  # stands for a type that no value has
        """No value is one."""

    class AbstractMultiRange:  # type: ignore[no-redef]  # the same
        """No type is one."""


from infra.schema.statements.sql import literal

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

__all__ = ["UnknownValueError", "sql"]

_ADDRESSES = (
    *(ipaddress.IPv4Address, ipaddress.IPv4Interface, ipaddress.IPv4Network),
    *(ipaddress.IPv6Address, ipaddress.IPv6Interface, ipaddress.IPv6Network),
)


class UnknownValueError(ValueError):
    """No text is known for a value; the message names its Python type."""


def sql(value: Any, type_: TypeEngine[Any]) -> str:
    """Write a value as a literal.

    Args:
        value: As a driver would be given it: after the processors of its type.
        type_: Its type, as the dialect has it.

    Raises:
        UnknownValueError: Its Python type is none that this knows.
    """
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple) and isinstance(type_, AbstractMultiRange):
        return literal(f"{{{','.join(_range(each) for each in value)}}}")
    text = _text(value)
    finite = isinstance(value, int) or (
        isinstance(value, float | Decimal) and text.lstrip("-")[:1].isdigit()
    )
    # A bit string of digits alone would be a number.
    return text if finite and not isinstance(type_, BIT) else literal(text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return str(write(value))
    if hasattr(value, "lower_inc") and hasattr(value, "isempty"):  # asyncpg's
        bounds = ("[" if value.lower_inc else "(") + ("]" if value.upper_inc else ")")
        return _range(Range(value.lower, value.upper, bounds=bounds, empty=value.isempty))  # type: ignore[arg-type]  # one of four
    if hasattr(value, "as_string") and hasattr(value, "to_int"):  # asyncpg's bit string
        return str(value.as_string()).replace(" ", "")
    raise UnknownValueError(f"a value of type {type(value).__name__} has no literal")


def _interval(value: dt.timedelta) -> str:
    return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"


def _range(value: Any) -> str:
    if not isinstance(value, Range):
        return _text(value)
    if value.empty:
        return "empty"
    lower, upper = (
        "" if each is None else _quoted(_text(each)) for each in (value.lower, value.upper)
    )
    return f"{value.bounds[0]}{lower},{upper}{value.bounds[1]}"


def _array(values: list[Any] | tuple[Any, ...]) -> str:
    return f"{{{','.join(_element(each) for each in values)}}}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return _array(value)
    return _quoted(_text(value))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_WRITERS: tuple[tuple[Any, Any], ...] = (
    (str, str),
    ((bytes, bytearray, memoryview), lambda value: f"\\x{bytes(value).hex()}"),
    ((int, float, Decimal, UUID, *_ADDRESSES), str),
    (dt.datetime, lambda value: value.isoformat(sep=" ")),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (dt.timedelta, _interval),
    (Range, _range),
    ((list, tuple), _array),
)
