"""New indexes on tables in use: built without blocking writers, where a revision allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.operations.ops import (
    CreateIndexOp,
    CreateTableOp,
    DropIndexOp,
    MigrateOperation,
    ModifyTableOps,
)

from autogen.change import Block, leaves

if TYPE_CHECKING:
    from alembic.operations.ops import MigrationScript, OpContainer

__all__ = ["arrange_indexes"]


def arrange_indexes(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    """Build indexes without blocking writers where a revision does nothing else.

    Together with anything else they stay in its transaction: what an autocommit block had
    committed before a kill would be in the way of the next run.
    """
    for script in directives:
        for ops in (script.upgrade_ops, script.downgrade_ops):
            if ops is not None:
                _arrange(ops)


def _arrange(container: OpContainer) -> None:
    ops = list(leaves(container))
    new_tables = {op.table_name for op in ops if isinstance(op, CreateTableOp)}
    if ops and all(isinstance(op, CreateIndexOp | DropIndexOp) for op in ops):
        note = "Writers go on meanwhile. Killed, it starts anew: DROP takes away what is INVALID."
        steps = [step for op in ops for step in _concurrently(op)]
        container.ops = [Block(steps, notes=(note,), autocommit=True)]
        return
    for modify in container.ops:
        if isinstance(modify, ModifyTableOps) and modify.table_name not in new_tables:
            modify.ops = [_noted(op) for op in modify.ops]


def _concurrently(op: MigrateOperation) -> list[MigrateOperation]:
    steps: list[MigrateOperation] = []
    if isinstance(op, CreateIndexOp) and op.index_name is not None:
        steps.append(DropIndexOp(op.index_name, table_name=op.table_name, schema=op.schema))
    steps.append(op)
    for step in steps:
        if isinstance(step, CreateIndexOp | DropIndexOp):
            step.kw["postgresql_concurrently"] = True
        if isinstance(step, DropIndexOp):
            step.if_exists = True
    return steps


def _noted(op: MigrateOperation) -> MigrateOperation:
    if not isinstance(op, CreateIndexOp):
        return op
    note = (
        f"Blocks writers of {op.table_name} while it is built. Is the table big? Take this out,"
        " and the index out of the model, and let a revision of its own build it CONCURRENTLY."
    )
    return Block([op], notes=(note,))
