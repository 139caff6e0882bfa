"""Named types (enums): made, dropped, and changed in plain SQL that runs without asking anything.

PostgreSQL adds and renames values in place. To take one away or to reorder them, the type is made
anew, and everything that names its values steps aside meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from alembic.util import CommandError
from sqlalchemy import text

from autogen.change import Change, Script
from autogen.columns import enum_of
from autogen.dependants import find
from autogen.expressions import connection_of, quoted_literal

if TYPE_CHECKING:
    from collections.abc import Collection

    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import Connection

    from autogen.dependants import Dependants

    Key = str | tuple[str, str]

__all__ = ["Named", "added", "changed", "in_database", "in_models", "is_addition", "made"]

# Those of the schema where new objects go; an extension's are its own business.
_TYPES = r"""
SELECT t.oid, t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
         FILTER (WHERE e.enumlabel IS NOT NULL) AS labels
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_enum e ON e.enumtypid = t.oid
WHERE t.typtype = 'e' AND n.nspname = current_schema() AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
GROUP BY t.oid, t.typname
ORDER BY t.typname
"""
_ANEW = (
    "PostgreSQL takes no value out of a type and moves none: it is made anew, which rewrites the"
    " tables that use it and locks them meanwhile."
)
_NAME_BYTES = 63  # PostgreSQL's length of a name


@dataclass(frozen=True, kw_only=True)
class Named:
    """An enum of the database.

    Attributes:
        oid: Its object id.
        name: As it is called.
        values: In their order.
    """

    oid: int
    name: str
    values: tuple[str, ...]


def in_models(context: AutogenContext) -> dict[str, tuple[str, ...]]:
    """Return the values of each enum that columns of the models have, by the name of the type.

    Raises:
        CommandError: Two models mean different values by one name.
    """
    found: dict[str, tuple[str, ...]] = {}
    dialect = context.migration_context.dialect
    for table in context.sorted_tables:
        for column in table.columns:
            enum = enum_of(column.type, dialect)
            if enum is None or enum.name is None or enum.schema is not None:
                continue
            values = tuple(enum.enums)
            if found.setdefault(enum.name, values) != values:
                raise CommandError(
                    f"The models give the enum {enum.name} different values; one of them is"
                    f" {table.name}.{column.name}. Nothing was written. Use one Python enum for"
                    " both columns, or give one of the types another name."
                )
    return found


def in_database(connection: Connection) -> dict[str, Named]:
    """Return the enums of the schema where unqualified names are created, by name."""
    rows = connection.execute(text(_TYPES))
    return {
        row.name: Named(oid=row.oid, name=row.name, values=tuple(row.labels or ())) for row in rows
    }


def made(context: AutogenContext, name: str, values: tuple[str, ...]) -> Change:
    """Return what makes a type; its reverse drops it."""
    quoted = context.migration_context.dialect.identifier_preparer.quote(name)
    return Change(
        "enum",
        name,
        up=Script(statements=(_create(quoted, values),)),
        down=Script(statements=(f"DROP TYPE {quoted}",)),
    )


def is_addition(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Tell whether `new` is `old` with values put in, the rest in the same order."""
    return tuple(value for value in new if value in old) == old


def added(context: AutogenContext, old: Named, new: tuple[str, ...], *, autocommit: bool) -> Change:
    """Return what puts the new values in, and what takes them out again.

    Args:
        context: Of the comparison.
        old: The type as it is.
        new: Its values to be.
        autocommit: The revision uses a new value, which PostgreSQL allows once it is committed.
    """
    quoted = context.migration_context.dialect.identifier_preparer.quote(old.name)
    statements = []
    for before, value in pairwise(("", *new)):
        if value not in old.values:
            place = f" AFTER {quoted_literal(before)}" if before else ""
            if not before and old.values:
                place = f" BEFORE {quoted_literal(old.values[0])}"
            what = f"ADD VALUE IF NOT EXISTS {quoted_literal(value)}"
            statements.append(f"ALTER TYPE {quoted} {what}{place}")
    notes = ("Committed at once, since the rest of this revision uses it.",) if autocommit else ()
    dependants = find(connection_of(context), old.oid)
    if dependants.others:
        stays = f"The new values of {old.name} stay: {_listed(dependants.others)} in the way."
        down = Script(notes=(stays,))
    else:
        down = _recreated(_names(context, old), old.values, new, dependants)
    up = Script(statements=tuple(statements), notes=notes, autocommit=autocommit)
    return Change("enum", old.name, up=up, down=down)


def changed(
    context: AutogenContext, old: Named, new: tuple[str, ...], *, without: Collection[Key]
) -> Change:
    """Return what renames values, or makes the type anew where that isn't enough.

    Args:
        context: Of the comparison.
        old: The type as it is.
        new: Its values to be.
        without: Checks and indexes, by name, that the revision drops before and makes after.
    """
    quoted = context.migration_context.dialect.identifier_preparer.quote(old.name)
    renamed = _renames(old.values, new)
    if renamed:
        return Change(
            "enum",
            old.name,
            up=_renamed(quoted, renamed),
            down=_renamed(quoted, [(after, before) for before, after in renamed]),
        )
    dependants = find(connection_of(context), old.oid)
    names = _names(context, old)
    up = _recreated(names, new, old.values, dependants, without)
    down = _recreated(names, old.values, new, dependants, without)
    if dependants.others:
        refusal = (
            f"The enum {old.name} lost or reordered values, so it has to be made anew, and"
            f" {_listed(dependants.others)} in the way. Nothing was written. Drop these in a"
            " revision of your own and make them again in one after this, or keep the values"
            " in the model."
        )
        up = down = Script(refusal=refusal)
    return Change("enum", old.name, up=up, down=down)


def _renames(old: tuple[str, ...], new: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return pairs of old and new, where each difference is a new value in the place of an old."""
    if len(old) != len(new):
        return []
    pairs = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
    fresh = all(before not in new and after not in old for before, after in pairs)
    return pairs if fresh else []


def _renamed(quoted: str, pairs: list[tuple[str, str]]) -> Script:
    told = ", ".join(f"{before} is now {after}" for before, after in pairs)
    return Script(
        notes=(f"Read as a new name for the same thing, rows included: {told}.",),
        statements=tuple(
            f"ALTER TYPE {quoted} RENAME VALUE {quoted_literal(a)} TO {quoted_literal(b)}"
            for a, b in pairs
        ),
    )


def _names(context: AutogenContext, enum: Named) -> tuple[str, str]:
    """Return the name of a type, and the one that it gets while it steps aside."""
    quote = context.migration_context.dialect.identifier_preparer.quote
    room = enum.name.encode()[: _NAME_BYTES - len("_old")].decode(errors="ignore")
    return quote(enum.name), quote(f"{room}_old")


def _recreated(
    names: tuple[str, str],
    values: tuple[str, ...],
    before: tuple[str, ...],
    dependants: Dependants,
    without: Collection[Key] = (),
) -> Script:
    """Return what makes a type anew with `values`, under everything that hangs on it."""
    quoted, aside = names
    parts = [part for part in dependants.parts if part.name not in without]
    columns = dependants.columns
    presets = [column for column in columns if column.preset and column.key not in without]
    statements = [
        *(part.drop for part in reversed(parts)),
        *(f"ALTER TABLE {c.table} ALTER COLUMN {c.name} DROP DEFAULT" for c in presets),
        f"ALTER TYPE {quoted} RENAME TO {aside}",
        _create(quoted, values),
        *(
            f"ALTER TABLE {c.table} ALTER COLUMN {c.name} TYPE {quoted}{'[]' if c.array else ''}"
            f" USING {c.name}::text{'[]' if c.array else ''}::{quoted}{'[]' if c.array else ''}"
            for c in columns
        ),
        *(f"ALTER TABLE {c.table} ALTER COLUMN {c.name} SET DEFAULT {c.preset}" for c in presets),
        f"DROP TYPE {aside}",
        *(statement for part in parts for statement in part.make),
    ]
    notes = [_ANEW]
    gone = [value for value in before if value not in values]
    if gone:
        notes.append(f"Rows that still have {', '.join(gone)} stop this, and nothing is changed.")
    return Script(statements=tuple(statements), notes=tuple(notes))


def _create(quoted: str, values: tuple[str, ...]) -> str:
    return f"CREATE TYPE {quoted} AS ENUM ({', '.join(map(quoted_literal, values))})"


def _listed(labels: tuple[str, ...]) -> str:
    return f"{', '.join(labels)} {'is' if len(labels) == 1 else 'are'}"
