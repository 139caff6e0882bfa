"""Reads what the columns that a statement adds or gives another type demand of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema.data_checks import reading
from infra.schema.data_checks.conditions import (
    AnyRow,
    Cast,
    Computed,
    Condition,
    NotNull,
    Value,
)
from infra.schema.linting import trees
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.schema.linting.trees import Name

__all__ = ["SERIALS", "added", "column_constraints", "peeled", "retyped", "takes_all"]

SERIALS = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})
"""Types that are no types: a sequence fills the column."""

_WIDE = frozenset({"text", "varchar"})
_LIMITED = frozenset({"varchar", "bpchar"})
_BITS = {"bit": "exactly", "varbit": "most"}
# No domains; those that the grammar knows by words are of pg_catalog.
_PLAIN = frozenset(
    {"text", "uuid", "json", "jsonb", "date", "bytea", "inet", "citext", "vector", "money", "xml"}
)
_NEW = {("nextval",), ("gen_random_uuid",), ("uuid_generate_v4",), ("uuid_generate_v1",)}
_AFTER_TYPE = (
    *("CONSTRAINT", "NOT", "NULL", "UNIQUE", "PRIMARY", "CHECK", "REFERENCES", "COLLATE"),
    *("DEFAULT", "GENERATED", "STORAGE", "COMPRESSION", "OPTIONS"),
)
_AFTER_DEFAULT = ("CONSTRAINT", "NOT", "NULL", "UNIQUE", "PRIMARY", "CHECK", "REFERENCES")


def added(column: Mapping[str, Any], clause: Sentence) -> tuple[str, list[Condition]]:
    """Read what a new column demands of the rows that are there.

    Args:
        column: Its definition.
        clause: Its text.

    Returns:
        What those rows have in it ("set" for what is known only when it runs, else "is " and an
        expression), and the conditions.
    """
    name = str(column.get("colname", ""))
    parts = [each for _, each in trees.elements(column.get("constraints"))]
    kinds = {str(each.get("contype")) for each in parts}
    type_ = trees.strings(column.get("typeName", {}).get("names", []))
    if "CONSTR_IDENTITY" in kinds or SERIALS.intersection(type_):
        return "set", []
    value = _value(parts, clause)
    written = trees.written(name)
    if not value:
        return "set", []
    found: list[Condition] = []
    generated = "CONSTR_GENERATED" in kinds
    if generated:
        says = f"has values of which {written} can't be computed"
        found.append(Computed(says=says, columns=(name,), elements=(identifier(name),)))
    if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"}:
        says = f"would have no {written}"
        null = value.startswith("(NULL)")
        if null:
            found.append(AnyRow(says=says))
        elif generated:
            found.append(NotNull(says=says, columns=(name,), expression=identifier(name)))
    elif type_[:1] != ("pg_catalog",) and type_ and type_[-1] not in _PLAIN:
        found.append(Value(says=f"would have a {written} that its type refuses", expression=value))
    return f"is {value}", found


def _value(parts: Iterable[Mapping[str, Any]], clause: Sentence) -> str:
    """Write what rows that are there get in a new column; empty where each may get another."""
    rest = clause.copy()
    rest.take("ADD")
    rest.take("COLUMN")
    rest.take("IF", "NOT", "EXISTS")
    rest.name()
    type_ = rest.before(*_AFTER_TYPE).source
    for each in parts:
        kind, tree = each.get("contype"), each.get("raw_expr")
        if kind == "CONSTR_DEFAULT" and not _null(tree):
            if _calls(tree):
                return ""
            rest.past("DEFAULT")
            return f"({rest.before(*_AFTER_DEFAULT).source})::{type_}"
        if kind == "CONSTR_GENERATED":
            rest.past("AS")
            return f"({rest.inside().source})::{type_}"
    return f"(NULL)::{type_}"


def _calls(node: Any) -> bool:
    """Tell whether an expression calls a function: each row may get another value then."""
    if isinstance(node, list):
        return any(map(_calls, node))
    if isinstance(node, dict):
        return "FuncCall" in node or any(map(_calls, node.values()))
    return False


def _numbered(column: Mapping[str, Any]) -> bool:
    """Tell whether each row gets another value in a new column."""
    type_ = trees.strings(column.get("typeName", {}).get("names", []))
    parts = [each for _, each in trees.elements(column.get("constraints"))]
    if SERIALS.intersection(type_):
        return True
    return any(
        each.get("contype") == "CONSTR_IDENTITY"
        or trees.strings(trees.element(each.get("raw_expr"))[1].get("funcname", []))[-1:] in _NEW
        for each in parts
    )


def column_constraints(
    column: Mapping[str, Any], clause: Sentence, parents: Mapping[int, Name]
) -> list[Condition]:
    """Read the constraints of a new column that are about its value: checks, keys, uniqueness.

    Args:
        column: Its definition.
        clause: Its text.
        parents: The table that each foreign key refers to, by its place among the constraints.
    """
    name = str(column.get("colname", ""))
    found: list[Condition] = []
    rest = clause.copy()
    for place, (_, each) in enumerate(trees.elements(column.get("constraints"))):
        kind = each.get("contype")
        if kind == "CONSTR_CHECK":
            found.append(reading.check(each, rest, str(each.get("conname", ""))))
            rest.past("CHECK")
        elif kind in {"CONSTR_UNIQUE", "CONSTR_PRIMARY"} and not _numbered(column):
            found.append(reading.unique((name,), equal=bool(each.get("nulls_not_distinct"))))
        elif kind == "CONSTR_FOREIGN" and not each.get("skip_validation"):
            found.append(reading.foreign(each, (name,), parents.get(place)))
    return found


def _null(node: Any) -> bool:
    kind, fields = trees.element(node)
    if kind == "TypeCast":
        return _null(fields.get("arg"))
    return kind == "A_Const" and bool(fields.get("isnull"))


def takes_all(column: Mapping[str, Any]) -> bool:
    """Tell whether the new type of a column is text or the like, as the value stands."""
    type_ = column.get("typeName", {})
    name = trees.named(trees.strings(type_.get("names", [])))[1]
    limited = type_.get("typmods") or type_.get("arrayBounds")
    return name in _WIDE and not limited and column.get("raw_default") is None


def retyped(fields: Mapping[str, Any], clause: Sentence) -> tuple[Cast, Mapping[str, Any]] | None:
    """Read ALTER COLUMN ... TYPE; gives the cast, and the tree of what is cast.

    Nothing where any value fits: text takes all.
    """
    column = str(fields.get("name", ""))
    definition = trees.element(fields.get("def"))[1]
    type_ = definition.get("typeName", {})
    name = trees.named(trees.strings(type_.get("names", [])))[1]
    mods = [each.get("ival", {}).get("ival", 0) for _, each in trees.elements(type_.get("typmods"))]
    using = definition.get("raw_default")
    array_ = bool(type_.get("arrayBounds"))
    if takes_all(definition):
        return None
    rest = clause.copy()
    rest.take("ALTER")
    rest.take("COLUMN")
    rest.name()
    rest.take("SET", "DATA")
    rest.take("TYPE")
    text = rest.before("USING", "COLLATE").source
    expression = identifier(column)
    if rest.past("USING"):
        expression = rest.source
    limited = (name in _LIMITED or name in _BITS) and not array_
    length = (int(mods[0]) if mods else name in {"bpchar", "bit"}) if limited else 0
    tree = using if using is not None else {"ColumnRef": {"fields": [{"String": {"sval": column}}]}}
    cast = Cast(
        says=f"has a value in {trees.written(column)} that {text} can't take",
        columns=tuple(dict.fromkeys((column, *reading.read_columns(tree)))),
        expression=expression,
        type=text,
        length=int(length),
        bits=_BITS.get(name, "") if length else "",
    )
    return cast, tree


def peeled(tree: Mapping[str, Any], text: str) -> tuple[Mapping[str, Any], str]:
    """Take the outermost cast off an expression, its tree and its text; others stay as they are."""
    kind, fields = trees.element(tree)
    if kind != "TypeCast":
        return tree, text
    sentence = Sentence(text)
    while text.startswith("(") and not sentence.copy().outermost("::").source:
        sentence = sentence.inside()
        text = sentence.source
    inner = sentence.copy()
    if inner.take("CAST"):
        return fields.get("arg", {}), inner.inside().before("AS").source
    return fields.get("arg", {}), sentence.outermost("::").source
