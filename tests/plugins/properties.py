"""Properties as Pulumi's gRPC services carry them: JSON, with marks for secrets and unknowns."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format, struct_pb2

__all__ = [
    "UNKNOWN",
    "Properties",
    "encrypted",
    "from_struct",
    "is_secret",
    "plain",
    "secret",
    "to_struct",
]

Properties = dict[str, Any]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for what a preview cannot know."""

_KIND = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's own kind of a secret


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Properties as a message."""
    return json_format.ParseDict(properties, struct_pb2.Struct())


def from_struct(message: struct_pb2.Struct) -> Properties:
    """The properties of a message."""
    found: Properties = json_format.MessageToDict(message)
    return found


def secret(value: object) -> dict[str, object]:
    """A value marked as secret."""
    return {_KIND: _SECRET, "value": value}


def is_secret(value: object) -> bool:
    """Whether a value is marked as secret."""
    return isinstance(value, dict) and value.get(_KIND) == _SECRET


def plain(value: Any) -> Any:
    """A value with its secrets readable."""
    if is_secret(value):
        return plain(value["value"])
    return _within(value, plain)


def encrypted(value: Any) -> Any:
    """A value as a state shows it, with a stand-in where the engine writes a ciphertext."""
    if is_secret(value):
        return {_KIND: _SECRET, "ciphertext": "[secret]"}
    return _within(value, encrypted)


def _within(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: change(item) for key, item in value.items()}
    if isinstance(value, list):
        return [change(item) for item in value]
    return value
