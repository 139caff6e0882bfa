"""Made-up values of the columns that decide about the partition that a row goes to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.schema.rehearsing.values import Values

__all__ = ["keys"]

_MOST = 200  # partitions that get rows
_RANGE = re.compile(r"FOR VALUES FROM \((?P<low>.*)\) TO \((?P<high>.*)\)\Z", re.DOTALL)
_LIST = re.compile(r"FOR VALUES IN \((?P<all>.*)\)\Z", re.DOTALL)
_ITEM = re.compile(r"\s*('(?:[^']|'')*'(?:::[^,]+)?|[^,]+)\s*(?:,|\Z)")
_COUNTED = {"date", "int2", "int4", "int8", "timestamp", "timestamptz"}


def keys(
    leaves: Iterable[Iterable[Mapping[str, Any]]],
    columns: Mapping[int, Mapping[str, Any]],
    values: Values,
    k: str,
) -> dict[int, str]:
    """Write SQL for the key columns of a partitioned table that spreads rows over partitions.

    Args:
        leaves: Of each partition that holds rows, the bounds on the way to it.
        columns: The table's, by number.
        values: The types.
        k: SQL of a number from 0.
    """
    found: list[dict[int, str]] = []
    for levels in leaves:
        chosen: dict[int, str] = {}
        for level in levels:
            chosen |= _bound(level, columns, values, k)
        found.append(chosen)
    found = found[:_MOST]
    numbers = {number for chosen in found for number in chosen}
    # A partition that says nothing of a column (by hash, the default) takes any of the others'.
    return {number: _spread([c[number] for c in found if number in c], k) for number in numbers}


def _spread(ways: list[str], k: str) -> str:
    if len(ways) == 1:
        return ways[0]
    cases = " ".join(f"WHEN {place} THEN {way}" for place, way in enumerate(ways))
    return f"(CASE ({k}) % {len(ways)} {cases} END)"


def _bound(
    level: Mapping[str, Any], columns: Mapping[int, Mapping[str, Any]], values: Values, k: str
) -> dict[int, str]:
    numbers = level["columns"]
    if 0 in numbers:  # an expression: whatever it gives
        return {}
    if match := _LIST.match(level["bound"]):
        ways = [f"{item}::{columns[numbers[0]]['cast']}" for item in _ITEM.findall(match["all"])]
        inner = f"(({k}) / 7)"
        return {numbers[0]: _spread(ways, inner)}
    if not (match := _RANGE.match(level["bound"])):
        return {}
    chosen: dict[int, str] = {}
    pairs = zip(_ITEM.findall(match["low"]), _ITEM.findall(match["high"]), strict=True)
    differs = False
    for number, (low, high) in zip(numbers, pairs, strict=True):
        column = columns[number]
        if differs or low == high:
            if low not in {"MINVALUE", "MAXVALUE"}:
                chosen[number] = f"{low}::{column['cast']}"
        else:
            differs = True
            chosen[number] = _between(column, values.base(column["type"])["name"], low, high, k)
    return chosen


def _between(column: Mapping[str, Any], name: str, low: str, high: str, k: str) -> str:
    """Write a value from `low` on and below `high`."""
    cast = column["cast"]
    if low == "MINVALUE" and high == "MAXVALUE":
        return f"NULL::{cast}"
    begin = "" if low == "MINVALUE" else f"{low}::{cast}"
    end = "" if high == "MAXVALUE" else f"{high}::{cast}"
    step = "INTERVAL '1 minute'" if name in {"timestamp", "timestamptz"} else "1"
    most = 1000 if name == "int2" else 1000000
    if name not in _COUNTED:
        return begin or f"NULL::{cast}"
    if not begin:
        return f"({end} - (1 + ({k}) % {most})::int * {step})::{cast}"
    if not end:
        return f"({begin} + (({k}) % {most})::int * {step})::{cast}"
    if step == "1":
        return f"({begin} + (({k}) % greatest({end} - {begin}, 1))::int)::{cast}"
    return f"({begin} + ({end} - {begin}) * ((({k}) % 1000003) / 1000003.0))"
