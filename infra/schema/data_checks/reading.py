"""Reads what a statement demands of rows that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema.data_checks.conditions import (
    Bound,
    Check,
    Computed,
    Condition,
    Exclusion,
    ForeignKey,
    NotNull,
    Unique,
)
from infra.schema.linting import trees
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import first_line, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.linting.trees import Name

__all__ = [
    "bound",
    "check",
    "clauses",
    "constraint",
    "domain_check",
    "foreign",
    "index",
    "not_null",
    "partition_keys",
    "read_columns",
    "stored",
    "types_named",
    "unique",
]


# What has a value whatever it is given.
_TOTAL = frozenset({"lower", "upper", "btrim", "ltrim", "rtrim", "length", "md5"})
_ARITHMETIC = frozenset("+-*/%^")


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
        return [check(fields, clause, name)]
    if kind in {"CONSTR_PRIMARY", "CONSTR_UNIQUE"}:
        columns = trees.strings(fields.get("keys", []))
        found: list[Condition] = []
        if kind == "CONSTR_PRIMARY":
            found += [not_null(column) for column in columns]
        if columns:
            found.append(unique(columns, equal=bool(fields.get("nulls_not_distinct"))))
        return found
    if kind == "CONSTR_FOREIGN":
        return [foreign(fields, trees.strings(fields.get("fk_attrs", [])), parent)]
    return [_exclusion(fields, clause, name)] if kind == "CONSTR_EXCLUSION" else []


def check(fields: Mapping[str, Any], clause: Sentence, name: str) -> Check:
    """Read a check; `name` is empty for one that has none."""
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


def unique(columns: Iterable[str], *, equal: bool) -> Unique:
    """Say that columns differ from row to row."""
    names = tuple(columns)
    return Unique(
        says=f"has the same {', '.join(map(trees.written, names))} as another",
        columns=names,
        elements=tuple(map(identifier, names)),
        nulls_equal=equal,
        inherits=False,
    )


def foreign(fields: Mapping[str, Any], columns: tuple[str, ...], parent: Name | None) -> ForeignKey:
    """Read a foreign key of these columns; see `constraint` for `parent`."""
    to = trees.relation(fields.get("pktable")) or ("", "")
    return ForeignKey(
        says=f"has a value in {', '.join(map(trees.written, columns))}"
        f" that {trees.written(*to)} lacks",
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


def index(fields: Mapping[str, Any], sql: str) -> list[Condition]:
    """Read what an index demands: that its expressions have a value, and differ if it is unique."""
    computed = [trees.element(each)[1].get("expr") for each in fields.get("indexParams", [])]
    if not fields.get("unique") and not _may_fail(computed):
        return []
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
    columns = (*named, *read_columns([params, fields.get("whereClause")]))
    if not fields.get("unique"):
        says = f"has values of which {', '.join(shown)} can't be computed"
        return [
            Computed(says=says, columns=columns, elements=elements, where=where, inherits=False)
        ]
    return [
        Unique(
            says=f"has the same {', '.join(shown)} as another",
            columns=columns,
            elements=elements,
            where=where,
            nulls_equal=bool(fields.get("nulls_not_distinct")),
            inherits=False,
        )
    ]


def _may_fail(node: Any) -> bool:
    """Tell whether an expression has no value for some rows: a division, a cast, a function."""
    if isinstance(node, list):
        return any(map(_may_fail, node))
    if not isinstance(node, dict):
        return False
    called, cast, operation = (node.get(kind) for kind in ("FuncCall", "TypeCast", "A_Expr"))
    to = trees.strings(cast.get("typeName", {}).get("names", [])) if cast else ()
    return (
        (called is not None and trees.strings(called.get("funcname", []))[-1] not in _TOTAL)
        or (cast is not None and to[-1:] != ("text",))
        or bool(operation and _ARITHMETIC.intersection(trees.strings(operation.get("name", []))))
        or any(map(_may_fail, node.values()))
    )


def domain_check(fields: Mapping[str, Any], sql: str) -> Check | None:
    """Read the CHECK that an ALTER DOMAIN adds, about a column named value."""
    if fields.get("skip_validation") or fields.get("contype") != "CONSTR_CHECK":
        return None
    return check(fields, Sentence(sql), str(fields.get("conname", "")))


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
