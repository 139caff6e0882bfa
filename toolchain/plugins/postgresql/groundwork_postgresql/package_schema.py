"""The package schema, from which the engine writes the code of an import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import VERSION
from .configuration import SECRET_SETTINGS, SETTINGS
from .resources import RESOURCES

if TYPE_CHECKING:
    from .properties import Property
    from .resource import Resource

__all__ = ["package_schema"]

_TYPES: dict[str, dict[str, object]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "list": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object", "additionalProperties": {"type": "string"}},
    "objects": {"type": "array", "items": {"$ref": "pulumi.json#/Any"}},
    "set": {"type": "array", "items": {"type": "string"}},
    "string": {"type": "string"},
}


def package_schema() -> str:
    """The schema as JSON text, with the resources that this plugin covers."""
    settings = {
        name: _TYPES[kind] | ({"secret": True} if name in SECRET_SETTINGS else {})
        for name, kind in SETTINGS.items()
    }
    return json.dumps(
        {
            "name": "postgresql",
            "version": VERSION,
            "description": "Roles, databases, grants and extensions of a PostgreSQL server.",
            "meta": {"moduleFormat": "(.*)(?:/[^/]*)"},
            "language": {"python": {"compatibility": "tfbridge20"}},
            "config": {"variables": settings},
            "provider": {"inputProperties": settings},
            "resources": {token: _resource(resource) for token, resource in RESOURCES.items()},
        }
    )


def _resource(resource: Resource) -> dict[str, object]:
    listed = {prop.name: _property(prop) for prop in resource.properties}
    certain = [
        prop.name
        for prop in resource.properties
        if prop.required or prop.computed or (prop.name == "name" and resource.autonamed)
    ]
    return {
        "description": f"{resource.noun.capitalize()} of a PostgreSQL server.",
        "properties": listed,
        "required": certain,
        "inputProperties": listed,
        "requiredInputs": [prop.name for prop in resource.properties if prop.required],
    }


def _property(prop: Property) -> dict[str, object]:
    described = dict(_TYPES[prop.kind])
    if prop.secret:
        described["secret"] = True
    if prop.replaces:
        described["willReplaceOnChanges"] = True
    return described
