"""Made-up values: SQL that makes the k-th value of a type, the same at every run."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.schema.statements.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Limits", "Values", "limits"]

_WIDEST = 2000
_INTEGERS = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**62}
_TEXTS = {"text", "varchar", "bpchar", "citext", "name", "unknown"}
_NUMBERS = {"numeric", "float4", "float8", "money"}
_VECTORS = {"vector", "halfvec"}
_FILL = literal(" the quick brown fox jumps over the lazy dog")
_STEPS = 64  # vectors of which sums are made: 64 x 64 x 64 different ones

# How PostgreSQL words the checks that are met most: a list, a bound, a length.
_CAST = r"(?:::[\w .\"]+(?:\(\d+\))?(?:\[\])?)?"
_NAMED = r"(?<![\w(.:\"])\(*{name}(?![\w\"])\)?" + _CAST
_LIST = _NAMED + r" = ANY \(+(ARRAY\[.*?\])\)*"
_BOUND = _NAMED + r" (>=|<=|>|<) \(?'?(-?\d+(?:\.\d+)?)'?\)?"
_LENGTH = (
    r"(?:char_length|character_length|length|octet_length)\(\(?{name}(?![\w\"])\)?" + _CAST + r"\)"
    r" (>=|<=|>|<|=) (\d+)"
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a value has to keep to.

    Attributes:
        width: Bytes that it should have.
        shortest: Characters that it must have.
        longest: Characters that it may have; 0 for any.
        low: It is this at least.
        high: It is this at most.
        inside: Whether it is neither of the two itself.
        choices: SQL of an array that it is taken from.
        salt: Keeps columns apart.
    """

    width: int = 12
    shortest: int = 0
    longest: int = 0
    low: float | None = None
    high: float | None = None
    inside: bool = False
    choices: str = ""
    salt: str = ""


def limits(name: str, checks: Iterable[str], start: Limits) -> Limits:
    """Read what checks say of a column, or of VALUE in a domain's.

    Args:
        name: The column as SQL writes it.
        checks: Texts of the checks.
        start: What is known besides.
    """
    for text in checks:
        start = _limit(re.escape(name), text, start)
    return start


def _limit(name: str, text: str, found: Limits) -> Limits:
    if match := re.search(_LIST.format(name=name), text):
        found = replace(found, choices=match[1])
    for sign, number in re.findall(_LENGTH.format(name=name), text):
        size = int(number) + {"<": -1, ">": 1}.get(sign, 0)
        if sign in {"<", "<=", "="}:
            found = replace(found, longest=min(found.longest or size, size))
        if sign in {">", ">=", "="}:
            found = replace(found, shortest=max(found.shortest, size))
    for sign, number in re.findall(_BOUND.format(name=name), text):
        value, inside = float(number), found.inside or sign in {"<", ">"}
        if sign[0] == ">":
            found = replace(found, inside=inside, low=value)
        else:
            found = replace(found, inside=inside, high=value)
    return found


class Values:
    """Writes values of the types of a database."""

    def __init__(self, types: Mapping[str, Mapping[str, Any]]) -> None:
        """Know the types, by their oid as text."""
        self._types = types

    def base(self, oid: int) -> Mapping[str, Any]:
        """Give the type that a domain is made of in the end, or the type itself."""
        found = self._types[str(oid)]
        while found["kind"] == "d":
            found = self._types[str(found["base"])]
        return found

    def choices(self, oid: int, within: Limits) -> int:
        """Tell how many values there are, 0 for very many."""
        kind = self.base(oid)
        if within.choices:
            return within.choices.count(", ") + 1
        return len(kind["labels"] or ()) if kind["kind"] == "e" else 2 * (kind["name"] == "bool")

    def make(self, oid: int, modifier: int, k: str, within: Limits) -> str:
        """Write the k-th value; as different from others as the type and the limits let it be.

        Args:
            oid: The type.
            modifier: Its modifier, as pg_attribute has it.
            k: SQL of a number from 0.
            within: What it has to keep to.
        """
        kind = self._types[str(oid)]
        if within.choices:
            chosen = f"({within.choices})[1 + ({k}) % cardinality({within.choices})]"
            return f"{chosen}::{kind['label']}"
        compound: Mapping[str, Callable[..., str]] = {
            "d": self._domain,
            "e": self._enum,
            "r": self._range,
            "m": self._multirange,
            "c": self._composite,
        }
        if kind["kind"] in compound:
            return compound[kind["kind"]](kind, k, within)
        if kind["category"] == "A" and kind["element"]:
            one = self.make(kind["element"], modifier, k, within)
            two = self.make(kind["element"], modifier, f"({k} + 1)", within)
            return f"ARRAY[{one}, {two}]::{kind['label']}"
        return self._plain(kind, modifier, k, within)

    def _domain(self, kind: Mapping[str, Any], k: str, within: Limits) -> str:
        within = limits("VALUE", kind["checks"] or (), within)
        return f"({self.make(kind['base'], kind['modifier'], k, within)})::{kind['label']}"

    def _enum(self, kind: Mapping[str, Any], k: str, _: Limits) -> str:
        labels = ", ".join(map(literal, kind["labels"] or ()))
        return f"(ARRAY[{labels}])[1 + ({k}) % {len(kind['labels'] or 'x')}]::{kind['label']}"

    def _range(self, kind: Mapping[str, Any], k: str, within: Limits) -> str:
        if self.base(kind["inner"])["name"] in _TEXTS:
            return f"{_function(kind)}(NULL, NULL)"
        low = self.make(kind["inner"], -1, f"(2 * ({k}))", within)
        high = self.make(kind["inner"], -1, f"(2 * ({k}) + 1)", within)
        return f"{_function(kind)}({low}, {high})"

    def _multirange(self, kind: Mapping[str, Any], k: str, within: Limits) -> str:
        return f"{_function(kind)}({self.make(kind['inner'], -1, k, within)})"

    def _composite(self, kind: Mapping[str, Any], k: str, within: Limits) -> str:
        fields = [self.make(oid, modifier, k, within) for oid, modifier in kind["fields"] or ()]
        return f"ROW({', '.join(fields)})::{kind['label']}"

    def _plain(self, kind: Mapping[str, Any], modifier: int, k: str, within: Limits) -> str:
        name = kind["name"]
        if name in _INTEGERS:
            return f"{_integer(name, k, within)}::{name}"
        if name in _NUMBERS:
            return f"({_number(name, modifier, k, within)})::{name}"
        if name in _TEXTS or (kind["category"] == "S" and name != "char"):
            if name in {"varchar", "bpchar"} and modifier > 4:  # noqa: PLR2004 - a header's length
                longest = min(within.longest or modifier - 4, modifier - 4)
                within = replace(within, longest=longest)
            return f"({_text(k, within)})::{kind['label']}"
        if name in _VECTORS:
            return _vector(kind, modifier, k)
        if name == "sparsevec":
            size = max(modifier, 1)
            return f"('{{1:' || 1 + ({k}) || '}}/{size}')::{kind['label']}"
        return _special(name, modifier, k, within) or f"('v' || ({k}))::{kind['label']}"


def _function(kind: Mapping[str, Any]) -> str:
    """Name the function that makes a range: the type's own name."""
    return f"{identifier(kind['schema'])}.{identifier(kind['name'])}"


def _integer(name: str, k: str, within: Limits) -> str:
    low = 1 if within.low is None else int(within.low) + within.inside
    high = _INTEGERS[name] if within.high is None else int(within.high) - within.inside
    if within.low is None:
        low = min(low, high)
    return f"({low} + ({k}) % {max(1, high - low + 1)})"


def _number(name: str, modifier: int, k: str, within: Limits) -> str:
    low, high = within.low, within.high
    if name == "numeric" and modifier > 4 and high is None:  # noqa: PLR2004 - a header's length
        whole = ((modifier - 4) >> 16 & 0xFFFF) - (modifier - 4 & 0x7FF)
        high = 10.0 ** min(max(whole, 0), 15) - (1 if whole > 0 else 0.001)
        if low is None and whole > 0:
            return f"1 + ({k}) % {max(1, int(high) - 1)}"
    if high is None:
        return f"{low or 0} + 1 + ({k})"
    if low is None:
        low = 0 if high > 0 else high - 1000
    return f"{low} + ({high - low}) * (1 + ({k}) % 999) / 1000.0"


def _text(k: str, within: Limits) -> str:
    longest = within.longest
    if longest and longest <= 8:  # noqa: PLR2004 - digits of a number that tell rows apart
        size = max(1, longest)
        return f"lpad(to_hex(({k}) % {16 ** min(size, 7)}), {size}, '0')"
    width = max(min(within.width, longest or _WIDEST, _WIDEST), within.shortest)
    start = f"'v' || ({k})"
    filled = f"rpad({start}, greatest({width}, length({start})), {_FILL})"
    return f"left({filled}, {longest})" if longest else filled


def _vector(kind: Mapping[str, Any], modifier: int, k: str) -> str:
    """Write sums of a few vectors: quick to make, and each unlike the others."""
    size = modifier if modifier > 0 else 3
    schema, label = identifier(kind["schema"]), kind["label"]
    texts = [
        "["
        + ",".join(
            f"{(step * 37 + place * 101 + step * place) % 199 - 99}" for place in range(size)
        )
        + "]"
        for step in range(1, _STEPS + 1)
    ]
    table = f"(ARRAY[{', '.join(map(literal, texts))}]::{label}[])"
    parts = [f"{table}[1 + ({k}) / {_STEPS**power} % {_STEPS}]" for power in range(3)]
    return f"({f' OPERATOR({schema}.+) '.join(parts)})"


def _special(name: str, modifier: int, k: str, within: Limits) -> str:
    digest = f"md5({literal(within.salt)} || ({k}))"
    point = f"point(({k}) % 1000, ({k}) / 1000)"
    bits = modifier if modifier > 0 else 1
    repeated = max(1, min(within.width, _WIDEST) // 16)
    return {
        "bool": f"(({k}) % 2 = 0)",
        "char": f'chr((97 + ({k}) % 26)::int)::"char"',
        "uuid": f"{digest}::uuid",
        "date": f"(DATE '2020-01-01' + (({k}) % 1000000)::int)",
        "timestamp": f"(TIMESTAMP '2020-01-01' + ({k}) * INTERVAL '1 minute')",
        "timestamptz": f"(TIMESTAMPTZ '2020-01-01 00:00:00+00' + ({k}) * INTERVAL '1 minute')",
        "time": f"(TIME '00:00' + (({k}) % 86400) * INTERVAL '1 second')",
        "timetz": f"(TIME '00:00' + (({k}) % 86400) * INTERVAL '1 second')::timetz",
        "interval": f"(({k}) * INTERVAL '1 second')",
        "json": f"json_build_object('n', ({k}), 'text', {_text(k, within)})",
        "jsonb": f"jsonb_build_object('n', ({k}), 'text', {_text(k, within)})",
        "bytea": f"decode(repeat({digest}, {repeated}), 'hex')",
        "inet": f"(INET '10.0.0.0' + ({k}) % 16000000)",
        "cidr": f"(INET '10.0.0.0' + ({k}) % 16000000)::cidr",
        "macaddr": f"('02' || lpad(to_hex(({k}) % 1000000000), 10, '0'))::macaddr",
        "macaddr8": f"('02' || lpad(to_hex(({k}) % 1000000000), 14, '0'))::macaddr8",
        "bit": f"({k})::bigint::bit({min(bits, 64)})::bit({bits})",
        "varbit": f"({k})::bigint::bit({min(bits, 64) if modifier > 0 else 32})::varbit",
        "tsvector": f"to_tsvector('simple', {_text(k, within)})",
        "tsquery": f"plainto_tsquery('simple', 'v' || ({k}))",
        "xml": f"('<v>' || ({k}) || '</v>')::xml",
        "point": point,
        "lseg": f"lseg({point}, point(0, 0))",
        "box": f"box({point}, point(0, 0))",
        "path": f"path(box({point}, point(0, 0))::polygon)",
        "polygon": f"box({point}, point(0, 0))::polygon",
        "circle": f"circle({point}, 1)",
        "line": f"line({point}, point(-1, -1))",
        "pg_lsn": f"('0/' || to_hex(({k}) % 1000000000))::pg_lsn",
        "oid": f"(1 + ({k}) % 1000000000)::oid",
    }.get(name, "")
