"""How the state, the inputs and what is really there differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .properties import DEFAULTED
from .values import UNKNOWN, has_unknown

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from .properties import Property
    from .values import Value, Values

__all__ = ["Change", "changes", "foreseen", "inputs_of", "same"]


@dataclass(frozen=True)
class Change:
    """A property that differs from the state."""

    kind: Literal["add", "update", "delete"]
    replaces: bool


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
        if prop.write_only or prop.output_only or (new is None and prop.computed):
            continue
        if same(prop, old, new):
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
    if has_unknown(left) or has_unknown(right):
        return False
    if prop.alike:
        return prop.alike(left, right)
    return _comparable(prop, left) == _comparable(prop, right)


def foreseen(properties: Iterable[Property], wanted: Values, state: Values) -> Values:
    """The outputs as far as they are known before the server is asked.

    Args:
        properties: Those of the resource.
        wanted: Checked inputs.
        state: The outputs of the state; empty for a new object.
    """
    outputs: Values = {}
    for prop in properties:
        value, old = wanted.get(prop.name), state.get(prop.name)
        if prop.output_only or (value is None and prop.computed):
            value = old if state else UNKNOWN
        elif prop.fields and old is not None and same(prop, old, value):
            value = old
        elif prop.fields:
            value = _nested(prop, value)
        if not prop.write_only:
            outputs[prop.name] = value
    return outputs


def inputs_of(properties: Iterable[Property], found: Values, inputs: Values) -> Values:
    """The inputs that a program would have to give for what was found.

    For a refresh, only what differs from the last inputs is replaced; an import, which has none,
    gets everything that is not a default.

    Args:
        properties: Those of the resource.
        found: Outputs.
        inputs: The last ones; empty for an import.
    """
    result: Values = {DEFAULTED: [], **inputs}
    for prop in properties:
        actual, asked = found.get(prop.name), inputs.get(prop.name)
        if prop.write_only or prop.output_only or (inputs and asked is None and prop.computed):
            continue
        expected = prop.default if asked is None else asked
        if prop.name == "name" or prop.required or not same(prop, actual, expected):
            result[prop.name] = actual if asked is None or not same(prop, actual, asked) else asked
    return result


def _nested(prop: Property, value: Value) -> Value:
    if isinstance(value, list):
        return [_nested(prop, item) for item in value]
    return foreseen(prop.fields, value, {}) if isinstance(value, dict) else value


def _is_empty(value: Value) -> bool:
    return value is not UNKNOWN and not value


def _comparable(prop: Property, value: Value) -> Hashable:
    """A value in a form that is equal for all that means the same."""
    if not value:
        return None
    if isinstance(value, list):
        if prop.fields:
            items: list[Hashable] = [_comparable_object(prop, item) for item in value]
        else:
            items = [str(item) for item in value]
        return frozenset(items) if prop.kind in ("set", "object set") else tuple(items)
    if isinstance(value, dict):
        return _comparable_object(prop, value)
    return value if isinstance(value, bool | int | float | str) else repr(value)


def _comparable_object(prop: Property, value: Value) -> Hashable:
    if not isinstance(value, dict):
        return repr(value)
    if not prop.fields:
        return frozenset((key, repr(item)) for key, item in value.items())
    pairs = ((field.name, _comparable(field, value.get(field.name))) for field in prop.fields)
    return frozenset(pair for pair in pairs if pair[1] is not None)
