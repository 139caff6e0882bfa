"""What a resource's properties are, how inputs are checked and how a change is found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import MistakeError
from .values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .values import Value, Values

__all__ = ["DEFAULTED", "Change", "Failure", "Property", "changes", "checked", "same", "text"]

DEFAULTED = "__defaults"
"""Where the state remembers which inputs nobody wrote, in the words of the genuine plugin."""

Kind = Literal["string", "boolean", "integer", "list", "set", "objects"]

NAME_LIMIT = 63
"""Bytes of a name that PostgreSQL keeps; it cuts longer ones without an error."""

_SUFFIX_LENGTH = 7


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property of a resource.

    Attributes:
        name: As in the SDK, in camel case.
        kind: A list keeps its order, a set has none.
        default: What an absent input becomes.
        required: Whether a program must give it.
        computed: Whether the server decides where a program says nothing.
        replaces: Whether a change makes a new resource.
        secret: Whether the state encrypts it.
        write_only: Whether it is sent to the server and never kept in the outputs.
        names_object: Whether it is an identifier of PostgreSQL.
        minimum: The smallest number.
        choices: The words that are allowed.
    """

    name: str
    kind: Kind = "string"
    default: Value = None
    required: bool = False
    computed: bool = False
    replaces: bool = False
    secret: bool = False
    write_only: bool = False
    names_object: bool = False
    minimum: int | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A wrong input: which one, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Change:
    """A property that differs from the state."""

    kind: Literal["add", "update", "delete"]
    replaces: bool


def checked(
    properties: Iterable[Property], news: Mapping[str, Value]
) -> tuple[Values, list[Failure]]:
    """Brings inputs into their types and fills in the defaults.

    Args:
        properties: Those of the resource.
        news: What the program gives.

    Returns:
        The inputs, with the names of the defaulted ones under `DEFAULTED`, and what is wrong.
    """
    known = {prop.name: prop for prop in properties}
    failures = [
        Failure(key, "there is no such property")
        for key in news
        if key not in known and not key.startswith("__")
    ]
    inputs: Values = {}
    defaulted: list[Value] = []
    for key, prop in known.items():
        value = news.get(key)
        if value is None:
            if prop.default is not None:
                inputs[key] = prop.default
                defaulted.append(key)
            elif prop.required:
                failures.append(Failure(key, "it is missing"))
            continue
        try:
            inputs[key] = _coerced(prop, value)
        except MistakeError as error:
            failures.append(Failure(key, str(error)))
    inputs[DEFAULTED] = defaulted
    return inputs, failures


def generated_name(logical: str, seed: bytes) -> str:
    """A physical name as the genuine plugin makes one: the logical name and seven hex digits.

    Args:
        logical: The name of the resource in the program.
        seed: The engine's, the same for each attempt of one deployment.
    """
    return f"{logical}-{hashlib.sha256(seed).hexdigest()[:_SUFFIX_LENGTH]}"


def changes(
    properties: Iterable[Property], olds: Mapping[str, Value], news: Mapping[str, Value]
) -> dict[str, Change]:
    """What a program asks to be different from the state.

    Args:
        properties: Those of the resource.
        olds: The outputs of the state.
        news: Checked inputs.
    """
    found: dict[str, Change] = {}
    for prop in properties:
        old, new = olds.get(prop.name), news.get(prop.name)
        if prop.write_only or (new is None and prop.computed) or same(prop, old, new):
            continue
        kind: Literal["add", "update", "delete"] = "update"
        if _is_empty(old):
            kind = "add"
        elif _is_empty(new):
            kind = "delete"
        found[prop.name] = Change(kind, prop.replaces)
    return found


def same(prop: Property, left: Value, right: Value) -> bool:
    """Whether two values mean the same; nothing, zero, false and the empty text do.

    Args:
        prop: Their property.
        left: One value.
        right: The other value.
    """
    if UNKNOWN in (left, right):
        return False
    if _is_empty(left) and _is_empty(right):
        return True
    if prop.kind == "set" and isinstance(left, list) and isinstance(right, list):
        return {str(item) for item in left} == {str(item) for item in right}
    return left == right


def text(values: Mapping[str, Value], key: str) -> str:
    """A text property; empty where it is absent.

    Args:
        values: Inputs or outputs.
        key: The property's name.
    """
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _is_empty(value: Value) -> bool:
    return value is not UNKNOWN and not value


def _coerced(prop: Property, value: Value) -> Value:
    if value is UNKNOWN or prop.kind == "objects":
        return value
    if prop.kind in ("list", "set"):
        if not isinstance(value, list):
            raise MistakeError("it is not a list")
        return [item if item is UNKNOWN else _string(prop, item) for item in value]
    if prop.kind == "boolean":
        return _boolean(value)
    if prop.kind == "integer":
        return _integer(prop, value)
    return _string(prop, value)


def _boolean(value: Value) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise MistakeError("it is neither true nor false")


def _integer(prop: Property, value: Value) -> int:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int):
        raise MistakeError("it is not a whole number")
    if prop.minimum is not None and value < prop.minimum:
        raise MistakeError(f"{value} is below {prop.minimum}")
    return value


def _string(prop: Property, value: Value) -> str:
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise MistakeError("it is not a text")
    if "\0" in value:
        raise MistakeError("it contains a zero byte, which PostgreSQL cannot store")
    if prop.choices and value not in prop.choices:
        raise MistakeError(f"{value!r} is not one of {', '.join(prop.choices)}")
    size = len(value.encode())
    if prop.names_object and size > NAME_LIMIT:
        raise MistakeError(
            f"{value!r} has {size} bytes; PostgreSQL would cut the name after {NAME_LIMIT}"
        )
    return value
