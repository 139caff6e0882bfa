"""What a plan needs of the server at the moment when it runs: tables, space, calm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.schema.data_checks import columns
from infra.schema.linting import course, pending, trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.linting.course import Moment
    from infra.schema.linting.trees import Name
    from infra.schema.model import History, Live, Plan

__all__ = ["Cascade", "Needs", "needs"]

_DROPPED = {
    "OBJECT_TABLE": "table",
    "OBJECT_FOREIGN_TABLE": "table",
    "OBJECT_VIEW": "table",
    "OBJECT_MATVIEW": "table",
    "OBJECT_SEQUENCE": "table",
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "type",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_EXTENSION": "extension",
}
_REWRITES = frozenset({"AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetTableSpace"})


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Something that goes, or is emptied, with all that depends on it.

    Attributes:
        kind: "truncate", "table", "type", "schema" or "extension".
        name: Its schema and name.
        revision: Whose statement it is.
        statement: Its SQL.
    """

    kind: str
    name: Name
    revision: str
    statement: str


@dataclass(kw_only=True)
class Needs:
    """What a plan needs.

    Attributes:
        tables: The live tables that it locks, and the first revision that does.
        rewritten: Those that it rewrites as a whole, and the revision.
        concurrently: The first revision with a statement that waits for all older snapshots.
        cascades: What goes with CASCADE.
    """

    tables: dict[Name, str] = field(default_factory=dict)
    rewritten: dict[Name, str] = field(default_factory=dict)
    concurrently: str = ""
    cascades: list[Cascade] = field(default_factory=list)


def needs(plan: Plan, history: History, live: Live) -> Needs:
    """Go through a plan, whichever way it goes, and list what it needs of the live database."""
    steps = []
    for step in plan.steps:
        texts, unknown = pending.pieces(step, None)
        found = tuple(pending.statements(step.revision, texts, 0))
        steps.append(pending.Pending(step=step, statements=found, unknown=unknown))
    there = course.relations(live)
    needed = Needs()
    for _, moments in course.follow(steps, history, live):
        for moment in moments:
            _note(moment, there, needed)
    return needed


def _note(moment: Moment, there: set[Name], needed: Needs) -> None:
    revision = moment.statement.revision
    for kind, fields in moment.statement.nodes:
        names = [*moment.about, *(_found(name, moment, there) for name in _parents(fields))]
        for name in names:
            if name in there:
                needed.tables.setdefault(name, revision)
        if _rewrites(kind, fields) and moment.about and moment.about[0] in there:
            needed.rewritten.setdefault(moment.about[0], revision)
        if _is_concurrent(kind, fields):
            needed.concurrently = needed.concurrently or revision
        for what, name in _cascades(kind, fields):
            found = _found(name, moment, there) if what != "extension" else name
            needed.cascades.append(
                Cascade(kind=what, name=found, revision=revision, statement=moment.statement.sql)
            )


def _found(name: Name, moment: Moment, there: set[Name]) -> Name:
    if name[0]:
        return name
    places = [(schema, name[1]) for schema in moment.path]
    return next((place for place in places if place in there), places[0] if places else name)


def _parents(node: Any) -> Iterator[Name]:
    """Give the tables that foreign keys in a statement refer to: they are locked too."""
    if isinstance(node, list):
        for each in node:
            yield from _parents(each)
    elif isinstance(node, dict):
        name = trees.relation(node.get("pktable"))
        if name is not None:
            yield name
        for value in node.values():
            yield from _parents(value)


def _rewrites(kind: str, fields: Mapping[str, Any]) -> bool:
    if kind in {"ClusterStmt", "VacuumStmt"}:
        options = [each.get("defname") for _, each in trees.elements(fields.get("options"))]
        return kind == "ClusterStmt" or "full" in options
    return kind == "AlterTableStmt" and any(
        _command_rewrites(command) for _, command in trees.elements(fields.get("cmds"))
    )


def _command_rewrites(command: Mapping[str, Any]) -> bool:
    """Tell whether a command rewrites the table, or most likely does."""
    kind = str(command.get("subtype"))
    column = trees.element(command.get("def"))[1]
    if kind == "AT_AlterColumnType":
        return not columns.takes_all(column)
    if kind != "AT_AddColumn":
        return kind in _REWRITES
    type_ = trees.strings(column.get("typeName", {}).get("names", []))[-1:]
    parts = [each for _, each in trees.elements(column.get("constraints"))]
    generated = {"CONSTR_IDENTITY", "CONSTR_GENERATED"} & {str(p.get("contype")) for p in parts}
    return bool(generated) or bool(type_ and type_[0] in columns.SERIALS)


def _is_concurrent(kind: str, fields: Mapping[str, Any]) -> bool:
    if kind == "AlterTableStmt":
        return any(
            trees.element(command.get("def"))[1].get("concurrent")
            for _, command in trees.elements(fields.get("cmds"))
        )
    if kind == "ReindexStmt":
        options = trees.elements(fields.get("params"))
        return any(each.get("defname") == "concurrently" for _, each in options)
    return kind in {"IndexStmt", "DropStmt"} and bool(fields.get("concurrent"))


def _cascades(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Name]]:
    if fields.get("behavior") != "DROP_CASCADE":
        return
    if kind == "TruncateStmt":
        found = (trees.relation(each) for _, each in trees.elements(fields.get("relations")))
        yield from (("truncate", name) for name in found if name is not None)
    what = _DROPPED.get(str(fields.get("removeType"))) if kind == "DropStmt" else None
    for each in fields.get("objects", ()) if what else ():
        name = trees.named(trees.strings(each))
        yield str(what), ("", name[1]) if what in {"schema", "extension"} else name
