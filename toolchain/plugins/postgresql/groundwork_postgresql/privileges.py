"""Which privileges there are on which kind of object, and when two lists of them are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundwork_plugin.properties import Failure
from groundwork_plugin.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from groundwork_plugin.values import Value, Values

__all__ = ["PUBLIC", "as_wanted", "privilege_failures", "words"]

PUBLIC = "public"
"""The word for every role; it is no role itself, and its number in access lists is 0."""

_ALL = "ALL"
# From PostgreSQL 17 on ALL includes it; the genuine plugin does not let a program name it.
_MAINTAIN = "MAINTAIN"

_ALLOWED = {
    "column": ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
    "database": ("CREATE", "CONNECT", "TEMPORARY"),
    "foreign_data_wrapper": ("USAGE",),
    "foreign_server": ("USAGE",),
    "function": ("EXECUTE",),
    "procedure": ("EXECUTE",),
    "routine": ("EXECUTE",),
    "schema": ("CREATE", "USAGE"),
    "sequence": ("USAGE", "SELECT", "UPDATE"),
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"),
    "type": ("USAGE",),
}


def words(value: Value) -> list[str]:
    """The texts of a list property; empty where it is absent.

    Args:
        value: A list, or nothing.
    """
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def privilege_failures(inputs: Values) -> Iterator[Failure]:
    """The privileges that objects of the given type do not have.

    Args:
        inputs: With `objectType` and `privileges`, which may be unknown.
    """
    object_type = inputs.get("objectType")
    if object_type is UNKNOWN or not isinstance(object_type, str):
        return
    allowed = _ALLOWED.get(object_type, ())
    for privilege in words(inputs.get("privileges")):
        if privilege not in (_ALL, *allowed):
            yield Failure(
                "privileges",
                f"{privilege!r} is not a privilege on a {object_type}; there are "
                f"{', '.join((_ALL, *allowed))}",
            )


def as_wanted(object_type: str, wanted: Iterable[str], granted: Iterable[str]) -> list[Value]:
    """The granted privileges, in the program's own words where these mean the same.

    Args:
        object_type: As in the program.
        wanted: The privileges that the program or the state names.
        granted: What the catalog holds.
    """
    asked, held = list(wanted), set(granted)
    if set(asked) == held:
        return list(asked)
    if _ALL in asked and held - {_MAINTAIN} == set(_ALLOWED[object_type]):
        return list(asked)
    return [*sorted(held)]
