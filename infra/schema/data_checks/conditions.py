"""What a statement demands of the rows of a table, and the query that finds a row without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.schema.statements.sql import array, identifier, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.schema.data_checks.tables import Table
    from infra.schema.linting.trees import Name

__all__ = [
    "AnyRow",
    "Bound",
    "Cast",
    "Check",
    "Computed",
    "Condition",
    "Exclusion",
    "ForeignKey",
    "Labels",
    "NotNull",
    "Source",
    "Stored",
    "Unique",
    "Value",
]

# ruff: noqa: S608 - names are quoted, expressions are those of the plan itself, run read-only


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table as the plan sees it when a statement's turn has come, read from the live one.

    Attributes:
        table: Schema and name in the live database.
        alias: Its name in the plan, which expressions may use.
        only: Whether the rows of inheriting tables are left out.
        renamed: Live column and the name that the plan has given it.
        added: Expression and the name of the column that has its value in all rows.
        hidden: Live columns that are no longer there under that name.
        columns: The live columns that are; read from the catalog.
    """

    table: Name
    alias: str
    only: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    hidden: frozenset[str] = frozenset()
    columns: tuple[str, ...] = ()

    @property
    def wrapped(self) -> bool:
        """Whether columns are other than those of the live table."""
        return bool(self.renamed or self.added)

    @property
    def sql(self) -> str:
        """A FROM item."""
        table = f"{'ONLY ' * self.only}{identifier(self.table[0])}.{identifier(self.table[1])}"
        alias = identifier(self.alias)
        if not self.wrapped:
            # Without an alias of its own, an expression may name the schema too.
            return table if self.alias == self.table[1] else f"{table} AS {alias}"
        columns = [
            *(f"t.{identifier(name)}" for name in self.columns),
            *(f"t.{identifier(live)} AS {identifier(name)}" for live, name in self.renamed),
            *(f"{expression} AS {identifier(name)}" for expression, name in self.added),
            't.tableoid AS "groundwork oid", t.ctid AS "groundwork tid"',
        ]
        return f"(SELECT {', '.join(columns)} FROM {table} AS t) AS {alias}"

    @property
    def row(self) -> str:
        """What tells one row from another: two columns."""
        alias = identifier(self.alias)
        if self.wrapped:
            return f'{alias}."groundwork oid", {alias}."groundwork tid"'
        return f"{alias}.tableoid, {alias}.ctid"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What has to hold for all rows of a table.

    Attributes:
        says: What a row does that violates it, to stand behind "at least one row".
        columns: The columns that it reads, as far as they are known.
        inherits: Whether it is about the rows of inheriting tables too.
        blocked: Why the live rows can't tell, whatever they are; empty where they can.
    """

    says: str
    columns: tuple[str, ...] = ()
    inherits: bool = True
    blocked: str = ""

    def bad(self, source: Source) -> str:
        """Write the condition, on a row of the source, under which the row violates it."""
        raise NotImplementedError

    def find(self, source: Source) -> str:
        """Write the query that gives a row where at least one row violates it."""
        return f"SELECT 1 FROM {source.sql} WHERE {self.bad(source)} LIMIT 1"

    def violating(self, source: Source) -> str:
        """Write the query for the rows without which it holds; empty where none can be told."""
        return f"SELECT {source.row} FROM {source.sql} WHERE {self.bad(source)}"

    def settled(self, tables: Mapping[Name, Table]) -> Condition:
        """Fill in what only the catalog tells.

        Raises:
            KeyError: It does not tell.
        """
        del tables
        return self


@dataclass(frozen=True, kw_only=True)
class NotNull(Condition):
    """A column, or a generated expression, is not NULL."""

    expression: str

    def bad(self, source: Source) -> str:
        """Write the condition."""
        del source
        return f"({self.expression}) IS NULL"


@dataclass(frozen=True, kw_only=True)
class AnyRow(Condition):
    """There are fewer than so many rows."""

    fewer: int = 1

    def bad(self, source: Source) -> str:
        """Write the condition."""
        del source
        return "true"

    def find(self, source: Source) -> str:
        """Write the query."""
        return f"SELECT 1 FROM {source.sql} LIMIT 1 OFFSET {self.fewer - 1}"

    def violating(self, source: Source) -> str:
        """Give nothing: that a table has rows is no fault of its rows."""
        del source
        return ""


@dataclass(frozen=True, kw_only=True)
class Check(Condition):
    """An expression is true or NULL."""

    expression: str

    def bad(self, source: Source) -> str:
        """Write the condition."""
        del source
        return f"NOT ({self.expression}\n)"


@dataclass(frozen=True, kw_only=True)
class Unique(Condition):
    """Columns or expressions differ from row to row.

    Attributes:
        elements: Them, as SQL writes them.
        where: Which rows it is about; empty for all.
        nulls_equal: Whether NULLs are taken to be the same.
    """

    elements: tuple[str, ...]
    where: str = ""
    nulls_equal: bool = False

    def _keys(self, source: Source, *more: str) -> str:
        keys = [f"({each}\n) AS k{number}" for number, each in enumerate(self.elements)]
        where = f" WHERE ({self.where}\n)" if self.where else ""
        return f"(SELECT {', '.join((*keys, *more))} FROM {source.sql}{where}) d"

    def _names(self) -> str:
        return ", ".join(f"k{number}" for number in range(len(self.elements)))

    def _filled(self) -> str:
        if self.nulls_equal:
            return "true"
        return " AND ".join(f"k{number} IS NOT NULL" for number in range(len(self.elements)))

    def find(self, source: Source) -> str:
        """Write the query."""
        return (
            f"SELECT 1 FROM {self._keys(source)} WHERE {self._filled()}"
            f" GROUP BY {self._names()} HAVING count(*) > 1 LIMIT 1"
        )

    def violating(self, source: Source) -> str:
        """Write the query."""
        oid, tid = source.row.split(", ")
        number = f"row_number() OVER (PARTITION BY {self._names()} ORDER BY o, t)"
        inner = (
            f"SELECT o, t, {number} AS n FROM"
            f" {self._keys(source, f'{oid} AS o', f'{tid} AS t')} WHERE {self._filled()}"
        )
        return f"SELECT o, t FROM ({inner}) e WHERE n > 1"


@dataclass(frozen=True, kw_only=True)
class ForeignKey(Condition):
    """Columns are those of a row of another table, or NULL.

    Attributes:
        parent: That table in the live database; None where it is new and has no rows.
        parent_columns: Its columns; empty takes its primary key.
        full: Whether all of several columns are NULL, or none.
    """

    parent: Name | None
    parent_columns: tuple[str, ...] = ()
    full: bool = False
    only: bool = False

    def bad(self, source: Source) -> str:
        """Write the condition."""
        alias = identifier(source.alias)
        own = [f"{alias}.{identifier(column)}" for column in self.columns]
        filled = " AND ".join(f"{column} IS NOT NULL" for column in own)
        lonely = "true"
        if self.parent is not None:
            pairs = zip(own, self.parent_columns, strict=True)
            same = " AND ".join(f'"groundwork p".{identifier(to)} = {at}' for at, to in pairs)
            table = f"{identifier(self.parent[0])}.{identifier(self.parent[1])}"
            only = "ONLY " * self.only
            lonely = f'NOT EXISTS (SELECT FROM {only}{table} AS "groundwork p" WHERE {same})'
        found = f"({filled} AND {lonely})"
        if self.full and len(own) > 1:
            empty = " AND ".join(f"{column} IS NULL" for column in own)
            found = f"({found} OR NOT (({filled}) OR ({empty})))"
        return found

    def settled(self, tables: Mapping[Name, Table]) -> Condition:
        """Fill in the primary key, and whether the table is partitioned."""
        if self.parent is None:
            return self
        parent = tables[self.parent]
        columns = self.parent_columns or parent.primary
        if len(columns) != len(self.columns):
            raise KeyError(self.parent)
        return replace(self, parent_columns=columns, only=parent.kind != "p")


@dataclass(frozen=True, kw_only=True)
class Exclusion(Condition):
    """No two rows meet all of several operators.

    Attributes:
        elements: Expression and operator.
        where: Which rows it is about; empty for all.
    """

    elements: tuple[tuple[str, str], ...]
    where: str = ""

    def find(self, source: Source) -> str:
        """Write the query."""
        oid, tid = source.row.split(", ")
        keys = ", ".join(f"({each}\n) AS k{n}" for n, (each, _) in enumerate(self.elements))
        where = f" WHERE ({self.where}\n)" if self.where else ""
        rows = f"(SELECT {oid} AS o, {tid} AS t, {keys} FROM {source.sql}{where})"
        meet = " AND ".join(f"a.k{n} {op} b.k{n}" for n, (_, op) in enumerate(self.elements))
        return f"SELECT 1 FROM {rows} a JOIN {rows} b ON (a.o, a.t) < (b.o, b.t) AND {meet} LIMIT 1"

    def violating(self, source: Source) -> str:
        """Give nothing: which of two rows it is can't be told."""
        del source
        return ""


@dataclass(frozen=True, kw_only=True)
class Cast(Condition):
    """All values can be turned into another type; the query fails where one can't.

    Attributes:
        expression: What is turned.
        type: Into what, as SQL writes it.
        length: Characters that it may have, as assignment sees it; 0 for any number.
        bits: Whether those are bits: "exactly" so many, or at "most"; else empty.
    """

    expression: str
    type: str
    length: int = 0
    bits: str = ""

    def _too_long(self) -> str:
        if self.bits:
            sign = ">" if self.bits == "most" else "<>"
            return f"pg_catalog.length({self.expression}\n) {sign} {self.length}"
        value = f"({self.expression}\n)::pg_catalog.text"
        return f"pg_catalog.rtrim(pg_catalog.substr({value}, {self.length + 1}), ' ') <> ''"

    def bad(self, source: Source) -> str:
        """Write the condition."""
        del source
        value = f"({self.expression}\n)::pg_catalog.text"
        fits = f"pg_catalog.pg_input_is_valid({value}, {literal(self.type)})"
        return f"NOT {fits}" + (f" OR {self._too_long()}" if self.length else "")

    def find(self, source: Source) -> str:
        """Write the query: an aggregate, so that the server casts each value."""
        if self.length:
            return f"SELECT 1 FROM {source.sql} WHERE {self._too_long()} LIMIT 1"
        value = f"({self.expression}\n)::{self.type}"
        return f"SELECT 1 FROM {source.sql} HAVING pg_catalog.count({value}) < 0"


@dataclass(frozen=True, kw_only=True)
class Computed(Condition):
    """Expressions have a value for all rows; the query fails where one has none.

    Attributes:
        elements: Them, as SQL writes them.
        where: Which rows it is about; empty for all.
    """

    elements: tuple[str, ...]
    where: str = ""

    def find(self, source: Source) -> str:
        """Write the query: aggregates, so that the server computes each."""
        where = f" WHERE ({self.where}\n)" if self.where else ""
        counts = " + ".join(f"pg_catalog.count({each}\n)" for each in self.elements)
        return f"SELECT 1 FROM {source.sql}{where} HAVING {counts} < 0"

    def violating(self, source: Source) -> str:
        """Give nothing: which rows they are can't be asked."""
        del source
        return ""


@dataclass(frozen=True, kw_only=True)
class Value(Condition):
    """A type takes one value; the query fails where it does not, and there is a row."""

    expression: str

    def find(self, source: Source) -> str:
        """Write the query: a domain's constraints are checked when a row is made."""
        one = f"SELECT {self.expression} AS v FROM {source.sql} LIMIT 1"
        return f"SELECT 1 FROM ({one}) d HAVING pg_catalog.count(v) < 0"

    def violating(self, source: Source) -> str:
        """Give nothing: it is the same for all rows."""
        del source
        return ""


@dataclass(frozen=True, kw_only=True)
class Labels(Condition):
    """All values are among the labels of an enum that the plan makes."""

    expression: str
    labels: tuple[str, ...]

    def bad(self, source: Source) -> str:
        """Write the condition."""
        del source
        return f"({self.expression}\n)::pg_catalog.text <> ALL ({array(self.labels)})"


@dataclass(frozen=True, kw_only=True)
class Bound(Condition):
    """All rows lie inside of a partition's bounds, or outside of them.

    Attributes:
        parent: The partitioned table in the live database.
        strategy: "r", "l" or "h".
        lower: For "r", as SQL writes them.
        upper: For "r".
        values: For "l"; for "h" modulus and remainder.
        inside: Whether a row inside violates it: those of the default partition.
        keys: The partition key's expressions.
    """

    parent: Name
    strategy: str
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    inside: bool = False
    keys: tuple[str, ...] = ()
    oid: int = 0

    def settled(self, tables: Mapping[Name, Table]) -> Condition:
        """Fill in the partition key."""
        parent = tables[self.parent]
        if not parent.keys:
            raise KeyError(self.parent)
        return replace(self, keys=parent.keys, oid=parent.oid)

    def bad(self, source: Source) -> str:
        """Write the condition."""
        del source
        if self.strategy == "r":
            found = f"{self._edge(self.lower, '>', '>=')} AND {self._edge(self.upper, '<', '<')}"
            filled = " AND ".join(f"({key}) IS NOT NULL" for key in self.keys)
            found = f"{filled} AND {found}"
        elif self.strategy == "l":
            found = self._listed()
        else:
            keys = ", ".join(self.keys)
            values = ", ".join(self.values)
            found = f"pg_catalog.satisfies_hash_partition({self.oid}, {values}, {keys})"
        return f"({found})" if self.inside else f"({found}) IS NOT TRUE"

    def _listed(self) -> str:
        values = [value for value in self.values if value.upper() != "NULL"]
        found = [f"({self.keys[0]}) IN ({', '.join(values)})"] if values else []
        found += [f"({self.keys[0]}) IS NULL"] if len(values) < len(self.values) else []
        return " OR ".join(found)

    def _edge(self, edge: Sequence[str], strict: str, last: str) -> str:
        """Compare the key with one end; MINVALUE and MAXVALUE end the comparison."""
        ends = ("MINVALUE", "MAXVALUE")
        stop = next((n for n, value in enumerate(edge) if value.upper() in ends), None)
        if stop is None:
            return f"({', '.join(self.keys)}) {last} ({', '.join(edge)})"
        # All that has the same beginning lies on one side of it.
        outside = edge[stop].upper() == ("MAXVALUE" if strict == ">" else "MINVALUE")
        if stop == 0:
            return "false" if outside else "true"
        sign = strict if outside else f"{strict}="
        return f"({', '.join(self.keys[:stop])}) {sign} ({', '.join(edge[:stop])})"


@dataclass(frozen=True, kw_only=True)
class Stored(Condition):
    """A constraint that the live table has, and that is not validated yet."""

    name: str
