"""The package schema, from which the engine writes the code of an import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .plugin import Plugin
    from .properties import Property
    from .resource import Resource

__all__ = ["package_schema"]

Backend = TypeVar("Backend")

_ANY: dict[str, object] = {"$ref": "pulumi.json#/Any"}
_TYPES: dict[str, dict[str, object]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "list": {"type": "array", "items": {"type": "string"}},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
    "object": _ANY,
    "objects": {"type": "array", "items": _ANY},
    "object set": {"type": "array", "items": _ANY},
    "opaque": _ANY,
    "set": {"type": "array", "items": {"type": "string"}},
    "string": {"type": "string"},
}


def package_schema(plugin: Plugin[Backend]) -> str:
    """The schema as JSON text, with the resources that a plugin covers.

    Args:
        plugin: The plugin.
    """
    settings = {
        name: _TYPES[kind] | ({"secret": True} if name in plugin.secret_settings else {})
        for name, kind in plugin.settings.items()
    }
    resources = {token: _resource(resource) for token, resource in plugin.resources.items()}
    return json.dumps(
        {
            "name": plugin.name,
            "version": plugin.version,
            "description": plugin.description,
            "meta": {"moduleFormat": "(.*)(?:/[^/]*)"},
            "language": {"python": {"compatibility": "tfbridge20"}},
            "config": {"variables": settings},
            "provider": {"inputProperties": settings},
            "resources": resources,
        }
    )


def _resource(resource: Resource[Backend]) -> dict[str, object]:
    listed = {prop.name: _property(prop) for prop in resource.properties}
    certain = [
        prop.name
        for prop in resource.properties
        if prop.required or prop.computed or (prop.name == "name" and resource.autonamed)
    ]
    inputs = [prop for prop in resource.properties if not prop.output_only]
    return {
        "description": f"{resource.noun.capitalize()}.",
        "properties": listed,
        "required": certain,
        "inputProperties": {prop.name: listed[prop.name] for prop in inputs},
        "requiredInputs": [prop.name for prop in inputs if prop.required],
    }


def _property(prop: Property) -> dict[str, object]:
    described = dict(_TYPES[prop.kind])
    if prop.secret:
        described["secret"] = True
    if prop.replaces:
        described["willReplaceOnChanges"] = True
    return described
