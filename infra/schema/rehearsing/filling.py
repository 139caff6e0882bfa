"""Writes the statement that fills one table with made-up rows."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from infra.schema.rehearsing import partitions
from infra.schema.rehearsing.values import Limits, Values, limits
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.rehearsing.statistics import Column, Statistics

__all__ = ["NULLS", "Filling"]

# ruff: noqa: S608 - a statement without parameters: every name and value in it is quoted

_NUMBER = "(g.i - 1)"  # of the row, from 0
NULLS = 0.1
"""Share of nulls where statistics have none."""
_SPARE = 3  # rows that are tried for each that is wanted, where checks sort them out
_SERIAL = "nextval("
_PRIME = 7919  # scatters the values that recur


class Filling:
    """Knows types and statistics, and writes statements."""

    def __init__(
        self, types: Mapping[str, Mapping[str, Any]], found: Statistics, *, nulls: float = NULLS
    ) -> None:
        """Know them.

        Args:
            types: The database's types by oid.
            found: What is known of the live rows.
            nulls: Share of nulls of a column without statistics.
        """
        self._nulls = nulls
        self._values = Values(types)
        # Of a parent of others, what counts their rows too comes last.
        self._columns = {(c.schema, c.table, c.name): c for c in found.columns}

    def width(self, table: Mapping[str, Any]) -> int:
        """Give the bytes of a row, roughly."""
        return sum(self._width(table, column) for column in table["columns"] or ()) + 24

    def _width(self, table: Mapping[str, Any], column: Mapping[str, Any]) -> int:
        kind, size = self._values.base(column["type"])["name"], column["modifier"]
        if kind in {"vector", "halfvec"} and size > 0:
            return int(size) * (4 if kind == "vector" else 2)
        known = self._known(table, column)
        return known.width if known and known.width else 12

    def _known(self, table: Mapping[str, Any], column: Mapping[str, Any]) -> Column | None:
        return self._columns.get((table["schema"], table["name"], column["name"]))

    def obstacle(self, table: Mapping[str, Any], counts: Mapping[int, int]) -> str:
        """Say why a table got no row although nothing failed."""
        required = {c["number"] for c in table["columns"] or () if c["required"]}
        for each in table["references"] or ():
            if required.intersection(each["columns"]) and not counts.get(each["table"]):
                return f"{each['label']}, which it refers to, has none"
        checks = ", ".join(check["name"] for check in table["checks"] or ())
        return f"none that was tried passes its checks {checks}" if checks else "every one collides"

    def statement(
        self, table: Mapping[str, Any], rows: int, counts: Mapping[int, int], *, bare: bool
    ) -> str:
        """Write the INSERT.

        Args:
            table: As rows.sql describes it.
            rows: How many.
            counts: The rows of each table that was filled before, by oid.
            bare: Whether to leave null what can be null.
        """
        work = _Work(self, table, rows, counts, bare=bare)
        return work.statement(self._values)

    def nulls(self, table: Mapping[str, Any], column: Mapping[str, Any]) -> float:
        """Give the share of nulls."""
        known = self._known(table, column)
        return known.nulls if known else self._nulls

    def distinct(self, table: Mapping[str, Any], column: Mapping[str, Any], rows: int) -> int:
        """Give how many different values a column has."""
        known = self._known(table, column)
        if known is None or known.distinct == 0:
            return rows
        many = known.distinct if known.distinct > 0 else -known.distinct * rows
        return max(1, min(rows, round(many)))

    def limits(self, table: Mapping[str, Any], column: Mapping[str, Any]) -> Limits:
        """Give what a column's values have to keep to."""
        name = _as_worded(column["name"])
        texts = [check["text"] for check in table["checks"] or ()]
        salt = f"{table['label']}.{column['name']}"
        return limits(name, texts, Limits(width=self._width(table, column), salt=salt))


class _Work:
    """One statement."""

    def __init__(
        self,
        filling: Filling,
        table: Mapping[str, Any],
        rows: int,
        counts: Mapping[int, int],
        *,
        bare: bool,
    ) -> None:
        """Know everything."""
        self._filling = filling
        self._table = table
        self._rows = rows
        self._counts = counts
        self._bare = bare
        self._columns = {column["number"]: column for column in table["columns"] or ()}
        self._joins: list[str] = []
        self._made: dict[int, str] = {}
        self._keys = [key for key in table["keys"] or () if key["unique"] and not key["partial"]]

    def statement(self, values: Values) -> str:
        table, columns = self._table, self._columns
        self._refer(values)
        self._made |= partitions.keys(table["leaves"] or (), columns, values, _NUMBER)
        alone = {key["columns"][0] for key in self._keys if len(key["columns"]) == 1}
        alone |= set(self._telling(values, alone))
        for number, column in columns.items():
            if number not in self._made and self._filled(column):
                self._made[number] = self._value(values, column, apart=number in alone)
        names = [identifier(columns[number]["name"]) for number in self._made]
        if not names:
            return f"INSERT INTO {table['label']} SELECT FROM generate_series(1, {self._rows})"
        candidates = ", ".join(
            f"{text} AS {name}" for name, text in zip(names, self._made.values(), strict=True)
        )
        conditions = list(self._conditions())
        tried = self._rows * (_SPARE if self._table["checks"] else 1)
        source = f"FROM generate_series(1::bigint, {tried}) AS g (i) {' '.join(self._joins)}"
        computed = "".join(
            f", ({columns[n]['generated']}) AS {identifier(columns[n]['name'])}"
            for n in self._computed()
        )
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        late = any(key["deferrable"] for key in table["keys"] or ())
        return (
            f"INSERT INTO {table['label']} ({', '.join(names)}) SELECT {', '.join(names)} FROM"
            f" (SELECT *{computed} FROM (SELECT {candidates} {source}) made) tried{where}"
            f" LIMIT {self._rows}{'' if late else ' ON CONFLICT DO NOTHING'}"
        )

    def _filled(self, column: Mapping[str, Any]) -> bool:
        """Tell whether a column needs a value: not what PostgreSQL numbers or computes."""
        return not column["identity"] and not column["generated"]

    def _computed(self) -> list[int]:
        """List the generated columns whose values are known before PostgreSQL computes them."""
        unknown = [
            re.compile(rf"(?<![\w\"]){re.escape(_as_worded(column['name']))}(?![\w\"])")
            for column in self._columns.values()
            if column["identity"]
        ]
        return [
            number
            for number, column in self._columns.items()
            if column["generated"] and not any(name.search(column["generated"]) for name in unknown)
        ]

    def _conditions(self) -> Iterator[str]:
        there = {*self._computed(), *self._made}
        for number in self._made:
            if self._columns[number]["required"]:
                yield f"{identifier(self._columns[number]['name'])} IS NOT NULL"
        for check in self._table["checks"] or ():
            if there.issuperset(check["columns"] or ()):
                yield f"({check['text']}) IS NOT FALSE"

    def _value(self, values: Values, column: Mapping[str, Any], *, apart: bool) -> str:
        """Write a value, the row's own where rows must differ in it."""
        if _SERIAL in (column["default"] or ""):
            return f"({column['default']})::{column['cast']}"  # where revisions go on counting
        k = _NUMBER
        within = self._filling.limits(self._table, column)
        if not apart:
            different = self._filling.distinct(self._table, column, self._rows)
            k = f"({_NUMBER} * {_PRIME} % {different})"
        if not column["required"] and not apart:
            nulls = 1.0 if self._bare else self._filling.nulls(self._table, column)
            if nulls >= 1:
                return f"NULL::{column['cast']}"
            if nulls > 0:
                text = values.make(column["type"], column["modifier"], k, within)
                return f"CASE WHEN {self._share(column)} < {nulls} THEN NULL ELSE {text} END"
        return values.make(column["type"], column["modifier"], k, within)

    def _share(self, column: Mapping[str, Any]) -> str:
        salt = int.from_bytes(hashlib.sha256(column["name"].encode()).digest()[:2], "big")
        return f"(({_NUMBER} * 31 + {salt}) % 1000) / 1000.0"

    def _telling(self, values: Values, alone: set[int]) -> Iterator[int]:
        """Pick from each key of several columns one that tells the rows apart."""
        for key in self._keys:
            numbers = [n for n in key["columns"] if n in self._columns and n not in self._made]
            if alone.intersection(key["columns"]):
                continue
            for number in reversed(numbers):
                column = self._columns[number]
                within = self._filling.limits(self._table, column)
                if self._filled(column) and not values.choices(column["type"], within):
                    yield number
                    break

    # -- references -----------------------------------------------------------------------

    def _refer(self, values: Values) -> None:
        """Take the columns that refer to others from rows that are there."""
        step = 1
        for place, each in enumerate(self._table["references"] or ()):
            size = self._counts.get(each["table"], 0)
            if each["table"] == self._table["oid"]:
                self._refer_to_itself(values, each)
            elif not size or self._left_null(each["columns"]):
                self._leave_null(each["columns"])
            else:
                self._join(each, f"r{place}", size, step)
                step = min(step * size, 2**40)

    def _left_null(self, numbers: Iterable[int]) -> bool:
        return self._bare and any(not self._columns[number]["required"] for number in numbers)

    def _leave_null(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            column = self._columns[number]
            if number not in self._made and self._filled(column):
                self._made[number] = f"NULL::{column['cast']}"

    def _refer_to_itself(self, values: Values, each: Mapping[str, Any]) -> None:
        """Leave it null, or else have each row refer to itself."""
        numbers = each["columns"]
        if any(not self._columns[number]["required"] for number in numbers):
            self._leave_null(n for n in numbers if not self._columns[n]["required"])
            return
        by_name = {column["name"]: column for column in self._columns.values()}
        for number, other in zip(numbers, each["others"], strict=True):
            numbered = _SERIAL in (by_name[other]["default"] or "")
            if self._filled(by_name[other]) and not numbered:
                own = self._value(values, by_name[other], apart=True)
                self._made.setdefault(by_name[other]["number"], own)
                self._made[number] = self._made[by_name[other]["number"]]

    def _join(self, each: Mapping[str, Any], alias: str, size: int, step: int) -> None:
        """Number the rows that are there, and give each row one of them.

        With `step`, two references of one row go through all of their pairs.
        """
        others = [identifier(name) for name in each["others"]]
        pairs = list(zip(each["columns"], others, strict=True))
        shared = [(n, o) for n, o in pairs if n in self._made]
        chosen = f"(({_NUMBER} / {step} + {_NUMBER if step > 1 else 0}) % {size})"
        by, on = "", ""
        if shared:
            by = f"PARTITION BY {', '.join(o for _, o in shared)}"
            on = "".join(f" AND {alias}.{o} = {self._made[n]}" for n, o in shared)
            sizes = f"(SELECT {', '.join(o for _, o in shared)}, count(*) AS size"
            sizes += f" FROM {each['label']} GROUP BY {', '.join(o for _, o in shared)})"
            match = " AND ".join(f"{alias}s.{o} = {self._made[n]}" for n, o in shared)
            self._joins.append(f"LEFT JOIN {sizes} {alias}s ON {match}")
            chosen = f"({_NUMBER} % {alias}s.size)"
        numbered = f"row_number() OVER ({by}) - 1 AS place"
        self._joins.append(
            f"LEFT JOIN (SELECT {numbered}, {', '.join(others)} FROM {each['label']}) {alias}"
            f" ON {alias}.place = {chosen}{on}"
        )
        for number, other in pairs:
            if number not in self._made:
                self._made[number] = self._maybe(number, f"{alias}.{other}")

    def _maybe(self, number: int, text: str) -> str:
        column = self._columns[number]
        nulls = 0.0 if column["required"] else self._filling.nulls(self._table, column)
        return (
            f"CASE WHEN {self._share(column)} < {nulls} THEN NULL ELSE {text} END"
            if nulls
            else text
        )


def _as_worded(name: str) -> str:
    """Write a name as PostgreSQL does in a definition."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower()
    return name if plain and not name[0].isdigit() else identifier(name)
