"""What there is to know of one key of a stack's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from infra.project import spelled

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVIRONMENTS", "LOGINS", "SECTIONS", "Key", "spelled"]

ENVIRONMENTS = ("dev", "preview", "prod")
# The roles that log in, as the keys of their limits and passwords begin.
LOGINS = ("migrator", "app", "reader", "auditor")
SECTIONS = {
    "environment": "What kind of environment it is",
    "server": "The server",
    "container": "A server in a container",
    "tls": "TLS",
    "existing": "An existing server",
    "database": "The database and its roles",
    "passwords": "Passwords",
    "limits": "What a role may take",
    "schema": "The schema node",
}


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of the configuration.

    Attributes:
        name: As a user writes it, without the project's name before it.
        type: As Pulumi.yaml knows types; "list" for one of names or maps, for which it has none.
        default: As text, the way the engine hands values over; an object or an array as JSON.
        description: One sentence, or half of one.
        section: One of `SECTIONS`.
        shape: What a text means: "duration", "role" or "schema" (a name), "password", "path"; ""
            for others.
        choices: All values there are; empty for any.
        span: The smallest and the largest of an integer; 0 and -1 may stand beside it.
        beside: The one integer outside the span that is taken too, and what it means.
        secret: Whether it is refused where the engine doesn't know it as a secret.
        presets: Its value by environment where the stack gives none.
        variable: The environment variable whose text stands in where the stack gives none; it goes
            before the presets.
        targets: The targets where it does something; empty for all.
    """

    name: str
    type: Literal["string", "integer", "boolean", "object", "array", "list"] = "string"
    default: str = ""
    description: str
    section: str
    shape: Literal["", "duration", "role", "schema", "password", "path"] = ""
    choices: tuple[str, ...] = ()
    span: tuple[int, int] = (0, 0)
    beside: int | None = None
    secret: bool = False
    presets: Mapping[str, str] = field(default_factory=dict)
    variable: str = ""
    targets: tuple[str, ...] = ()
