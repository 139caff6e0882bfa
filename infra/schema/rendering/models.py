"""What the models of a project say: tables and their columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import MetaData

from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from sqlalchemy import Table

__all__ = ["tables"]

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def tables(metadata: object) -> dict[str, tuple[str, ...]]:
    """Give the columns of each table, by its name as SQL writes it.

    Args:
        metadata: What an env.py gives as `target_metadata`: one, several, or none. What is no
            MetaData of SQLAlchemy is passed over.
    """
    several = isinstance(metadata, list | tuple | set | frozenset)
    return {
        _name(table): tuple(str(column.name) for column in table.columns)
        for each in (metadata if several else (metadata,))  # type: ignore[attr-defined] # narrowed by `several`
        if isinstance(each, MetaData)
        for table in each.tables.values()
    }


def _name(table: Table) -> str:
    parts = [str(part) for part in (table.schema, table.name) if part]
    return ".".join(part if _PLAIN.fullmatch(part) else identifier(part) for part in parts)
