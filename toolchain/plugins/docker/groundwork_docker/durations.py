"""Durations in the form of Go, which Docker's settings are written in."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["nanoseconds", "problem", "written"]

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECOND = _NANOSECONDS["s"]
_SMALL = (("ms", _NANOSECONDS["ms"]), ("µs", _NANOSECONDS["us"]))


def nanoseconds(duration: str) -> int:
    """The length of a duration.

    Args:
        duration: Such as '1m30s' or '500ms'.

    Raises:
        ValueError: It is none.
    """
    parts = _PART.findall(duration)
    if duration == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(duration)
    return sum(int(Decimal(number) * _NANOSECONDS[unit]) for number, unit in parts)


def written(length: int) -> str:
    """A duration as Go writes it.

    Args:
        length: In nanoseconds.
    """
    if length == 0:
        return "0s"
    if length < _SECOND:
        for unit, size in _SMALL:
            if length >= size:
                return f"{_number(Decimal(length) / size)}{unit}"
        return f"{length}ns"
    minutes, rest = divmod(length, _NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_number(Decimal(rest) / _SECOND)}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def problem(duration: str) -> str:
    """What is wrong with a duration of a program; empty where nothing is.

    Docker gives durations back in Go's own form, and the genuine plugin compares texts: any other
    form would be a difference in every run.

    Args:
        duration: As the program has it.
    """
    try:
        own = written(nanoseconds(duration))
    except ValueError:
        return f"{duration!r} is not a duration such as '30s', '1m30s' or '500ms'"
    if own != duration:
        return f"write {duration!r} as {own!r}; else it differs from what Docker says in every run"
    return ""


def _number(value: Decimal) -> str:
    return format(value.normalize(), "f")
