"""The order of what autogenerate found: a type before what uses it, drops before what is made."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from alembic.autogenerate import render_op_text
from alembic.operations.ops import (
    AlterColumnOp,
    DropColumnOp,
    DropConstraintOp,
    DropIndexOp,
    DropTableOp,
    MigrateOperation,
    ModifyTableOps,
)
from alembic.util import DispatchPriority, PriorityDispatchResult

from autogen import enums
from autogen.change import Change, Script, leaves
from autogen.columns import enum_of, retype
from autogen.dependants import find
from autogen.expressions import connection_of, default_text, quoted_literal
from autogen.identities import reidentify

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps
    from alembic.runtime.plugins import Plugin

__all__ = ["setup"]

_LOG = logging.getLogger("alembic.autogenerate.enums")


def setup(plugin: Plugin) -> None:
    """Register with Alembic, after the comparison of tables."""
    plugin.add_autogenerate_comparator(_compare, "schema", "enums", priority=DispatchPriority.LAST)


def _compare(
    context: AutogenContext, upgrade_ops: UpgradeOps, _schemas: set[str | None]
) -> PriorityDispatchResult:
    wanted, found = enums.in_models(context), enums.in_database(connection_of(context))
    reidentify(context, upgrade_ops)
    gone = retype(context, upgrade_ops) | _dropped(upgrade_ops)
    rest = upgrade_ops.ops
    new = [enums.made(context, name, wanted[name]) for name in sorted({*wanted} - {*found})]
    both = sorted(name for name in {*wanted} & {*found} if wanted[name] != found[name].values)
    grown = [name for name in both if enums.is_addition(found[name].values, wanted[name])]
    others = [name for name in both if name not in grown]
    added = []
    for name in grown:
        used = _names_new_value(context, rest, {*wanted[name]} - {*found[name].values})
        added.append(enums.added(context, found[name], wanted[name], autocommit=used))
    # What is committed at once goes before everything that has to be undone on a failure.
    added.sort(key=lambda change: not change.up.autocommit)
    before, without = _hoisted(context, upgrade_ops) if others else ([], set())
    changed = [
        enums.changed(context, found[name], wanted[name], without=without) for name in others
    ]
    unused = [
        enums.made(context, name, found[name].values).reverse()
        for name in sorted({*found} - {*wanted})
        if _is_free(context, found[name], gone)
    ]
    for change in (*added, *new, *changed, *unused):
        _LOG.info("Detected changed enum %r", change.about)
    upgrade_ops.ops = [*added, *new, *before, *changed, *upgrade_ops.ops, *unused]
    return PriorityDispatchResult.CONTINUE


def _names_new_value(
    context: AutogenContext, ops: list[MigrateOperation], values: set[str]
) -> bool:
    """Tell whether a check, default or index of the same revision has a new value in it."""
    text = "\n".join(render_op_text(context, op) for op in ops).replace("\\", "")
    return any(quoted_literal(value) in text for value in values)


def _hoisted(
    context: AutogenContext, upgrade_ops: UpgradeOps
) -> tuple[list[MigrateOperation], set[str | tuple[str, str]]]:
    """Take out what drops checks, indexes and defaults: it goes before a type that changes.

    The way back is the same list reversed, so that they are made again after the type.

    Returns:
        What was taken out, and the checks and indexes (by name) and defaults (by table and
        column) that it drops.
    """
    drops: list[MigrateOperation] = []
    names: set[str | tuple[str, str]] = set()
    for modify in upgrade_ops.ops:
        if not isinstance(modify, ModifyTableOps):
            continue
        taken: list[MigrateOperation] = []
        for op in modify.ops:
            if isinstance(op, DropConstraintOp | DropIndexOp):
                taken.append(op)
                names.add(
                    str(op.constraint_name if isinstance(op, DropConstraintOp) else op.index_name)
                )
            elif isinstance(op, AlterColumnOp) and _drops_default(context, op):
                names.add((op.table_name, op.column_name))
                drops.append(_without_default(context, op))
        modify.ops = [op for op in modify.ops if op not in taken]
        if taken:
            drops.append(ModifyTableOps(modify.table_name, taken, schema=modify.schema))
    return drops, names


def _drops_default(context: AutogenContext, op: AlterColumnOp) -> bool:
    enum = op.existing_type and enum_of(op.existing_type, context.migration_context.dialect)
    changes = op.modify_server_default is not False
    return bool(enum and changes and default_text(op.existing_server_default))


def _without_default(context: AutogenContext, op: AlterColumnOp) -> Change:
    """Split the dropping of a default from the operation that sets another one."""
    quote = context.migration_context.dialect.identifier_preparer.quote
    alter = f"ALTER TABLE {quote(op.table_name)} ALTER COLUMN {quote(op.column_name)}"
    up = Script(statements=(f"{alter} DROP DEFAULT",))
    down = Script(statements=(f"{alter} SET DEFAULT {default_text(op.existing_server_default)}",))
    op.existing_server_default = None
    return Change("default", f"{op.table_name}.{op.column_name}", up=up, down=down)


def _dropped(upgrade_ops: UpgradeOps) -> set[tuple[str, str]]:
    """Return the columns that go, by table and name; of a table that goes, name "*"."""
    gone = set()
    for op in leaves(upgrade_ops):
        if isinstance(op, DropTableOp):
            gone.add((op.table_name, "*"))
        elif isinstance(op, DropColumnOp):
            gone.add((op.table_name, op.column_name))
    return gone


def _is_free(context: AutogenContext, enum: enums.Named, gone: set[tuple[str, str]]) -> bool:
    """Tell whether nothing uses a type any more once the columns `gone` are."""
    dependants = find(connection_of(context), enum.oid)
    left = [c for c in dependants.columns if not {c.key, (c.key[0], "*")} & gone]
    return not left and not dependants.others
