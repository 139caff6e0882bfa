"""What a resource's properties are, and how inputs are checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import MistakeError
from .values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .values import Value, Values

__all__ = ["DEFAULTED", "Failure", "Property", "checked", "generated_name", "text"]

DEFAULTED = "__defaults"
"""Where the state remembers which inputs nobody wrote, in the words of the genuine plugins."""

Kind = Literal[
    "string",
    "boolean",
    "integer",
    "list",
    "set",
    "map",
    "object",
    "objects",
    "object set",
    "opaque",
]

_SUFFIX_LENGTH = 7


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property of a resource, or of an object in one.

    Attributes:
        name: As in the SDK, in camel case.
        kind: A list and objects keep their order, a set and an object set have none. Lists, sets
            and maps hold texts, an object has `fields`, an opaque value is taken as it is.
        default: What an absent input becomes.
        required: Whether a program must give it.
        computed: Whether the server decides where a program says nothing.
        output_only: Whether the server alone decides.
        replaces: Whether a change makes a new resource.
        secret: Whether the state encrypts it.
        write_only: Whether it is sent to the server and never kept in the outputs.
        minimum: The smallest number.
        maximum: The largest number.
        choices: The words that are allowed.
        problem: Tells what is wrong with a text, or each text of a list; empty where nothing is.
        fields: The properties of an object.
        alike: Tells whether two values mean the same, where it takes more than to compare them.
    """

    name: str
    kind: Kind = "string"
    default: Value = None
    required: bool = False
    computed: bool = False
    output_only: bool = False
    replaces: bool = False
    secret: bool = False
    write_only: bool = False
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    problem: Callable[[str], str] | None = None
    fields: tuple[Property, ...] = ()
    alike: Callable[[Value, Value], bool] | None = None


@dataclass(frozen=True)
class Failure:
    """A wrong input: which one, and why."""

    name: str
    reason: str


def checked(
    properties: Iterable[Property], news: Mapping[str, Value], *, unknown: str
) -> tuple[Values, list[Failure]]:
    """Brings inputs into their types and fills in the defaults.

    Args:
        properties: Those of the resource.
        news: What the program gives.
        unknown: What to say of a property that is none of them.

    Returns:
        The inputs, with the names of the defaulted ones under `DEFAULTED`, and what is wrong.
    """
    failures: list[Failure] = []
    listed = tuple(properties)
    inputs = _members(listed, news, _Place("", unknown, failures))
    inputs[DEFAULTED] = [
        prop.name for prop in listed if prop.default is not None and news.get(prop.name) is None
    ]
    return inputs, failures


def generated_name(logical: str, seed: bytes) -> str:
    """A physical name as the genuine plugins make one: the logical name and seven hex digits.

    Args:
        logical: The name of the resource in the program.
        seed: The engine's, the same for each attempt of one deployment.
    """
    return f"{logical}-{hashlib.sha256(seed).hexdigest()[:_SUFFIX_LENGTH]}"


def text(values: Mapping[str, Value], key: str) -> str:
    """A text property; empty where it is absent.

    Args:
        values: Inputs or outputs.
        key: The property's name.
    """
    value = values.get(key)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class _Place:
    """Where in the inputs something is, and where to note what is wrong with it."""

    path: str
    unknown: str
    failures: list[Failure]

    def member(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name, self.unknown, self.failures)

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.unknown, self.failures)

    def fail(self, reason: str) -> None:
        self.failures.append(Failure(self.path, reason))


def _members(properties: Iterable[Property], news: Mapping[str, Value], place: _Place) -> Values:
    known = {prop.name: prop for prop in properties if not prop.output_only}
    for key in news:
        if key not in known and not key.startswith("__"):
            place.member(key).fail(place.unknown)
    inputs: Values = {}
    for key, prop in known.items():
        value = news.get(key)
        if value is not None:
            inputs[key] = _taken(prop, value, place.member(key))
        elif prop.default is not None:
            inputs[key] = prop.default
        elif prop.required:
            place.member(key).fail("it is missing")
    return inputs


def _taken(prop: Property, value: Value, place: _Place) -> Value:
    if prop.kind == "opaque":
        return value
    try:
        if value is UNKNOWN or prop.kind == "object":
            return _object(prop, value, place)
        if prop.kind in ("list", "set", "map", "objects", "object set"):
            return _collection(prop, value, place)
        return _scalar(prop, value)
    except MistakeError as error:
        place.fail(str(error))
        return None


def _collection(prop: Property, value: Value, place: _Place) -> Value:
    if prop.kind == "map":
        return {key: _item(prop, item) for key, item in _mapping(value).items()}
    items = _listed(value)
    if prop.fields:
        return [_object(prop, item, place.item(index)) for index, item in enumerate(items)]
    return [_item(prop, item) for item in items]


def _object(prop: Property, value: Value, place: _Place) -> Value:
    return value if value is UNKNOWN else _members(prop.fields, _mapping(value), place)


def _mapping(value: Value) -> Mapping[str, Value]:
    if isinstance(value, dict):
        return value
    raise MistakeError("it is not an object")


def _listed(value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    raise MistakeError("it is not a list")


def _item(prop: Property, value: Value) -> Value:
    return value if value is UNKNOWN else _string(prop, value)


def _scalar(prop: Property, value: Value) -> Value:
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
    if prop.maximum is not None and value > prop.maximum:
        raise MistakeError(f"{value} is above {prop.maximum}")
    return value


def _string(prop: Property, value: Value) -> str:
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise MistakeError("it is not a text")
    if "\0" in value:
        raise MistakeError("it contains a zero byte")
    if prop.choices and value not in prop.choices:
        raise MistakeError(f"{value!r} is not one of {', '.join(prop.choices)}")
    if prop.problem and (reason := prop.problem(value)):
        raise MistakeError(reason)
    return value
