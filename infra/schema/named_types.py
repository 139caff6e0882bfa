"""Which enum types and domains a revision finds made, as in one run of Alembic from the first on.

Alembic notes the types that it makes for the columns of a new table, and makes none of them a
second time in the same run. Here a revision may run in a session and a process of its own, long
after the others, or through env.py between two that are sent as SQL. So what it would find noted is
worked out from the graph, and where that depends on what has run, the database is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.schema.graph import closure, dependents
from infra.schema.statements.sql import literal, quoted_block

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from infra.schema.model import Direction, TypeUse

__all__ = ["Memo", "exists", "guarded", "makes_tables", "may_drop", "memo"]

Key = tuple[str, str]
"""Schema, "" for the first of the search_path, and name."""

_MAKING = re.compile(r"\b(create_table|CreateTable|CreateTableOp|recreate)\b")
_DROPPING = re.compile(
    r"\bDROP\s+(TYPE|DOMAIN|SCHEMA|OWNED)\b|\.drop(_all)?\("
    r"|\bALTER\s+(TYPE|DOMAIN)\s+\S+\s+(RENAME\s+TO|SET\s+SCHEMA)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Memo:
    """What one direction of a revision finds noted.

    Attributes:
        made: Types that are made for certain.
        unsure: Types that are there or not, by what has run and how.
        open: Whether any other type may be there as well.
    """

    made: frozenset[Key] = frozenset()
    unsure: frozenset[Key] = frozenset()
    open: bool = False

    def find(self, key: Key) -> bool | None:
        """Tell whether a type is made; None where only the database knows."""
        if key in self.unsure:
            return None
        if key in self.made:
            return True
        return None if self.open else False


def memo(
    revision: str,
    direction: Direction,
    needs: Mapping[str, tuple[str, ...]],
    uses: Mapping[str, TypeUse],
) -> Memo:
    """Work out what a revision finds noted.

    Args:
        revision: Its id.
        direction: "up" or "down".
        needs: Parents and dependencies of all revisions, by id.
        uses: What the revisions do with types, by direction and id: "up 1a2b".
    """
    below = closure(needs.get(revision, ()), needs)
    if direction == "down":  # a downgrade may begin anywhere above
        others = {*below, revision}
        later = [
            use for name, use in uses.items() if name.startswith("down ") and name[5:] not in others
        ]
        return Memo(unsure=_all(use.made for use in later), open=any(use.open for use in later))
    ups = {name[3:]: use for name, use in uses.items() if name.startswith("up ")}
    above = closure((revision,), dependents(needs))
    beside = [use for id_, use in ups.items() if id_ not in below and id_ not in above]
    before = [use for id_, use in ups.items() if id_ in below]
    mine = [ups[revision]] if revision in ups else []
    return Memo(
        made=_all(use.made for use in before),
        unsure=_all(use.made for use in beside)
        | _all(use.gone for use in (*before, *beside, *mine)),
        open=any(use.open for use in (*before, *beside)),
    )


def _all(keys: Iterable[Iterable[Key]]) -> frozenset[Key]:
    return frozenset(key for each in keys for key in each)


def exists(key: Key) -> str:
    """Write a condition that is true where a type is there, as Alembic's `checkfirst` asks it."""
    schema, name = key
    place = (
        "n.nspname <> 'pg_catalog' AND pg_catalog.pg_type_is_visible(t.oid)"
        if not schema
        else f"n.nspname = {literal(schema)}"
    )
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n"
        f" ON n.oid = t.typnamespace WHERE t.typname = {literal(name)} AND {place})"
    )


def guarded(key: Key, sql: str) -> str:
    """Let a statement that makes a type do so only where there is none."""
    body = f"BEGIN\n    IF NOT {exists(key)} THEN\n        {sql};\n    END IF;\nEND"
    return f"DO {quoted_block(body)}"


def makes_tables(source: str) -> bool:
    """Tell whether Python code may make tables by Alembic's operations."""
    return _MAKING.search(source) is not None


def may_drop(text: str, keys: Collection[Key]) -> tuple[Key, ...]:
    """List the types of some that SQL, or Python code with SQL, may drop or rename."""
    if not _DROPPING.search(text):
        return ()
    whole = re.search(r"\bDROP\s+(SCHEMA|OWNED)\b|\.drop_all\(", text, re.IGNORECASE)
    return tuple(sorted(key for key in keys if whole or key[1] in text))
