"""Indexes: what Alembic's own comparison leaves out of the definition of one."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from alembic.ddl._autogen import ComparisonResult
from alembic.operations.ops import CreateIndexOp, DropIndexOp
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, Index, text

from autogen.definitions import same_indexes
from autogen.expressions import compiled, connection_of, same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import ModifyTableOps
    from alembic.runtime.plugins import Plugin
    from sqlalchemy import Connection, Row, Table

__all__ = ["setup"]

_LOG = logging.getLogger("alembic.autogenerate.indexes")
_CLASS = re.compile(r"\s((?:\w+\.)?\w+_ops)(?:\s+(?:ASC|DESC|NULLS|FIRST|LAST))*$", re.IGNORECASE)
# Of each index of a table that no constraint made: the access method, its parameters, the
# operator class of each key, the columns it carries along, its condition.
_DETAILS = """
SELECT p.relname AS name, m.amname AS method, p.reloptions AS parameters,
       pg_get_expr(i.indpred, i.indrelid) AS condition,
       ARRAY(SELECT o.opcname::text FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS k (oid, n)
             JOIN pg_opclass o ON o.oid = k.oid ORDER BY k.n) AS classes,
       ARRAY(SELECT o.opcdefault FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS k (oid, n)
             JOIN pg_opclass o ON o.oid = k.oid ORDER BY k.n) AS defaults,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.n > i.indnkeyatts ORDER BY k.n) AS carried
FROM pg_index i
JOIN pg_class p ON p.oid = i.indexrelid
JOIN pg_am m ON m.oid = p.relam
WHERE i.indrelid = to_regclass(:table)
"""


def setup(plugin: Plugin) -> None:
    """Register with Alembic, before and after its own comparison."""
    plugin.add_autogenerate_comparator(
        _ask, "table", "index_definitions", priority=DispatchPriority.FIRST
    )
    plugin.add_autogenerate_comparator(
        _compare, "table", "index_details", priority=DispatchPriority.LAST
    )


def _ask(
    context: AutogenContext,
    _modify: ModifyTableOps,
    _schema: str | None,
    _name: str,
    found: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    """Let PostgreSQL's own words decide where Alembic would compare those of people."""
    impl = context.migration_context.impl
    theirs = type(impl).compare_indexes
    asked: Mapping[str, bool] = {}
    if found is not None and wanted is not None:
        there = {str(index.name) for index in found.indexes}
        unsure = [
            index
            for index in sorted(wanted.indexes, key=lambda index: str(index.name))
            if str(index.name) in there and not _is_plain(index)
        ]
        place = context.migration_context.dialect.identifier_preparer.format_table(wanted)
        asked = same_indexes(connection_of(context), unsure, table=place)

    def compare_indexes(new: Index, old: Index) -> ComparisonResult:
        if str(new.name) not in asked:
            return theirs(impl, new, old)
        if asked[str(new.name)]:
            return ComparisonResult.Equal()
        return ComparisonResult.Different("its definition")

    vars(impl).update(compare_indexes=compare_indexes, asked_indexes=asked)
    return PriorityDispatchResult.CONTINUE


def _is_plain(index: Index) -> bool:
    """Tell whether an index is of columns alone, whose names leave nothing open."""
    where = index.dialect_options["postgresql"]["where"]
    return where is None and all(isinstance(each, Column) for each in index.expressions)


def _compare(
    context: AutogenContext,
    modify: ModifyTableOps,
    _schema: str | None,
    name: str,
    found: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    if found is None or wanted is None:
        return PriorityDispatchResult.CONTINUE
    connection = connection_of(context)
    place = context.migration_context.dialect.identifier_preparer.format_table(wanted)
    details = {row.name: row for row in connection.execute(text(_DETAILS), {"table": place})}
    decided = {op.index_name for op in modify.ops if isinstance(op, CreateIndexOp | DropIndexOp)}
    old = {str(index.name): index for index in found.indexes}
    decided |= {*vars(context.migration_context.impl).get("asked_indexes", ())}
    for index in sorted(wanted.indexes, key=lambda index: str(index.name)):
        key = str(index.name)
        row = details.get(key)
        if row is None or key not in old or key in decided:
            continue
        difference = _difference(connection, index, row, table=place)
        if difference and context.run_object_filters(index, key, "index", False, old[key]):  # noqa: FBT003 - as Alembic has it
            _LOG.info("Detected changed %s of index %r on %r", difference, key, name)
            modify.ops.append(DropIndexOp.from_index(old[key]))
            modify.ops.append(CreateIndexOp.from_index(index))
    return PriorityDispatchResult.CONTINUE


def _difference(connection: Connection, index: Index, row: Row[Any], *, table: str) -> str:
    options: Mapping[str, Any] = index.dialect_options["postgresql"]
    if (options["using"] or "btree").lower() != row.method:
        return "access method"
    wanted = {str(key): str(value) for key, value in (options["with"] or {}).items()}
    if wanted != dict(entry.split("=", 1) for entry in row.parameters or ()):
        return "parameters"
    if [getattr(column, "name", column) for column in options["include"] or ()] != row.carried:
        return "included columns"
    if not _same_classes(index, options["ops"] or {}, row):
        return "operator class"
    where = options["where"]
    condition = None if where is None else (where if isinstance(where, str) else compiled(where))
    if condition is None or row.condition is None:
        return "" if condition == row.condition else "condition"
    answers = same(connection, [(row.condition, condition)], table=table)
    return "condition" if answers == [False] else ""


def _class_in(expression: Any) -> str | None:
    """Give the operator class that a text of a model ends with."""
    if isinstance(expression, Column):
        return None
    named = _CLASS.search(compiled(expression))
    return named[1] if named else None


def _same_classes(index: Index, wanted: Mapping[str, str], row: Row[Any]) -> bool:
    for expression, name, is_default in zip(
        index.expressions, row.classes, row.defaults, strict=False
    ):
        key = getattr(expression, "key", None) or getattr(expression, "name", None)
        chosen = wanted.get(str(key)) or _class_in(expression)
        # An operator class in a schema of its own is found by search_path, like the type.
        if (chosen is None and not is_default) or (chosen and chosen.split(".")[-1] != name):
            return False
    return True
