"""Types and defaults of columns, where Alembic's own comparison falls short of an enum."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from alembic.operations.ops import AlterColumnOp, ModifyTableOps
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import ARRAY, Computed, DefaultClause, Enum, TypeDecorator

from autogen.change import Change, Script
from autogen.expressions import computed_text, connection_of, default_text, same

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import MigrateOperation, UpgradeOps
    from alembic.runtime.plugins import Plugin
    from sqlalchemy import Column, Dialect
    from sqlalchemy.types import TypeEngine

__all__ = ["enum_of", "retype", "setup"]

_LOG = logging.getLogger("alembic.autogenerate.columns")


def setup(plugin: Plugin) -> None:
    """Register with Alembic, before its own."""
    first = DispatchPriority.FIRST
    plugin.add_autogenerate_comparator(_compare_type, "column", "types", priority=first)
    plugin.add_autogenerate_comparator(_compare_default, "column", "server_default", priority=first)


def enum_of(type_: TypeEngine[Any], dialect: Dialect) -> Enum | None:
    """Return the named type of PostgreSQL's in a column's type, through arrays and decorators."""
    while True:
        if isinstance(type_, TypeDecorator):
            type_ = type_.load_dialect_impl(dialect)
        elif isinstance(type_, ARRAY):
            type_ = type_.item_type
        elif isinstance(type_, Enum) and type_.native_enum and type_.name:
            return type_
        else:
            return None


def _compare_type(
    context: AutogenContext,
    alter: AlterColumnOp,
    _schema: str | None,
    _table: str,
    _name: str,
    found: Column[Any],
    wanted: Column[Any],
) -> PriorityDispatchResult:
    """Leave two columns of one enum alone: what it holds is compared once, in `enums`."""
    dialect = context.migration_context.dialect
    old, new = enum_of(found.type, dialect), enum_of(wanted.type, dialect)
    arrays = isinstance(found.type, ARRAY) == isinstance(wanted.type, ARRAY)
    alter.existing_type = found.type
    if old is not None and new is not None and arrays and old.name == new.name:
        return PriorityDispatchResult.STOP
    if old is None and new is None:
        return PriorityDispatchResult.CONTINUE
    alter.modify_type = wanted.type
    return PriorityDispatchResult.STOP


def _compare_default(
    context: AutogenContext,
    alter: AlterColumnOp,
    _schema: str | None,
    table: str,
    name: str,
    found: Column[Any],
    wanted: Column[Any],
) -> PriorityDispatchResult:
    """Ask the planner, where Alembic would run both defaults and compare their results."""
    old, new = found.server_default, wanted.server_default
    if isinstance(old, Computed) and isinstance(new, Computed):
        computed = (computed_text(old), computed_text(new))
        # Where they differ, Alembic warns: an expression can't be changed.
        known = _planned_alike(context, found, wanted, computed)
        return PriorityDispatchResult.STOP if known else PriorityDispatchResult.CONTINUE
    if not all(default is None or type(default) is DefaultClause for default in (old, new)):
        return PriorityDispatchResult.CONTINUE  # identities, and computed on one side
    alter.existing_server_default = old
    before, after = default_text(old), default_text(new)
    if before == after or (new is None and _is_serial(before, wanted)):
        return PriorityDispatchResult.STOP
    pair = None if before is None or after is None else (before, after)
    if pair is not None and _planned_alike(context, found, wanted, pair):
        return PriorityDispatchResult.STOP
    alter.modify_server_default = new
    _LOG.info("Detected changed server default on column '%s.%s'", table, name)
    return PriorityDispatchResult.STOP


def _planned_alike(
    context: AutogenContext, found: Column[Any], wanted: Column[Any], pair: tuple[str, str]
) -> bool:
    """Tell whether two expressions give a column the same; also where the rights don't suffice."""
    dialect = context.migration_context.dialect
    # A cast takes no collation, and a default has none.
    type_ = dialect.type_compiler_instance.process(found.type).partition(" COLLATE ")[0]
    place = dialect.identifier_preparer.format_table(wanted.table)
    before, after = (f"CAST({expression} AS {type_})" for expression in pair)
    return same(connection_of(context), [(before, after)], table=place) != [False]


def _is_serial(default: str | None, wanted: Column[Any]) -> bool:
    """Tell whether a default is the sequence that `serial` made, which no model writes down."""
    automatic = wanted.primary_key and wanted is wanted.table.autoincrement_column
    return automatic and (default or "").startswith("nextval(")


def retype(context: AutogenContext, upgrade_ops: UpgradeOps) -> set[tuple[str, str]]:
    """Write changes of a column's type from or to an enum, which need a cast that Alembic omits.

    Returns:
        The columns, by table and name.
    """
    done = set()
    for modify in upgrade_ops.ops:
        if isinstance(modify, ModifyTableOps):
            ops: list[MigrateOperation] = []
            for op in modify.ops:
                if isinstance(op, AlterColumnOp) and _involves_enum(context, op):
                    done.add((op.table_name, op.column_name))
                    ops.append(_retyped(context, op))
                    ops += [op] if op.has_changes() else []
                else:
                    ops.append(op)
            modify.ops = ops
    return done


def _involves_enum(context: AutogenContext, op: AlterColumnOp) -> bool:
    dialect = context.migration_context.dialect
    types = (op.modify_type, op.existing_type)
    return all(types) and any(enum_of(type_, dialect) for type_ in types if type_ is not None)


def _retyped(context: AutogenContext, op: AlterColumnOp) -> Change:
    """Take type and default out of `op`, and return what changes both."""
    if op.modify_type is None or op.existing_type is None:
        raise AssertionError("only for columns that get another type")
    model = context.table_key_to_table[op.table_name].columns[op.column_name]
    before = default_text(op.existing_server_default)
    after = default_text(model.server_default)  # its own words: the old ones are of the old type
    up = _cast(context, op, op.modify_type, before=before, after=after)
    down = _cast(context, op, op.existing_type, before=after, after=before)
    op.modify_type = None
    op.modify_server_default = False
    return Change("type", f"{op.table_name}.{op.column_name}", up=up, down=down)


def _cast(
    context: AutogenContext,
    op: AlterColumnOp,
    type_: TypeEngine[Any],
    *,
    before: str | None,
    after: str | None,
) -> Script:
    dialect = context.migration_context.dialect
    quote = dialect.identifier_preparer.quote
    table, column = quote(op.table_name), quote(op.column_name)
    if op.schema:
        table = f"{quote(op.schema)}.{table}"
    text = "text[]" if isinstance(type_, ARRAY) else "text"
    name = dialect.type_compiler_instance.process(type_)
    alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
    statements = [f"{alter} TYPE {name} USING {column}::{text}::{name}"]
    if before is not None:
        statements.insert(0, f"{alter} DROP DEFAULT")
    if after is not None:
        statements.append(f"{alter} SET DEFAULT {after}")
    return Script(statements=tuple(statements))
