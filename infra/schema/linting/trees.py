"""PostgreSQL's own parse trees, as JSON: the few things that lint asks of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pgparse

from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Name",
    "body",
    "element",
    "elements",
    "listed",
    "named",
    "option",
    "parse",
    "relation",
    "role",
    "setting",
    "strings",
    "types",
    "written",
]

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

Name = tuple[str, str]
"""Schema, empty where none is written, and name."""


def parse(sql: str) -> tuple[tuple[tuple[str, dict[str, Any]], ...], str]:
    """Parse a statement: (kind, fields) of it and of what CREATE SCHEMA holds; or what is wrong."""
    try:
        found = [next(iter(each["stmt"].items())) for each in pgparse.parse(sql) if "stmt" in each]
    except pgparse.PGQueryError as exc:
        return (), str(exc)
    except (ValueError, RecursionError) as exc:  # no UTF-8, or nested beyond what JSON can be
        return (), f"it can't be parsed: {type(exc).__name__}"
    inner: list[tuple[str, dict[str, Any]]] = []
    for kind, fields in found:
        inner.append((kind, fields))
        if kind == "CreateSchemaStmt":
            inner.extend(elements(fields.get("schemaElts")))
    return tuple(inner), ""


def element(node: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """Give kind and fields of a node; nothing of none."""
    return next(iter(node.items())) if node else ("", {})


def elements(list_: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, dict[str, Any]]]:
    """Give kind and fields of each node of a list."""
    return [element(node) for node in list_ or () if node]


def strings(node: Any) -> tuple[str, ...]:
    """Give the texts in a list of nodes, or in a node that is a list, a type or one text."""
    if isinstance(node, list):
        return tuple(text for each in node for text in strings(each))
    kind, fields = element(node)
    if kind == "String":
        return (str(fields.get("sval", "")),)
    inner = {"List": "items", "TypeName": "names", "ObjectWithArgs": "objname"}.get(kind)
    return strings(fields.get(inner, [])) if inner else ()


def named(parts: Sequence[str]) -> Name:
    """Give schema and name of a name in parts; a database before them is left out."""
    schema, name = ("", "", *parts)[-2:]
    return schema, name


def written(*parts: str) -> str:
    """Write a name as SQL does; empty parts are left out."""
    plain = (part if _PLAIN.fullmatch(part) else identifier(part) for part in parts if part)
    return ".".join(plain)


def relation(fields: Mapping[str, Any] | None) -> Name | None:
    """Give schema and name of a RangeVar."""
    if not fields or "relname" not in fields:
        return None
    return str(fields.get("schemaname", "")), str(fields["relname"])


def role(fields: Mapping[str, Any] | None, acting: str) -> str:
    """Give the role of a RoleSpec: "" for PUBLIC, `acting` for CURRENT_USER and its likes."""
    kind = (fields or {}).get("roletype")
    if kind == "ROLESPEC_CSTRING":
        return str((fields or {}).get("rolename", ""))
    return "" if kind == "ROLESPEC_PUBLIC" else acting


def option(options: Sequence[Mapping[str, Any]] | None, name: str) -> Any:
    """Give the value of an option; None where it is not there."""
    for _, fields in elements(options):
        if fields.get("defname") == name:
            return fields.get("arg")
    return None


def body(fields: Mapping[str, Any]) -> str:
    """Give the text of a DO block."""
    return "".join(strings(option(fields.get("args"), "as")))


def setting(kind: str, fields: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Give what a statement sets a parameter to: () for its default, None where it does not.

    SET is understood, and SELECT set_config(...) as the whole of a statement.
    """
    if kind == "VariableSetStmt":
        if fields.get("name") != name and fields.get("kind") != "VAR_RESET_ALL":
            return None
        return tuple(_constant(arg) for arg in fields.get("args", ()))
    if kind != "SelectStmt":
        return None
    targets = elements(fields.get("targetList"))
    call = element(targets[0][1].get("val"))[1] if len(targets) == 1 else {}
    arguments = [_constant(arg) for arg in call.get("args", ())]
    if strings(call.get("funcname", []))[-1:] != ("set_config",) or arguments[:1] != [name]:
        return None
    return listed(arguments[1]) if len(arguments) > 1 else ()


def listed(text: str) -> tuple[str, ...]:
    """Read a list of names as search_path has it."""
    try:
        kind, fields = parse(f"SET search_path TO {text}")[0][0]
    except IndexError:
        return ()
    return setting(kind, fields, "search_path") or ()


def _constant(node: Mapping[str, Any]) -> str:
    kind, fields = element(node)
    if kind == "TypeCast":
        return _constant(fields.get("arg", {}))
    return str(fields.get("sval", {}).get("sval", "")) if kind == "A_Const" else ""


def types(fields: Any, without: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Find all names of types inside a node, in their order.

    Args:
        fields: The node.
        without: Kinds of nodes that are not looked into.
    """
    waiting = [fields]
    while waiting:
        this = waiting.pop()
        if isinstance(this, list):
            waiting.extend(reversed(this))
        elif isinstance(this, dict):
            if "names" in this and "typemod" in this:
                yield this
            waiting.extend(value for key, value in reversed(this.items()) if key not in without)
