"""What one statement makes, takes away and is about, by the names that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.schema.linting import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.schema.linting.trees import Name

__all__ = ["Effects", "of"]

_RELATIONS = frozenset(
    {
        "OBJECT_FOREIGN_TABLE",
        "OBJECT_INDEX",
        "OBJECT_MATVIEW",
        "OBJECT_SEQUENCE",
        "OBJECT_TABLE",
        "OBJECT_VIEW",
    }
)
_COLUMNAR = _RELATIONS - {"OBJECT_INDEX", "OBJECT_SEQUENCE"}
_TYPES = frozenset({"OBJECT_DOMAIN", "OBJECT_TYPE"})
_ON_TABLE = frozenset({"OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TRIGGER"})


@dataclass(frozen=True, kw_only=True)
class Effects:
    """By name as it is written: schema, empty where there is none, and name.

    Attributes:
        about: What the statement works on.
        made: Relations and types that are there afterwards.
        gone: Relations and types that are not, under that name.
        columnar: Whether what goes has columns, as models have: no index, sequence or type.
        becomes: What something is called afterwards that was called otherwise: old and new name.
        indexes: Indexes that are made, and their tables.
        schemas: Schemas that are made.
        schemas_gone: Schemas that go, or get another name.
        columns_made: Relation and column.
        columns_gone: Relation and column.
    """

    about: tuple[Name, ...] = ()
    made: tuple[Name, ...] = ()
    gone: tuple[Name, ...] = ()
    columnar: bool = False
    becomes: tuple[tuple[Name, Name], ...] = ()
    indexes: tuple[tuple[Name, Name], ...] = ()
    schemas: tuple[str, ...] = ()
    schemas_gone: tuple[str, ...] = ()
    columns_made: tuple[tuple[Name, str], ...] = ()
    columns_gone: tuple[tuple[Name, str], ...] = ()


def of(kind: str, fields: Mapping[str, Any]) -> Effects:
    """Tell what a statement does.

    Args:
        kind: Of its node.
        fields: Of its node.
    """
    handle = _STATEMENTS.get(kind)
    return handle(fields) if handle else Effects()


def _some(*names: Name | None) -> tuple[Name, ...]:
    return tuple(name for name in names if name is not None)


def _table(fields: Mapping[str, Any]) -> Effects:
    # CREATE FOREIGN TABLE has a CREATE TABLE inside.
    return Effects(made=_some(trees.relation(fields.get("base", fields).get("relation"))))


def _query(fields: Mapping[str, Any]) -> Effects:
    return Effects(made=_some(trees.relation(fields.get("into", {}).get("rel"))))


def _select(fields: Mapping[str, Any]) -> Effects:
    return Effects(made=_some(trees.relation(fields.get("intoClause", {}).get("rel"))))


def _view(fields: Mapping[str, Any]) -> Effects:
    return Effects(made=_some(trees.relation(fields.get("view"))))


def _sequence(fields: Mapping[str, Any]) -> Effects:
    return Effects(made=_some(trees.relation(fields.get("sequence"))))


def _type(fields: Mapping[str, Any]) -> Effects:
    composite = trees.relation(fields.get("typevar"))
    parts = trees.strings(fields.get("domainname") or fields.get("typeName") or [])
    return Effects(made=_some(composite, trees.named(parts) if parts else None))


def _base_type(fields: Mapping[str, Any]) -> Effects:
    if fields.get("kind") != "OBJECT_TYPE":
        return Effects()
    return Effects(made=(trees.named(trees.strings(fields.get("defnames", []))),))


def _schema(fields: Mapping[str, Any]) -> Effects:
    name = fields.get("schemaname") or trees.role(fields.get("authrole"), "")
    return Effects(schemas=(str(name),) if name else ())


def _index(fields: Mapping[str, Any]) -> Effects:
    table = trees.relation(fields.get("relation"))
    if table is None or not fields.get("idxname"):
        return Effects(about=_some(table))
    return Effects(about=(table,), indexes=(((table[0], str(fields["idxname"])), table),))


def _on_relation(fields: Mapping[str, Any]) -> Effects:
    return Effects(about=_some(trees.relation(fields.get("relation") or fields.get("table"))))


def _on_relations(fields: Mapping[str, Any]) -> Effects:
    found = (trees.relation(each) for _, each in trees.elements(fields.get("relations")))
    return Effects(about=_some(*found))


def _vacuumed(fields: Mapping[str, Any]) -> Effects:
    each = (relation for _, relation in trees.elements(fields.get("rels")))
    return Effects(about=_some(*(trees.relation(one.get("relation")) for one in each)))


def _on_type(fields: Mapping[str, Any]) -> Effects:
    parts = trees.strings(fields.get("typeName", []))
    return Effects(about=(trees.named(parts),) if parts else ())


def _alter(fields: Mapping[str, Any]) -> Effects:
    table = trees.relation(fields.get("relation"))
    if table is None or fields.get("objtype") == "OBJECT_TYPE":  # attributes are no columns
        return Effects(about=_some(table))
    made, gone = [], []
    for _, command in trees.elements(fields.get("cmds")):
        if command.get("subtype") == "AT_DropColumn":
            gone.append((table, str(command.get("name", ""))))
        elif command.get("subtype") == "AT_AddColumn":
            column = trees.element(command.get("def"))[1]
            made.append((table, str(column.get("colname", ""))))
    return Effects(about=(table,), columns_made=tuple(made), columns_gone=tuple(gone))


def _drop(fields: Mapping[str, Any]) -> Effects:
    kind = fields.get("removeType")
    parts = [trees.strings(each) for each in fields.get("objects", ())]
    if kind == "OBJECT_SCHEMA":
        return Effects(schemas_gone=tuple(each[-1] for each in parts if each))
    if kind in _ON_TABLE:
        return Effects(about=tuple(trees.named(each[:-1]) for each in parts if each[:-1]))
    if kind not in _RELATIONS | _TYPES:
        return Effects()
    names = tuple(trees.named(each) for each in parts)
    return Effects(about=names, gone=names, columnar=kind in _COLUMNAR)


def _rename(fields: Mapping[str, Any]) -> Effects:
    kind, new = fields.get("renameType"), str(fields.get("newname", ""))
    if kind == "OBJECT_SCHEMA":
        return Effects(schemas=(new,), schemas_gone=(str(fields.get("subname", "")),))
    if kind in _TYPES:
        old = trees.named(trees.strings(fields.get("object", {})))
        return Effects(about=(old,), gone=(old,), becomes=((old, (old[0], new)),))
    relation = trees.relation(fields.get("relation"))
    if relation is None:
        return Effects()
    if kind == "OBJECT_COLUMN":
        column = str(fields.get("subname", ""))
        return Effects(
            about=(relation,),
            columns_gone=((relation, column),),
            columns_made=((relation, new),),
        )
    if kind not in _RELATIONS:
        return Effects(about=(relation,))
    return Effects(
        about=(relation,),
        gone=(relation,),
        columnar=kind in _COLUMNAR,
        becomes=((relation, (relation[0], new)),),
    )


def _move(fields: Mapping[str, Any]) -> Effects:
    old = trees.relation(fields.get("relation"))
    if fields.get("objectType") in _TYPES:
        old = trees.named(trees.strings(fields.get("object", {})))
    if old is None:
        return Effects()
    new = (str(fields.get("newschema", "")), old[1])
    columnar = fields.get("objectType") in _COLUMNAR
    return Effects(about=(old,), gone=(old,), columnar=columnar, becomes=((old, new),))


_STATEMENTS: Mapping[str, Callable[[Mapping[str, Any]], Effects]] = {
    "AlterDomainStmt": _on_type,
    "AlterEnumStmt": _on_type,
    "AlterObjectSchemaStmt": _move,
    "AlterPolicyStmt": _on_relation,
    "AlterTableStmt": _alter,
    "ClusterStmt": _on_relation,
    "CompositeTypeStmt": _type,
    "CreateDomainStmt": _type,
    "CreateEnumStmt": _type,
    "CreateForeignTableStmt": _table,
    "CreatePolicyStmt": _on_relation,
    "CreateRangeStmt": _type,
    "CreateSchemaStmt": _schema,
    "CreateSeqStmt": _sequence,
    "CreateStmt": _table,
    "CreateTableAsStmt": _query,
    "CreateTrigStmt": _on_relation,
    "DefineStmt": _base_type,
    "DropStmt": _drop,
    "IndexStmt": _index,
    "ReindexStmt": _on_relation,
    "RenameStmt": _rename,
    "RuleStmt": _on_relation,
    "SelectStmt": _select,
    "TruncateStmt": _on_relations,
    "VacuumStmt": _vacuumed,
    "ViewStmt": _view,
}
