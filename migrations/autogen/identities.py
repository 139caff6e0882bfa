"""Identities of columns that are there: Alembic writes how they come, and not how they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.ddl.base import IdentityColumnDefault
from alembic.operations.ops import AlterColumnOp, ModifyTableOps
from sqlalchemy import Identity

from autogen.change import Change, Script
from autogen.expressions import quoted_literal

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import MigrateOperation, UpgradeOps

__all__ = ["reidentify"]


def reidentify(context: AutogenContext, upgrade_ops: UpgradeOps) -> None:
    """Write changes of an identity as statements that know their way back."""
    for modify in upgrade_ops.ops:
        if isinstance(modify, ModifyTableOps):
            ops: list[MigrateOperation] = []
            for op in modify.ops:
                change = _change(context, op) if isinstance(op, AlterColumnOp) else None
                # NOT NULL, which an identity needs, is part of `op`, and goes before.
                ops += [op] if change is None or _has_more(op) else []
                ops += [change] if change is not None else []
            modify.ops = ops


def _has_more(op: MigrateOperation) -> bool:
    return isinstance(op, AlterColumnOp) and op.has_changes()


def _change(context: AutogenContext, op: AlterColumnOp) -> Change | None:
    new, old = op.modify_server_default, op.existing_server_default
    if new is False or not isinstance(new, Identity | None) or not isinstance(old, Identity | None):
        return None
    op.modify_server_default = op.existing_server_default = False
    up, down = _script(context, op, old, new), _script(context, op, new, old)
    return Change("identity", f"{op.table_name}.{op.column_name}", up=up, down=down)


def _script(
    context: AutogenContext, op: AlterColumnOp, before: Identity | None, after: Identity | None
) -> Script:
    migration = context.migration_context
    element = IdentityColumnDefault(
        op.table_name,
        op.column_name,
        after,
        migration.impl,
        schema=op.schema,
        existing_server_default=before,
    )
    statement = str(element.compile(dialect=migration.dialect)).strip()
    if before is not None or after is None:
        return Script(statements=(statement,))
    quote = migration.dialect.identifier_preparer.quote
    table, column = quote(op.table_name), quote(op.column_name)
    sequence = f"pg_get_serial_sequence({quoted_literal(table)}, {quoted_literal(op.column_name)})"
    forward = f"SELECT setval({sequence}, max({column})) FROM {table} HAVING max({column}) > 0"  # noqa: S608 - names of the models, quoted
    note = "The sequence goes on after the rows that are there."
    return Script(statements=(statement, forward), notes=(note,))
