"""Changes of a column's type that PostgreSQL makes at once, without writing the table anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infra.schema.linting import trees

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.schema.linting.course import Moment
    from infra.schema.model import Live

__all__ = ["only"]

# As the catalog describes a column: its type comes first.
_TEXT = re.compile(r"text(?=$|\s)|character varying(?:\((?P<length>\d+)\))?(?=$|\s)")
_NUMERIC = re.compile(r"numeric\((?P<precision>\d+),(?P<scale>-?\d+)\)(?=$|\s)")


def only(moment: Moment, live: Live | None) -> bool:
    """Tell whether a statement changes types only to ones that take all that is there.

    A varchar that gets longer or becomes text, a numeric with more digits before the point. Where
    the column is not in the database yet, nobody knows.
    """
    objects = live.catalog.objects if live and live.catalog else {}
    changes = [
        (str(command.get("name", "")), trees.element(command.get("def"))[1])
        for kind, fields in moment.statement.nodes
        if kind == "AlterTableStmt"
        for _, command in trees.elements(fields.get("cmds"))
        if command.get("subtype") == "AT_AlterColumnType"
    ]
    return bool(changes) and all(
        _wider(objects.get(f"column {trees.written(*table, name)}", ""), column)
        for table in moment.about[:1]
        for name, column in changes
    )


def _wider(before: str, column: Mapping[str, Any]) -> bool:
    if "raw_default" in column or "collClause" in column:  # USING, COLLATE
        return False
    type_ = column.get("typeName", {})
    name = trees.named(trees.strings(type_.get("names", [])))[1]
    sizes = [
        int(fields.get("ival", {}).get("ival", 0))
        for kind, fields in trees.elements(type_.get("typmods"))
        if kind == "A_Const"
    ]
    if type_.get("arrayBounds"):
        return False
    text = _TEXT.match(before)
    if text and name in {"text", "varchar"}:
        return not sizes or (text["length"] is not None and int(text["length"]) <= sizes[0])
    number = _NUMERIC.match(before)
    if number and name == "numeric":
        precision, scale = (*sizes, 0, 0)[:2]
        enough = int(number["precision"]) <= precision and int(number["scale"]) == scale
        return enough or not sizes
    return False
