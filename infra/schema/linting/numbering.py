"""Columns that number the rows which are there: squawk takes them for any other new column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema.linting import trees
from infra.schema.linting.remark import Remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.linting.pending import Pending

__all__ = ["SERIAL", "look"]

SERIAL = frozenset({"bigserial", "serial", "serial2", "serial4", "serial8", "smallserial"})
"""Not types, though the grammar takes them for such; PostgreSQL makes other types of them."""


def look(pending: Iterable[Pending]) -> Iterator[Remark]:
    """Give the serial and identity columns that are added; each row is written anew for them."""
    for each in pending:
        for statement in each.statements:
            if any(_numbers(kind, fields) for kind, fields in statement.nodes):
                yield Remark(
                    rule="adding-field-with-default",
                    revision=statement.revision,
                    message="Adding a serial or identity column rewrites the table under an"
                    " `ACCESS EXCLUSIVE` lock, since each row gets a number",
                    help="Add the column without it, fill it in batches, and add the identity"
                    " then.",
                    statement=statement.sql,
                    number=statement.number,
                )


def _numbers(kind: str, fields: Mapping[str, Any]) -> bool:
    commands = trees.elements(fields.get("cmds")) if kind == "AlterTableStmt" else ()
    for _, command in commands:
        column = trees.element(command.get("def"))[1]
        type_ = trees.strings(column.get("typeName", {}).get("names", []))
        made = {each.get("contype") for _, each in trees.elements(column.get("constraints"))}
        adds = command.get("subtype") == "AT_AddColumn"
        if adds and ("CONSTR_IDENTITY" in made or (type_[-1:] and type_[-1] in SERIAL)):
            return True
    return False
