"""Reads what a column's new type demands by the unique indexes and checks that its table has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.schema.data_checks import reading
from infra.schema.data_checks.conditions import Check, Condition, Source
from infra.schema.linting import trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.data_checks.tables import Table

__all__ = ["Rebuilt", "conditions", "rebuilt"]

_TEXTS = frozenset({"text", "varchar", "bpchar"})
# As the catalog writes them and as the grammar does; a later one takes all values of an earlier.
_NUMBERS = ("smallint", "integer", "bigint", "numeric")
_WRITTEN = {"int2": "smallint", "int4": "integer", "int8": "bigint", "numeric": "numeric"}


@dataclass(frozen=True, kw_only=True)
class Rebuilt(Condition):
    """What the live table says already of a column holds for its values of another type too.

    Attributes:
        column: Its name in the live table.
        value: What it will hold, as an expression on a live row; empty where there is none.
        type: What that is called.
        number: As the catalog calls the type where that is one of whole numbers; else empty.
        dropped: Indexes and constraints that are gone by then.
    """

    column: str
    value: str
    type: str
    number: str
    dropped: frozenset[str]


def rebuilt(
    fields: Mapping[str, Any], column: str, value: str, type_: str, dropped: frozenset[str]
) -> Rebuilt | None:
    """Read a command of ALTER COLUMN ... TYPE; nothing where all values stay as they are.

    Args:
        fields: Of its node.
        column: The column's live name.
        value: What it will hold, as an expression on a live row; empty where there is none.
        type_: The type, as the statement writes it.
        dropped: Names of what is gone by then.
    """
    definition = trees.element(fields.get("def"))[1]
    written = definition.get("typeName", {})
    name = trees.named(trees.strings(written.get("names", [])))[1]
    plain = definition.get("raw_default") is None and not written.get("arrayBounds")
    if plain and name in _TEXTS:
        return None
    number = _WRITTEN.get(name, "") if plain and not written.get("typmods") else ""
    return Rebuilt(
        says="",
        columns=(str(fields.get("name", "")),),
        column=column,
        value=value,
        type=type_,
        number=number,
        dropped=dropped,
    )


def conditions(asked: Rebuilt, source: Source, table: Table) -> Iterator[tuple[Condition, Source]]:
    """Give what the live table's unique indexes and checks say of the column, and on which rows."""
    known = table.columns.get(asked.column)
    before = known.type if known else ""
    if before in _NUMBERS and asked.number in _NUMBERS[_NUMBERS.index(before) :]:
        return
    for each in _stored(asked, table):
        if asked.column in each.columns:
            only = table.kind != "p" and (source.only or not each.inherits)
            at = Source(
                table=source.table,
                alias=source.table[1],
                only=only,
                added=((asked.value, asked.column),),
                columns=tuple(name for name in table.columns if name != asked.column),
            )
            says = f"{each.says} once {trees.written(asked.column)} is {asked.type}"
            # The statistics are of the values before.
            yield replace(each, says=says, columns=()), at


def _stored(asked: Rebuilt, table: Table) -> Iterator[Condition]:
    for name, text in table.uniques.items():
        if name not in asked.dropped:
            for _, fields in trees.parse(text)[0]:
                yield from reading.index(fields, text)
    for name, constraint in table.constraints.items():
        if name not in asked.dropped and constraint.valid:
            found = reading.stored(constraint.text, constraint.parent)
            yield from (
                replace(each, says=f"violates the check {trees.written(name)}")
                for each in found
                if isinstance(each, Check)
            )
