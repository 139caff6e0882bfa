"""Reads what a statement demands of rows that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema.data_checks.conditions import (
    AnyRow,
    Bound,
    Cast,
    Check,
    Condition,
    Exclusion,
    ForeignKey,
    NotNull,
    Unique,
    Value,
)
from infra.schema.linting import trees
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import first_line, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.linting.trees import Name

__all__ = [
    "SERIALS",
    "added",
    "bound",
    "clauses",
    "column_constraints",
    "constraint",
    "domain_check",
    "index",
    "not_null",
    "partition_keys",
    "peeled",
    "read_columns",
    "retyped",
    "stored",
    "takes_all",
    "types_named",
]

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


def clauses(sql: str) -> list[Sentence]:
    """Divide an ALTER TABLE at its commas: one clause for each command of its tree."""
    sentence = Sentence(sql)
    sentence.past("TABLE", "INDEX", "VIEW", "SEQUENCE")
    sentence.take("IF", "EXISTS")
    sentence.skip("ONLY")
    sentence.name()
    sentence.take("*")
    return list(sentence.clauses())


def read_columns(node: Any) -> tuple[str, ...]:
    """List the columns that an expression names, each once."""
    return tuple(dict.fromkeys(_columns(node)))


def _columns(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _columns(each)
    elif isinstance(node, dict):
        if "ColumnRef" in node:
            yield from trees.strings(node["ColumnRef"].get("fields", []))[-1:]
        for value in node.values():
            yield from _columns(value)


def types_named(node: Any) -> tuple[Name, ...]:
    """List the types that an expression names."""
    return tuple(
        trees.named(trees.strings(each.get("names", []))) for each in trees.types(node, frozenset())
    )


def not_null(column: str) -> NotNull:
    """Say that a column must not be NULL."""
    return NotNull(
        says=f"has no {trees.written(column)}", columns=(column,), expression=identifier(column)
    )


def constraint(fields: Mapping[str, Any], clause: Sentence, parent: Name | None) -> list[Condition]:
    """Read a constraint of a table; nothing where it is not validated, or needs no look at rows.

    Args:
        fields: Of its node.
        clause: Its text.
        parent: For a foreign key, the table it refers to in the live database; None where that
            has no rows.
    """
    kind = fields.get("contype")
    if fields.get("skip_validation"):
        return []
    name = str(fields.get("conname", ""))
    if kind == "CONSTR_CHECK":
        return [_check(fields, clause, name)]
    if kind in {"CONSTR_PRIMARY", "CONSTR_UNIQUE"}:
        columns = trees.strings(fields.get("keys", []))
        found: list[Condition] = []
        if kind == "CONSTR_PRIMARY":
            found += [not_null(column) for column in columns]
        if columns:
            found.append(_unique(columns, equal=bool(fields.get("nulls_not_distinct"))))
        return found
    if kind == "CONSTR_FOREIGN":
        return [_foreign(fields, trees.strings(fields.get("fk_attrs", [])), parent)]
    return [_exclusion(fields, clause, name)] if kind == "CONSTR_EXCLUSION" else []


def _check(fields: Mapping[str, Any], clause: Sentence, name: str) -> Check:
    rest = clause.copy()
    rest.past("CHECK")
    expression = rest.inside().source
    what = f"the check {trees.written(name)}" if name else f"CHECK ({first_line(expression, 60)})"
    return Check(
        says=f"violates {what}",
        columns=read_columns(fields.get("raw_expr")),
        expression=expression,
        inherits=not fields.get("is_no_inherit"),
    )


def _unique(columns: Iterable[str], *, equal: bool) -> Unique:
    names = tuple(columns)
    return Unique(
        says=f"has the same {', '.join(map(trees.written, names))} as another",
        columns=names,
        elements=tuple(map(identifier, names)),
        nulls_equal=equal,
        inherits=False,
    )


def _foreign(
    fields: Mapping[str, Any], columns: tuple[str, ...], parent: Name | None
) -> ForeignKey:
    to = trees.relation(fields.get("pktable")) or ("", "")
    return ForeignKey(
        says=f"has a {', '.join(map(trees.written, columns))} that {trees.written(*to)} lacks",
        columns=columns,
        parent=parent,
        parent_columns=trees.strings(fields.get("pk_attrs", [])),
        full=fields.get("fk_matchtype") == "f",
        inherits=False,
    )


def _exclusion(fields: Mapping[str, Any], clause: Sentence, name: str) -> Exclusion:
    rest = clause.copy()
    rest.past("EXCLUDE")
    inner = rest.inside()
    pairs = [trees.element(each)[1].get("items", []) for each in fields.get("exclusions", [])]
    elements = tuple(
        (_element(trees.element(pair[0])[1], text), _operator(trees.strings(pair[1])))
        for pair, text in zip(pairs, inner.clauses(), strict=True)
    )
    where = ""
    if rest.past("WHERE"):
        where = rest.inside().source
    return Exclusion(
        says=f"meets another under the exclusion {trees.written(name)}".rstrip(),
        columns=read_columns([*fields.get("exclusions", []), fields.get("where_clause")])
        + tuple(str(e["name"]) for e in (trees.element(p[0])[1] for p in pairs) if "name" in e),
        elements=elements,
        where=where,
        inherits=False,
    )


def _operator(parts: tuple[str, ...]) -> str:
    schema = f"{identifier(parts[-2])}." if len(parts) > 1 else ""
    return f"OPERATOR({schema}{parts[-1]})"


def _element(fields: Mapping[str, Any], text: Sentence) -> str:
    """Write an element of an index: a column, a call, or an expression in parentheses."""
    if "name" in fields:
        written = identifier(str(fields["name"]))
    elif text.copy().take("("):
        written = text.inside().source
    else:
        name = text.name()
        written = f"{name.text if name else ''}({text.inside().source})"
    collation = trees.strings(fields.get("collation", []))
    return written + (f" COLLATE {'.'.join(map(identifier, collation))}" if collation else "")


def index(fields: Mapping[str, Any], sql: str) -> Unique | None:
    """Read what a unique index demands; nothing of another index."""
    if not fields.get("unique"):
        return None
    sentence = Sentence(sql)
    sentence.past("ON")
    sentence.skip("ONLY")
    sentence.name()
    if sentence.take("USING"):
        sentence.name()
    params = [each for _, each in trees.elements(fields.get("indexParams"))]
    texts = sentence.inside().clauses()
    elements = tuple(_element(each, text) for each, text in zip(params, texts, strict=True))
    where = ""
    if sentence.past("WHERE"):
        where = sentence.source
    shown = [
        trees.written(str(each["name"])) if "name" in each else text
        for each, text in zip(params, elements, strict=True)
    ]
    named = tuple(str(each["name"]) for each in params if "name" in each)
    return Unique(
        says=f"has the same {', '.join(shown)} as another",
        columns=(*named, *read_columns([params, fields.get("whereClause")])),
        elements=elements,
        where=where,
        nulls_equal=bool(fields.get("nulls_not_distinct")),
        inherits=False,
    )


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
    if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"}:
        says = f"would have no {written}"
        null = value.startswith("(NULL)")
        generated = "CONSTR_GENERATED" in kinds
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
            found.append(_check(each, rest, str(each.get("conname", ""))))
            rest.past("CHECK")
        elif kind in {"CONSTR_UNIQUE", "CONSTR_PRIMARY"} and not _numbered(column):
            found.append(_unique((name,), equal=bool(each.get("nulls_not_distinct"))))
        elif kind == "CONSTR_FOREIGN" and not each.get("skip_validation"):
            found.append(_foreign(each, (name,), parents.get(place)))
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
        says=f"has a {trees.written(column)} that {text} can't take",
        columns=tuple(dict.fromkeys((column, *read_columns(tree)))),
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


def domain_check(fields: Mapping[str, Any], sql: str) -> Check | None:
    """Read the CHECK that an ALTER DOMAIN adds, about a column named value."""
    if fields.get("skip_validation") or fields.get("contype") != "CONSTR_CHECK":
        return None
    return _check(fields, Sentence(sql), str(fields.get("conname", "")))


def bound(
    fields: Mapping[str, Any], clause: Sentence, parent: Name, *, inside: bool
) -> Bound | None:
    """Read the bounds of a partition; nothing of a default one."""
    strategy = str(fields.get("strategy", ""))
    if fields.get("is_default") or not strategy:
        return None
    rest = clause.copy()
    rest.past("VALUES")
    says = "belongs to the new partition" if inside else "lies outside of the partition's bounds"
    if strategy == "h":
        values = (str(fields.get("modulus", 0)), str(fields.get("remainder", 0)))
        return Bound(says=says, parent=parent, strategy="h", values=values, inside=inside)
    if strategy == "l":
        return Bound(
            says=says, parent=parent, strategy="l", values=_listed(rest.inside()), inside=inside
        )
    rest.past("FROM")
    lower = _listed(rest.inside())
    rest.past("TO")
    upper = _listed(rest.inside())
    return Bound(says=says, parent=parent, strategy="r", lower=lower, upper=upper, inside=inside)


def _listed(sentence: Sentence) -> tuple[str, ...]:
    return tuple(each.source for each in sentence.clauses())


def partition_keys(definition: str) -> tuple[str, ...]:
    """Read the expressions of a partition key: "RANGE (a, lower(b))"."""
    sentence = Sentence(f"PARTITION BY {definition}")
    sentence.past("BY")
    node = trees.parse(f"CREATE TABLE x (a int) PARTITION BY {definition}")[0]
    params = [
        each
        for _, fields in node[:1]
        for _, each in trees.elements(fields.get("partspec", {}).get("partParams"))
    ]
    texts = sentence.inside().clauses()
    return tuple(_element(each, text) for each, text in zip(params, texts, strict=False))


def stored(text: str, parent: Name | None) -> list[Condition]:
    """Read a constraint as PostgreSQL writes it, for the moment when it is validated."""
    sql = f"ALTER TABLE x ADD {text}"
    found: list[Condition] = []
    for _, fields in trees.parse(sql)[0]:
        for _, command in trees.elements(fields.get("cmds")):
            definition = {**trees.element(command.get("def"))[1], "skip_validation": False}
            found += constraint(definition, clauses(sql)[0], parent)
    return found
