"""Declares the resources that a test lists, so that tests need no programs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Declared", "declare"]

Declared = dict[str, Any]
"""A resource: `type`, `args`, and maybe `provider` and `after` with the names of earlier ones, and
`options` of the engine."""


def declare(package: str, resources: Mapping[str, Declared]) -> None:
    """Makes objects of the SDK, which register themselves, in order.

    Args:
        package: Whose resources they are, such as 'postgresql'.
        resources: By logical name.
    """
    sdk = importlib.import_module(f"pulumi_{package}")
    made: dict[str, Any] = {}
    for name, declared in resources.items():
        options = pulumi.ResourceOptions(
            provider=made.get(declared.get("provider", "")),
            depends_on=[made[other] for other in declared.get("after", [])],
            **declared.get("options", {}),
        )
        arguments = {key: _resolved(value, made) for key, value in declared["args"].items()}
        made[name] = getattr(sdk, declared["type"])(name, opts=options, **arguments)


def _resolved(value: object, made: Mapping[str, Any]) -> object:
    """Replaces `{"output": "name.property"}` and `{"secret": "text"}` in an argument."""
    if isinstance(value, list | tuple):
        return [_resolved(item, made) for item in value]
    if not isinstance(value, dict):
        return value
    if "secret" in value:
        return pulumi.Output.secret(value["secret"])
    if "output" not in value:
        return {key: _resolved(item, made) for key, item in value.items()}
    name, _, key = str(value["output"]).partition(".")
    return getattr(made[name], key)
