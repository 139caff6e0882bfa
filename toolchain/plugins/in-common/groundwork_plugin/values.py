"""Plain Python values in the place of the wire's: what the rest of the plugin works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from pulumi.provider.experimental.property_value import PropertyValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulumi.provider.experimental.property_value import PythonValue

__all__ = [
    "UNKNOWN",
    "Unknown",
    "Value",
    "Values",
    "from_wire",
    "has_unknown",
    "secret_keys",
    "secret_texts",
    "to_wire",
]


class Unknown:
    """A value that the engine will only know once another resource exists."""

    def __repr__(self) -> str:
        """Reads well in a message."""
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

Value: TypeAlias = "bool | int | float | str | Unknown | list[Value] | dict[str, Value] | None"
Values: TypeAlias = "dict[str, Value]"

# How the engine writes "not known yet" on the wire, by the type that the value will have. The
# Python SDK sends the first one for every type, other SDKs are more precise.
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_MARKS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


def from_wire(properties: Mapping[str, PropertyValue]) -> Values:
    """Strips secrets and dependencies, and turns the marks of unknown values into `UNKNOWN`.

    Args:
        properties: What a request of the engine carries.
    """
    return {key: _plain(value) for key, value in properties.items()}


def to_wire(
    values: Mapping[str, Value], *, secrets: Iterable[str] = ()
) -> dict[str, PropertyValue]:
    """Wraps plain values for an answer to the engine; None is left out.

    Args:
        values: What to answer.
        secrets: The keys whose value the engine must encrypt.
    """
    hidden = frozenset(secrets)
    return {
        key: PropertyValue(_wrapped(value), is_secret=key in hidden)
        for key, value in values.items()
        if value is not None
    }


def has_unknown(value: Value) -> bool:
    """Whether a value, or something in it, is not known yet."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def secret_keys(*properties: Mapping[str, PropertyValue]) -> frozenset[str]:
    """The keys whose value is secret, or holds something secret.

    Args:
        properties: What a request of the engine carries.
    """
    return frozenset(
        key for group in properties for key, value in group.items() if value.contains_secret()
    )


def secret_texts(*properties: Mapping[str, PropertyValue]) -> frozenset[str]:
    """Every text that is secret, for taking it out of messages.

    Args:
        properties: What a request of the engine carries.
    """
    values = (value for group in properties for value in group.values())
    return frozenset(found for value in values for found in _texts(value, secret=False))


def _texts(value: PropertyValue, *, secret: bool) -> Iterator[str]:
    secret = secret or value.is_secret
    content = value.value
    if isinstance(content, str):
        if secret and content and content not in _UNKNOWN_MARKS:
            yield content
    elif isinstance(content, Mapping):
        for item in content.values():
            yield from _texts(item, secret=secret)
    elif isinstance(content, Iterable):
        for item in content:
            yield from _texts(item, secret=secret)


def _plain(value: PropertyValue) -> Value:
    content = value.value
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, str):
        return UNKNOWN if content in _UNKNOWN_MARKS else content
    if isinstance(content, float):
        return int(content) if content.is_integer() else content
    if isinstance(content, Mapping):
        return {key: _plain(item) for key, item in content.items()}
    if isinstance(content, Iterable):
        return [_plain(item) for item in content]
    return UNKNOWN


def _wrapped(value: Value) -> PythonValue:
    if isinstance(value, Unknown):
        return _UNKNOWN_STRING
    if isinstance(value, dict):
        return {key: PropertyValue(_wrapped(item)) for key, item in value.items()}
    if isinstance(value, list):
        return [PropertyValue(_wrapped(item)) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
