"""What one statement of a plan demands of the rows that are there when its turn has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.schema.data_checks import columns, reading, rebuilt
from infra.schema.data_checks.conditions import (
    AnyRow,
    Bound,
    Cast,
    Condition,
    Exclusion,
    ForeignKey,
    Labels,
    NotNull,
    Source,
    Stored,
    Unique,
)
from infra.schema.linting import trees
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.data_checks.plan_state import PlanState, Relation
    from infra.schema.linting.pending import Statement
    from infra.schema.linting.trees import Name

__all__ = ["Demand", "demands"]

_NULL = "is (NULL)"
_MADE = "an earlier statement of the plan makes {}"
# PostgreSQL works through an ALTER TABLE in passes: what goes, types, new columns, then the rest.
_PASSES = {"AT_DropColumn": 0, "AT_DropConstraint": 0, "AT_AlterColumnType": 1, "AT_AddColumn": 2}
_LAST = 3


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A condition, and the rows that it is about.

    Attributes:
        condition: What has to hold.
        relation: The table as the plan calls it, as SQL writes it.
        source: Where the rows are in the live database.
        depends: Why the live rows can't tell; empty where they can.
        domain: Where the domain may be whose columns it is about, in the place of one table.
        default_of: The partitioned table whose default partition it is about.
        parted: Partitions that the plan has attached or detached before.
    """

    condition: Condition
    relation: str
    source: Source | None = None
    depends: str = ""
    domain: tuple[Name, ...] = ()
    default_of: Name | None = None
    parted: frozenset[Name] = frozenset()


def demands(statement: Statement, state: PlanState) -> list[Demand]:
    """Give what a statement demands of rows, and note in `state` what it leaves."""
    found: list[Demand] = []
    if statement.wrong:
        state.unreadable(statement.sql)
    for kind, fields in statement.nodes:
        state.look_for_path(kind, fields)
        if kind == "AlterTableStmt":
            found += _alter(fields, statement.sql, state)
        elif kind == "IndexStmt":
            found += _index(fields, statement.sql, state)
        elif kind == "AlterDomainStmt":
            found += _domain(fields, statement.sql, state)
        elif kind == "CreateStmt" and fields.get("partbound"):
            parent = trees.relation(trees.element(next(iter(fields["inhRelations"]), None))[1])
            if parent is not None:
                clause = Sentence(statement.sql)
                found += _beside(state.resolved(parent), fields["partbound"], clause, state)
        state.note(kind, fields, statement.sql)
    return found


def _alter(fields: Mapping[str, Any], sql: str, state: PlanState) -> Iterator[Demand]:
    written = trees.relation(fields.get("relation"))
    if written is None or fields.get("objtype") not in {"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"}:
        return
    name = state.resolved(written)
    if fields.get("missing_ok") and not state.there(name):
        return
    only = not fields.get("relation", {}).get("inh")
    commands = [each for _, each in trees.elements(fields.get("cmds"))]
    clauses = reading.clauses(sql)
    if len(clauses) != len(commands):
        state.unreadable(sql)
        return
    pairs = zip(commands, clauses, strict=True)
    for command, clause in sorted(pairs, key=lambda pair: _pass(pair[0])):
        if command.get("subtype") == "AT_AttachPartition":
            yield from _attach(name, trees.element(command.get("def"))[1], clause, state)
        _note_parts(name, command, sql, state)
        conditions, changed = _command(name, command, clause, state)
        for condition in conditions:
            yield from _demand(name, condition, state, only=only)
        state.relation(name).columns.update(changed)


def _note_parts(name: Name, command: Mapping[str, Any], sql: str, state: PlanState) -> None:
    """Note that a table gets the rows of another, or has them no longer."""
    kind, (_, fields) = command.get("subtype"), trees.element(command.get("def"))
    if kind in {"AT_AttachPartition", "AT_DetachPartition"}:
        child = trees.relation(fields.get("name"))
        if child is not None:
            state.part(name, state.resolved(child), sql)
    elif kind in {"AT_AddInherit", "AT_DropInherit"}:
        parent = trees.relation(fields)
        if parent is not None:
            state.part(state.resolved(parent), name, sql)


def _pass(command: Mapping[str, Any]) -> int:
    return _PASSES.get(str(command.get("subtype")), _LAST)


def _command(  # noqa: PLR0911 - one for each kind of command
    name: Name, command: Mapping[str, Any], clause: Sentence, state: PlanState
) -> tuple[list[Condition], dict[str, str]]:
    """Read one command of an ALTER TABLE; gives what it demands, and what its columns are then."""
    kind, what = str(command.get("subtype")), str(command.get("name", ""))
    relation = state.relation(name)
    definition = trees.element(command.get("def"))[1]
    if kind == "AT_SetNotNull":
        return [reading.not_null(what)], {}
    if kind == "AT_AddConstraint":
        if definition.get("indexname"):
            key = state.key_of(name, str(definition["indexname"]))
            primary = definition.get("contype") == "CONSTR_PRIMARY"
            return [reading.not_null(column) for column in key if primary], {}
        return _constraint(relation, definition, clause, state), {}
    if kind == "AT_ValidateConstraint":
        return relation.unvalidated.pop(what, [Stored(says="", name=what)]), {}
    if kind == "AT_AddColumn":
        column = str(definition.get("colname", ""))
        if command.get("missing_ok") and state.has_column(name, column):
            return [], {}
        relation.changed.pop(column, None)
        holds, found = columns.added(definition, clause)
        type_ = trees.strings(definition.get("typeName", {}).get("names", []))
        relation.columns[column] = "set" if state.type_made(trees.named(type_)) else holds
        parents = {
            place: state.resolved(to)
            for place, (_, each) in enumerate(trees.elements(definition.get("constraints")))
            if (to := trees.relation(each.get("pktable"))) is not None
        }
        return [*found, *columns.column_constraints(definition, clause, parents)], {}
    if kind == "AT_AlterColumnType":
        return _retyped(relation, command, clause, state)
    if kind == "AT_DropConstraint":
        relation.unvalidated.pop(what, None)
        state.dropped.add(what)
    return [], {what: "gone"} if kind == "AT_DropColumn" else {}


def _constraint(
    relation: Relation, fields: Mapping[str, Any], clause: Sentence, state: PlanState
) -> list[Condition]:
    to = trees.relation(fields.get("pktable"))
    parent = state.resolved(to) if to is not None else None
    if not fields.get("skip_validation"):
        return reading.constraint(fields, clause, parent)
    later = {**fields, "skip_validation": False}
    relation.unvalidated[str(fields.get("conname", ""))] = reading.constraint(later, clause, parent)
    return []


def _retyped(
    relation: Relation, command: Mapping[str, Any], clause: Sentence, state: PlanState
) -> tuple[list[Condition], dict[str, str]]:
    """Read ALTER COLUMN ... TYPE; to an enum that the plan makes, by its labels."""
    column = str(command.get("name", ""))
    read = columns.retyped(command, clause)
    if read is None:  # text takes all, and values that were not equal are so still
        return [], {}
    cast, tree = read
    definition = trees.element(command.get("def"))[1]
    type_ = trees.named(trees.strings(definition.get("typeName", {}).get("names", [])))
    found: Condition = cast
    labels = state.labels(type_)
    if labels is not None:
        tree, text = columns.peeled(tree, cast.expression)
        cast = replace(cast, expression=text, type="pg_catalog.text", length=0)
        found = Labels(
            says=f"has a value in {trees.written(column)} that the new {type_[1]} lacks",
            columns=cast.columns,
            expression=text,
            labels=labels,
        )
    used = [*reading.types_named(tree), *([] if labels is not None else [type_])]
    if any(map(state.type_made, used)):
        found = replace(found, blocked="an earlier statement of the plan makes a type that it uses")
    after = _after_cast(relation, column, cast, made=bool(found.blocked))
    more: list[Condition] = []
    before = relation.columns.get(column, "")
    live = before.removeprefix("was ") if before.startswith("was ") else column
    if not found.blocked and not before.startswith("is ") and relation.live is not None:
        value = after.removeprefix("is ") if after.startswith("is ") else ""
        kept = rebuilt.rebuilt(command, live, value, cast.type, frozenset(state.dropped))
        more = [kept] if kept is not None else []
    return [found, *more], {column: after}


def _after_cast(relation: Relation, column: str, cast: Cast, *, made: bool) -> str:
    """Say what a column holds once it has another type: an expression on the live row, if it is."""
    before = relation.columns.get(column, "")
    if before.startswith(_NULL):
        return f"{_NULL}::{cast.type}"
    if made or relation.changed.keys() & {"*", *cast.columns}:
        return "set"
    live = before.removeprefix("was ") if before.startswith("was ") else column
    if cast.columns == (column,) and cast.expression == identifier(column) and before != "set":
        if not before.startswith("is "):
            return f"is (t.{identifier(live)})::{cast.type}"
    elif not relation.columns.keys() & {*cast.columns}:
        return f"is ({cast.expression}\n)::{cast.type}"
    return "set"


def _attach(
    name: Name, fields: Mapping[str, Any], clause: Sentence, state: PlanState
) -> Iterator[Demand]:
    child = trees.relation(fields.get("name"))
    limits = fields.get("bound", {})
    if child is None:
        return
    inside = reading.bound(limits, clause, name, inside=False)
    if inside is not None:
        yield from _demand(state.resolved(child), inside, state, only=False)
    yield from _beside(name, limits, clause, state)


def _beside(
    parent: Name, limits: Mapping[str, Any], clause: Sentence, state: PlanState
) -> Iterator[Demand]:
    """Demand that the default partition has no row of a new one's."""
    condition = reading.bound(limits, clause, parent, inside=True)
    live = state.relation(parent).live
    if condition is not None and live is not None:
        yield Demand(
            condition=replace(condition, parent=live),
            relation=f"the default partition of {trees.written(*parent)}",
            depends=state.anything,
            default_of=live,
            parted=frozenset(state.parted),
        )


def _index(fields: Mapping[str, Any], sql: str, state: PlanState) -> Iterator[Demand]:
    name = trees.relation(fields.get("relation"))
    found = reading.index(fields, sql)
    if name is None or not found:
        return
    table = state.resolved(name)
    if fields.get("if_not_exists") and state.has_index(table, str(fields.get("idxname", ""))):
        return
    only = not fields.get("relation", {}).get("inh")
    for condition in found:
        yield from _demand(table, condition, state, only=only)


def _domain(fields: Mapping[str, Any], sql: str, state: PlanState) -> Iterator[Demand]:
    """Read ALTER DOMAIN: a check, NOT NULL, or a check that is validated at last."""
    written = trees.named(trees.strings(fields.get("typeName", [])))
    if state.type_made(written):
        return
    kind = fields.get("subtype")
    found: Condition | None = None
    if kind == "C":
        found = reading.domain_check(trees.element(fields.get("def"))[1], sql)
    elif kind == "O":
        found = reading.not_null("value")
    elif kind == "V":
        found = Stored(says="", name=str(fields.get("name", "")))
    if found is not None:
        yield Demand(
            condition=found,
            relation=f"domain {trees.written(*written)}",
            depends=state.anything,
            domain=state.candidates(written),
        )


def _demand(name: Name, condition: Condition, state: PlanState, *, only: bool) -> Iterator[Demand]:
    """Say which rows a condition is about; of a table that has none yet there is no question."""
    relation = state.relation(name)
    shown = trees.written(*name)
    if relation.live is None and not relation.changed and not state.anything:
        return
    if isinstance(condition, Bound):
        parent = state.relation(condition.parent).live
        condition = replace(condition, parent=parent or condition.parent)
        if parent is None:
            condition = replace(condition, blocked=_MADE.format("the partitioned table"))
    if isinstance(condition, ForeignKey):
        condition = _referring(condition, state)
    settled = _by_new_columns(relation, condition)
    if settled is None:
        return
    depends = state.anything or settled.blocked or _not_live(relation, settled)
    source = None
    if relation.live is not None:
        source = Source(
            table=relation.live,
            alias=name[1],
            only=only,
            renamed=_columns(relation, "was "),
            added=tuple(
                (value, column)
                for value, column in _columns(relation, "is ")
                if column in settled.columns
            ),
            hidden=frozenset(c for c, holds in relation.columns.items() if holds != "set"),
        )
    yield Demand(condition=settled, relation=shown, source=source, depends=depends)


def _columns(relation: Relation, kind: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (holds.removeprefix(kind), column)
        for column, holds in relation.columns.items()
        if holds.startswith(kind)
    )


def _referring(condition: ForeignKey, state: PlanState) -> ForeignKey:
    """Find the live table that a foreign key refers to, with its columns."""
    if condition.parent is None:
        return condition
    parent = state.relation(condition.parent)
    shown = trees.written(*condition.parent)
    if parent.live is None and not parent.changed:
        return replace(condition, parent=None)
    blocked = next(iter(parent.changed.values()), "")
    states = [parent.columns.get(column, "") for column in condition.parent_columns]
    if parent.live is None:
        blocked = _MADE.format(shown)
    elif any(holds == "set" or holds.startswith("is ") for holds in states):
        blocked = _MADE.format(f"a column of {shown}")
    columns = tuple(
        was.removeprefix("was ") if was.startswith("was ") else column
        for was, column in zip(states, condition.parent_columns, strict=True)
    )
    return replace(condition, parent=parent.live, parent_columns=columns, blocked=blocked)


def _by_new_columns(  # noqa: PLR0911 - one for each way in which NULLs pass
    relation: Relation, condition: Condition
) -> Condition | None:
    """Settle what a column without values decides: NULL in all rows; None where nothing fails."""
    if relation.live is None or relation.changed.keys() & {"*", *condition.columns}:
        return condition
    states = {column: relation.columns.get(column, "") for column in condition.columns}
    if "gone" in states.values():
        return None  # the statement fails whatever the rows are
    empty = [column for column, holds in states.items() if holds.startswith(_NULL)]
    if not empty:
        return condition
    if isinstance(condition, NotNull):
        return AnyRow(says=condition.says)
    if isinstance(condition, Unique) and not condition.nulls_equal:
        return None
    if isinstance(condition, ForeignKey) and not condition.full:
        return None
    return None if isinstance(condition, Exclusion) else condition


def _not_live(relation: Relation, condition: Condition) -> str:
    """Say why the live rows are not those that a statement will meet; empty where they are."""
    if "*" in relation.changed:
        return relation.changed["*"]
    if isinstance(condition, AnyRow):
        return ""
    columns = condition.columns or tuple(relation.changed)
    changed = next((relation.changed[each] for each in columns if each in relation.changed), "")
    if changed:
        return changed
    made = [column for column in condition.columns if relation.columns.get(column) == "set"]
    if made:
        return f"an earlier statement of the plan makes the values of {trees.written(made[0])}"
    return "" if relation.live is not None else "an earlier statement of the plan makes the table"
