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
from sqlalchemy.sql.elements import conv

from autogen.change import Block, leaves

if TYPE_CHECKING:
    from alembic.operations.ops import MigrationScript, OpContainer
    from sqlalchemy import MetaData

__all__ = ["arrange_indexes"]


def arrange_indexes(directives: list[MigrationScript], metadata: MetaData) -> None:
    """Build indexes without blocking writers where a revision does nothing else.

    Together with anything else they stay in its transaction: what an autocommit block had
    committed before a kill would be in the way of the next run.

    Args:
        directives: The revisions that are about to be written.
        metadata: The models.
    """
    for script in directives:
        for ops in (*script.upgrade_ops_list, *script.downgrade_ops_list):
            _arrange(ops, metadata)


def _arrange(container: OpContainer, metadata: MetaData) -> None:
    ops = list(leaves(container))
    if ops and all(_can_be_beside(op, metadata) for op in ops):
        note = "Writers go on meanwhile. Killed, it starts anew: DROP takes away what is INVALID."
        container.ops = [Block(_concurrently(ops), notes=(note,), autocommit=True)]
        return
    new_tables = {op.table_name for op in ops if isinstance(op, CreateTableOp)}
    for modify in container.ops:
        if isinstance(modify, ModifyTableOps) and modify.table_name not in new_tables:
            modify.ops = [_noted(op) for op in modify.ops]


def _can_be_beside(op: MigrateOperation, metadata: MetaData) -> bool:
    """Tell whether PostgreSQL does this CONCURRENTLY, which it doesn't for partitioned tables."""
    if not isinstance(op, CreateIndexOp | DropIndexOp) or op.table_name is None:
        return False
    table = metadata.tables.get(f"{op.schema}.{op.table_name}" if op.schema else op.table_name)
    return table is None or not table.dialect_options["postgresql"]["partition_by"]


def _concurrently(ops: list[MigrateOperation]) -> list[MigrateOperation]:
    steps: list[MigrateOperation] = []
    dropped = set()
    for op in ops:
        if isinstance(op, CreateIndexOp):
            op.kw["postgresql_concurrently"] = True
            name = str(op.index_name)
            if name not in dropped:
                steps.append(_drop(conv(name), op.table_name, op.schema))
            steps.append(op)
        elif isinstance(op, DropIndexOp):
            dropped.add(str(op.index_name))
            steps.append(_drop(op.index_name, op.table_name, op.schema))
    return steps


def _drop(name: str, table: str | None, schema: str | None) -> DropIndexOp:
    return DropIndexOp(
        name, table_name=table, schema=schema, if_exists=True, postgresql_concurrently=True
    )


def _noted(op: MigrateOperation) -> MigrateOperation:
    if not isinstance(op, CreateIndexOp):
        return op
    note = (
        f"Blocks writers of {op.table_name} while it is built. Is the table big? Take this out,"
        " and the index out of the model, and let a revision of its own build it CONCURRENTLY."
    )
    return Block([op], notes=(note,))
