"""Check constraints, compared by name and by what they mean."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from alembic.operations.ops import AddConstraintOp, DropConstraintOp
from alembic.util import PriorityDispatchResult
from sqlalchemy import CheckConstraint
from sqlalchemy.sql.elements import conv

from autogen.expressions import compiled, connection_of, same

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import ModifyTableOps
    from alembic.runtime.plugins import Plugin
    from sqlalchemy import Table

__all__ = ["setup"]

_LOG = logging.getLogger("alembic.autogenerate.checks")


def setup(plugin: Plugin) -> None:
    """Register with Alembic."""
    plugin.add_autogenerate_comparator(_compare, "table", "checkconstraints")


def _compare(
    context: AutogenContext,
    modify: ModifyTableOps,
    schema: str | None,
    name: str,
    found: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    if found is None or wanted is None:  # a whole table comes or goes, with its checks
        return PriorityDispatchResult.CONTINUE
    old = _in_database(context, schema, name, found)
    new = _in_model(context, wanted)
    changed = _changed(context, old, new, table=wanted)
    for key in sorted({*old} - {*new} | changed):
        if context.run_object_filters(old[key], key, "check_constraint", True, None):  # noqa: FBT003 - as Alembic has it
            modify.ops.append(DropConstraintOp.from_constraint(old[key]))
            _LOG.info("Detected removed or changed check constraint %r on table %r", key, name)
    for key in sorted({*new} - {*old} | changed):
        if context.run_object_filters(new[key], key, "check_constraint", False, old.get(key)):  # noqa: FBT003 - as above
            modify.ops.append(AddConstraintOp.from_constraint(new[key]))
            _LOG.info("Detected added or changed check constraint %r on table %r", key, name)
    return PriorityDispatchResult.CONTINUE


def _in_database(
    context: AutogenContext, schema: str | None, name: str, table: Table
) -> dict[str, CheckConstraint]:
    found = {}
    for row in context.inspector.get_check_constraints(name, schema=schema):
        key = row["name"]
        if key and context.run_name_filters(
            key, "check_constraint", {"table_name": name, "schema_name": schema}
        ):
            options = row.get("dialect_options", {})
            found[key] = CheckConstraint(row["sqltext"], name=conv(key), table=table, **options)
    return found


def _in_model(context: AutogenContext, table: Table) -> dict[str, CheckConstraint]:
    preparer = context.migration_context.dialect.identifier_preparer
    return {
        # The final name: by the convention, and cut to PostgreSQL's length.
        str(preparer.format_constraint(constraint, _alembic_quote=False)): constraint
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint) and constraint.name is not None
    }


def _changed(
    context: AutogenContext,
    old: dict[str, CheckConstraint],
    new: dict[str, CheckConstraint],
    *,
    table: Table,
) -> set[str]:
    place = context.migration_context.dialect.identifier_preparer.format_table(table)
    both = sorted({*old} & {*new})
    pairs = [(compiled(old[name].sqltext), compiled(new[name].sqltext)) for name in both]
    answers = same(connection_of(context), pairs, table=place)
    return {name for name, answer in zip(both, answers, strict=True) if answer is False}
