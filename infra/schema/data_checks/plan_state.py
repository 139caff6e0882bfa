"""What the statements of a plan have made of tables, columns, types and rows so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.schema.linting import course, effects, trees
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.data_checks.conditions import Condition
    from infra.schema.linting.trees import Name

__all__ = ["PlanState", "Relation", "Touched"]

_CHANGES = "an earlier statement of the plan changes these rows: {}"
_OPAQUE = "an earlier statement of the plan may change any row: {}"
_WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_HIDDEN = frozenset({"DoStmt", "CallStmt", "ExecuteStmt"})
# What a SELECT by itself may call without a row being changed; and all whose name begins with pg_.
_READS = frozenset(
    {"set_config", "setval", "nextval", "currval", "lastval", "count", "max", "min", "sum", "now"}
    | {"current_setting", "version", "clock_timestamp", "to_regclass", "quote_ident", "format"}
)
_ALL = "*"
_WIDTH = 60


@dataclass(frozen=True, kw_only=True)
class Touched:
    """A live table whose rows a statement changes.

    Attributes:
        table: Its name in the live database.
        why: The statement, as the end of a sentence.
        deletes: Whether rows may go, and others with them.
    """

    table: Name
    why: str
    deletes: bool


@dataclass
class Relation:
    """A table on its way through the plan.

    Attributes:
        live: Its name in the live database; None where the plan makes it.
        columns: What is not as in the live table, by name: "set" for a column whose values are
            not the live ones, "is " and an expression for one that has it in all rows, "gone", or
            its live name behind "was ".
        changed: Why the values of a column, or of all ("*"), are not the live ones.
        unvalidated: What the constraints demand that the plan adds NOT VALID, by name.
    """

    live: Name | None
    columns: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    unvalidated: dict[str, list[Condition]] = field(default_factory=dict)


class PlanState:
    """Where a plan stands between two of its statements.

    Attributes:
        anything: Why any row may be another than the live one; empty where none may.
        touched: What was changed, in order.
        parted: Live partitions that were attached or detached.
        dropped: Indexes and constraints that went, or have another name.
    """

    def __init__(
        self, path: tuple[str, ...], role: str, there: Iterable[Name], objects: Mapping[str, str]
    ) -> None:
        """Begin with what the database has.

        Args:
            path: Where names without a schema are looked for.
            role: The acting role.
            there: Schema and name of its relations.
            objects: Its catalog.
        """
        self.anything = ""
        self.touched: list[Touched] = []
        self.parted: set[Name] = set()
        self.dropped: set[str] = set()
        self._keys: dict[str, tuple[str, ...]] = {}
        self._path = self._home = path
        self._role = role
        self._objects = objects
        self._relations = {name: Relation(name) for name in there}
        self._types: dict[Name, tuple[str, ...] | None] = {}

    def begin(self) -> None:
        """Begin with a revision."""
        self._path = self._home

    def resolved(self, name: Name) -> Name:
        """Give a name with the schema in which it is found; the first where it is in none."""
        if name[0]:
            return name
        there = ((schema, name[1]) for schema in self._path)
        return next((each for each in there if each in self._relations), self._placed(name))

    def _placed(self, name: Name) -> Name:
        return (name[0] or next(iter(self._path), ""), name[1])

    def candidates(self, name: Name) -> tuple[Name, ...]:
        """List where a type of that name may be, the first place first."""
        if name[0]:
            return (name,)
        return tuple((schema, name[1]) for schema in (*self._path, "pg_catalog"))

    def relation(self, name: Name) -> Relation:
        """Give a relation by its whole name; an unknown one is taken to be live."""
        return self._relations.setdefault(name, Relation(name))

    def there(self, name: Name) -> bool:
        """Tell whether there is a relation of that whole name now."""
        return name in self._relations

    def has_column(self, name: Name, column: str) -> bool:
        """Tell whether a table has a column now."""
        relation = self.relation(name)
        if column in relation.columns:
            return relation.columns[column] != "gone"
        live = relation.live
        return live is not None and f"column {trees.written(*live, column)}" in self._objects

    def has_index(self, table: Name, index: str) -> bool:
        """Tell whether the database has an index of that name beside a table."""
        return f"index {trees.written(table[0], index)}" in self._objects

    def key_of(self, table: Name, index: str) -> tuple[str, ...]:
        """List the columns of an index that the plan has made beside a table, or of a live one."""
        if index not in self._keys:
            text = self._objects.get(f"index {trees.written(table[0], index)}", "")
            after = text.partition(" USING ")[2].removesuffix(", clustered")
            for kind, fields in trees.parse(f"CREATE INDEX x ON t USING {after}")[0]:
                self._note_key(index, kind, fields)
        now = {holds: name for name, holds in self.relation(table).columns.items()}
        return tuple(now.get(f"was {each}", each) for each in self._keys.get(index, ()))

    def _note_key(self, index: str, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "IndexStmt":
            params = [each for _, each in trees.elements(fields.get("indexParams"))]
            self._keys[index] = tuple(str(each["name"]) for each in params if "name" in each)

    def type_made(self, name: Name) -> bool:
        """Tell whether the plan makes a type of that name."""
        return self._type(name) is not None

    def labels(self, name: Name) -> tuple[str, ...] | None:
        """Give the labels of an enum that the plan makes; None of any other type."""
        found = self._type(name)
        return self._types[found] if found else None

    def _type(self, name: Name) -> Name | None:
        return next(
            (made for made in self._types if made[1] == name[1] and name[0] in {"", made[0]}), None
        )

    # -- what a statement leaves ----------------------------------------------------------

    def unreadable(self, sql: str) -> None:
        """Note a statement whose effects are unknown."""
        self.anything = self.anything or _OPAQUE.format(first_line(sql, _WIDTH))

    def part(self, name: Name, child: Name, sql: str) -> None:
        """Note that a table has the rows of another from now on, or has them no longer."""
        why = _CHANGES.format(first_line(sql, _WIDTH))
        self.relation(name).changed[_ALL] = why
        parted = self.relation(child).live
        if parted is not None:
            self.parted.add(parted)

    def look_for_path(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Note where names are looked for from now on."""
        path = trees.setting(kind, fields, "search_path")
        if path is not None:
            self._path = course.schemas(path, self._role) or self._home

    def note(self, kind: str, fields: Mapping[str, Any], sql: str) -> None:
        """Note what a statement leaves, columns of ALTER TABLE apart."""
        if kind in _HIDDEN or (kind == "SelectStmt" and not _reads_only(fields)):
            self.unreadable(sql)
        for what, written in _writing(kind, fields):
            self._write(what, written, sql)
        self._note_key(str(fields.get("idxname", "")), kind, fields)
        if kind == "CreateEnumStmt":
            name = self._placed(trees.named(trees.strings(fields.get("typeName", []))))
            self._types[name] = trees.strings(fields.get("vals", []))
        elif kind in {"CreateDomainStmt", "CompositeTypeStmt", "CreateRangeStmt"}:
            self._types.update((self._placed(n), None) for n in effects.of(kind, fields).made)
        elif kind == "RenameStmt":
            self._rename(fields)
        elif kind == "AlterObjectSchemaStmt":
            self._become(effects.of(kind, fields).becomes)
        else:
            self._make(kind, fields, sql)

    def _make(self, kind: str, fields: Mapping[str, Any], sql: str) -> None:
        found = effects.of(kind, fields)
        self.dropped.update(name[1] for name in found.gone)
        for name in found.gone:
            gone = self._relations.pop(self.resolved(name), None)
            if gone is not None and gone.live is not None:
                why = _CHANGES.format(first_line(sql, _WIDTH))
                self.touched.append(Touched(table=gone.live, why=why, deletes=True))
            self._types.pop(self._type(name) or name, None)
        for schema in found.schemas_gone:
            for name in [each for each in self._relations if each[0] == schema]:
                self._relations.pop(name)
        filled = kind != "CreateStmt"
        for name in map(self._placed, found.made):
            if fields.get("if_not_exists") and name in self._relations:
                continue
            self._relations[name] = Relation(None)
            if filled:
                self._relations[name].changed[_ALL] = _CHANGES.format(first_line(sql, _WIDTH))

    def _rename(self, fields: Mapping[str, Any]) -> None:
        kind, new = str(fields.get("renameType")), str(fields.get("newname", ""))
        found = effects.of("RenameStmt", fields)
        self.dropped.update({old[1] for old, _ in found.becomes} | {str(fields.get("subname", ""))})
        if kind in {"OBJECT_TYPE", "OBJECT_DOMAIN"}:
            for old, _ in found.becomes:
                made = self._type(old)
                if made:
                    self._types[made[0], new] = self._types.pop(made)
        elif kind == "OBJECT_SCHEMA":
            former = str(fields.get("subname", ""))
            for name in [each for each in self._relations if each[0] == former]:
                self._relations[new, name[1]] = self._relations.pop(name)
        elif kind == "OBJECT_COLUMN":
            for table, column in found.columns_gone:
                self._rename_column(self.relation(self.resolved(table)), column, new)
        else:
            self._become(found.becomes)

    def _rename_column(self, relation: Relation, old: str, new: str) -> None:
        state = relation.columns.get(old, f"was {old}")
        relation.columns[old] = "gone"
        relation.columns[new] = state
        if old in relation.changed:
            relation.changed[new] = relation.changed.pop(old)

    def _become(self, names: Iterable[tuple[Name, Name]]) -> None:
        for old, new in names:
            name = self.resolved(old)
            if name in self._relations:
                self._relations[new[0] or name[0], new[1]] = self._relations.pop(name)

    def _write(self, kind: str, fields: Mapping[str, Any], sql: str) -> None:
        why = _CHANGES.format(first_line(sql, _WIDTH))
        names = [trees.relation(fields.get("relation"))]
        if kind == "TruncateStmt":
            names = [trees.relation(each) for _, each in trees.elements(fields.get("relations"))]
        for name in filter(None, names):
            relation = self.relation(self.resolved(name))
            columns = [_ALL]
            if kind == "UpdateStmt":
                targets = trees.elements(fields.get("targetList"))
                columns = [str(each.get("name", _ALL)) for _, each in targets]
            relation.changed.update(dict.fromkeys(columns, why))
            if relation.live is not None:
                deletes = kind in {"DeleteStmt", "TruncateStmt", "MergeStmt"}
                self.touched.append(Touched(table=relation.live, why=why, deletes=deletes))


def _writing(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give what writes rows in a statement, also inside of WITH."""
    copies = kind == "CopyStmt" and fields.get("is_from")
    if copies or kind in {"TruncateStmt", "RefreshMatViewStmt"}:
        yield kind, fields
    if kind in _WRITES:
        yield kind, fields
    if kind in _WRITES or kind in {"SelectStmt", "CreateTableAsStmt"}:
        yield from _nested(list(fields.values()))


def _nested(node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, list):
        for each in node:
            yield from _nested(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _WRITES:
                yield key, value
            yield from _nested(value)


def _reads_only(node: Any) -> bool:
    """Tell whether a SELECT calls nothing but functions that are known to change no row."""
    if isinstance(node, list):
        return all(map(_reads_only, node))
    if not isinstance(node, dict):
        return True
    for key, value in node.items():
        if key == "FuncCall":
            name = trees.strings(value.get("funcname", []))[-1:]
            if name and name[0] not in _READS and not name[0].startswith("pg_"):
                return False
        if not _reads_only(value):
            return False
    return True
