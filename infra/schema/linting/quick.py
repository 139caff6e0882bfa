"""What PostgreSQL does at once although squawk, which sees one revision by itself, can't know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema.linting import trees
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from infra.schema.linting.course import Moment
    from infra.schema.linting.pending import Pending
    from infra.schema.linting.server import Check
    from infra.schema.linting.trees import Name
    from infra.schema.model import Live

__all__ = ["filled", "only_parent", "proven", "unknown_before"]

_ROUTINES = {
    "OBJECT_AGGREGATE": ("aggregate ",),
    "OBJECT_FUNCTION": ("function ",),
    "OBJECT_PROCEDURE": ("procedure ",),
    "OBJECT_ROUTINE": ("aggregate ", "function ", "procedure "),
}


def proven(
    course: Sequence[tuple[Pending, tuple[Moment, ...]]], checks: Iterable[Check]
) -> frozenset[int]:
    """Give the statements that set NOT NULL only what a validated check says already.

    PostgreSQL takes the check's word for it then, and reads no table.

    Args:
        course: The plan, statement by statement.
        checks: What the database has.
    """
    known = _Checks(checks)
    return frozenset(
        moment.statement.number
        for _, moments in course
        for moment in moments
        for kind, fields in moment.statement.nodes
        if kind == "AlterTableStmt" and moment.about
        if known.meet(moment.about[0], [each for _, each in trees.elements(fields.get("cmds"))])
    )


class _Checks:
    """The checks up to a statement, by table and name: the columns that are not NULL by them."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._columns: dict[tuple[Name, str], frozenset[str]] = {}
        self._valid: set[tuple[Name, str]] = set()
        for each in checks:
            key = (each.table, each.name)
            self._columns[key] = frozenset(_filled(_parsed(each.expression)))
            if each.valid:
                self._valid.add(key)

    def meet(self, table: Name, commands: Sequence[Mapping[str, Any]]) -> bool:
        """Note what an ALTER TABLE does; tell whether all that it sets NOT NULL is so by checks."""
        named: dict[str, list[str]] = {}
        for each in commands:
            named.setdefault(str(each.get("subtype")), []).append(str(each.get("name", "")))
        # PostgreSQL goes by this order, whatever the statement's own is.
        self._valid -= {(table, name) for name in named.get("AT_DropConstraint", ())}
        wanted = set(named.get("AT_SetNotNull", ()))
        filled = {column for key in self._valid if key[0] == table for column in self._columns[key]}
        for each in commands:
            kind, constraint = trees.element(each.get("def"))
            if kind == "Constraint" and constraint.get("contype") == "CONSTR_CHECK":
                self._add((table, str(constraint.get("conname", ""))), constraint)
        validated = {(table, name) for name in named.get("AT_ValidateConstraint", ())}
        self._valid |= validated & self._columns.keys()
        return bool(wanted) and wanted <= filled

    def _add(self, key: tuple[Name, str], constraint: Mapping[str, Any]) -> None:
        self._columns[key] = frozenset(_filled(constraint.get("raw_expr")))
        self._valid.discard(key)
        if not constraint.get("skip_validation"):
            self._valid.add(key)


def only_parent(moment: Moment, live: Live | None) -> bool:
    """Tell whether an index is made ON ONLY a partitioned table, which has no rows of its own.

    CONCURRENTLY is not for those: it is for their partitions, whose indexes are attached later.
    """
    objects = live.catalog.objects if live and live.catalog else {}
    return any(
        kind == "IndexStmt"
        and not fields.get("relation", {}).get("inh")
        and "partitioned by" in objects.get(f"table {trees.written(*table)}", "")
        for kind, fields in moment.statement.nodes
        for table in moment.about[:1]
    )


def unknown_before(moment: Moment, live: Live | None) -> bool:
    """Tell whether functions and extensions that go are none that the database has.

    Then the plan has made them, and nobody uses them yet. Overloads are not told apart.
    """
    if live is None:
        return all(kind == "DropStmt" for kind, _ in moment.statement.nodes)
    if live.catalog is None:
        return False
    for kind, fields in moment.statement.nodes:
        removed = str(fields.get("removeType"))
        if kind != "DropStmt" or removed not in {*_ROUTINES, "OBJECT_EXTENSION"}:
            return False
        there = set(live.extensions)
        if removed in _ROUTINES:
            there = set(_named_alike(live.catalog.objects, _ROUTINES[removed]))
        if there.intersection(trees.strings(each)[-1] for each in fields.get("objects", ())):
            return False
    return True


def _named_alike(objects: Iterable[str], kinds: tuple[str, ...]) -> Iterator[str]:
    for name in objects:
        kind = next((kind for kind in kinds if name.startswith(kind)), "")
        read = Sentence(name.removeprefix(kind)).name() if kind else None
        if read is not None:
            yield read.key[-1]


def filled(constraint: str) -> frozenset[str]:
    """Give the columns that are not NULL by a check, as PostgreSQL writes it: "CHECK (...)"."""
    kind, _, expression = constraint.partition("CHECK ")
    return frozenset() if kind else frozenset(_filled(_parsed(expression)))


def _parsed(expression: str) -> Mapping[str, Any] | None:
    for _, fields in trees.parse(f"SELECT {expression}")[0]:
        for _, target in trees.elements(fields.get("targetList")):
            found: Mapping[str, Any] | None = target.get("val")
            return found
    return None


def _filled(node: Mapping[str, Any] | None) -> Iterator[str]:
    """Give the columns that can't be NULL where an expression holds."""
    kind, fields = trees.element(node)
    if kind == "BoolExpr" and fields.get("boolop") == "AND_EXPR":
        for each in fields.get("args", ()):
            yield from _filled(each)
    elif kind == "NullTest" and fields.get("nulltesttype") == "IS_NOT_NULL":
        yield from trees.strings(trees.element(fields.get("arg"))[1].get("fields", []))[-1:]
