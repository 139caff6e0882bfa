"""The objects of a catalog by the table that they belong to, and what their definitions say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.schema.catalog import NAME, ON, OWNED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.model import Catalog

__all__ = [
    "TABLES",
    "Column",
    "Key",
    "Reference",
    "Table",
    "by_relation",
    "changed",
    "kind",
    "place",
    "plain",
    "tables",
]

TABLES = ("table", "foreign table")
_RELATIONS = (*TABLES, "view", "materialized view")
# The order in which a table reads.
_KINDS = (
    "table",
    "foreign table",
    "materialized view",
    "view",
    "column",
    "constraint",
    "index",
    "policy",
    "trigger",
    "rule",
    "sequence",
    "statistics",
    "comment on",
    "grant",
)
_KIND = re.compile(f"({'|'.join(_KINDS)}) ")
_PARTS = frozenset({"column", "constraint", "policy", "trigger", "rule"})

_QUALIFIED = re.compile(rf"{NAME}\.{NAME}")
_LAST = re.compile(rf"{NAME}\.{NAME}\.({NAME})\Z")
_ONE = re.compile(NAME)
_KEY = re.compile(rf"(PRIMARY KEY|UNIQUE)(?: NULLS NOT DISTINCT)? \(({NAME}(?:, {NAME})*)\)")
_FOREIGN = re.compile(rf"FOREIGN KEY \(({NAME}(?:, {NAME})*)\) REFERENCES ({NAME}\.{NAME})\(")
# What follows the type in the definition of a column.
_AFTER_TYPE = re.compile(
    r" (?:COLLATE|NOT NULL|GENERATED|DEFAULT|STORAGE|COMPRESSION|STATISTICS|WITH|OPTIONS)\b"
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name as SQL writes it, and its definition."""

    name: str
    definition: str

    @property
    def type(self) -> str:
        """Its type alone."""
        return _AFTER_TYPE.split(self.definition, maxsplit=1)[0]

    @property
    def nullable(self) -> bool:
        """Whether a row may be without it."""
        return " NOT NULL" not in self.definition


@dataclass(frozen=True, kw_only=True)
class Key:
    """A primary or unique key: its columns."""

    columns: tuple[str, ...]
    primary: bool


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key.

    Attributes:
        constraint: Its name in the catalog.
        columns: The columns that refer.
        to: The table that they refer to.
        definition: The whole constraint.
    """

    constraint: str
    columns: tuple[str, ...]
    to: str
    definition: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a catalog.

    Attributes:
        name: As SQL writes it, "app.clients".
        columns: By name; a catalog does not tell their order, so those of the primary key come
            first and the others by name.
        keys: Primary and unique keys.
        references: Foreign keys.
    """

    name: str
    columns: Mapping[str, Column] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()
    references: tuple[Reference, ...] = ()


def kind(name: str) -> str:
    """Give the kind of an object that can belong to a table; else empty."""
    match = _KIND.match(name)
    return match[1] if match else ""


def plain(name: str) -> str:
    """Give a name as a person says it: without the quotes of SQL."""
    return _ONE.sub(
        lambda found: found[0][1:-1].replace('""', '"') if found[0][0] == '"' else found[0], name
    )


def by_relation(catalog: Catalog) -> dict[str, dict[str, str]]:
    """Group the objects that belong to a table or view by its name; the others are under ""."""
    objects = catalog.objects
    relations = {name[len(kind(name)) + 1 :] for name in objects if kind(name) in _RELATIONS}
    grouped: dict[str, dict[str, str]] = {}
    for name, definition in sorted(objects.items(), key=lambda item: place(item[0])):
        relation = _relation(name, definition, objects)
        grouped.setdefault(relation if relation in relations else "", {})[name] = definition
    return grouped


def changed(before: Catalog, after: Catalog) -> list[str]:
    """List the tables and views of which anything differs, sorted; "" for all other objects."""
    old, new = by_relation(before), by_relation(after)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def tables(catalog: Catalog) -> dict[str, Table]:
    """Read the tables of a catalog, by name."""
    read = {}
    for relation, objects in by_relation(catalog).items():
        if any(f"{each} {relation}" in objects for each in TABLES):
            read[relation] = _table(relation, objects)
    return read


def _table(relation: str, objects: Mapping[str, str]) -> Table:
    keys = tuple(_keys(objects))
    primary = [column for key in keys if key.primary for column in key.columns]
    columns = {
        name: Column(name=name, definition=definition) for name, definition in _columns(objects)
    }
    first = {name: columns[name] for name in primary if name in columns}
    return Table(
        name=relation,
        columns={**first, **columns},
        keys=keys,
        references=tuple(_references(objects)),
    )


def _columns(objects: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, definition in objects.items():
        if kind(name) == "column" and (last := _LAST.match(name, len("column "))):
            yield last[1], definition


def _keys(objects: Mapping[str, str]) -> Iterator[Key]:
    for name, definition in objects.items():
        if kind(name) == "constraint" and (found := _KEY.match(definition)):
            yield Key(columns=_names(found[2]), primary=found[1] == "PRIMARY KEY")


def _references(objects: Mapping[str, str]) -> Iterator[Reference]:
    for name, definition in objects.items():
        if kind(name) == "constraint" and (found := _FOREIGN.match(definition)):
            yield Reference(
                constraint=name, columns=_names(found[1]), to=found[2], definition=definition
            )


def _names(text: str) -> tuple[str, ...]:
    return tuple(_ONE.findall(text))


def _relation(name: str, definition: str, objects: Mapping[str, str]) -> str:
    """Name the table that an object belongs to; empty where it belongs to none."""
    its = kind(name)
    rest = name[len(its) + 1 :]
    if its in _RELATIONS:
        return rest
    if its in _PARTS or its == "grant":
        found = _QUALIFIED.match(rest)
        return found[0] if found else ""
    if its in ("index", "statistics"):
        on = ON.match(definition)
        return on[1] if on else ""
    if its == "sequence":
        owned = OWNED.search(definition)
        return owned[1] if owned else ""
    if its == "comment on":  # an index is found by what it is on
        return _relation(rest, objects.get(rest, ""), objects)
    return ""


def place(name: str) -> tuple[int, str]:
    """Give what sorts objects in the order in which a table reads."""
    its = kind(name)
    return _KINDS.index(its) if its else len(_KINDS), name.replace('"', "").casefold()
