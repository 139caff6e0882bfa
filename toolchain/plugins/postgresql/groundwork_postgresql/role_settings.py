"""The run-time settings that a role carries: search path, timeouts and the role to assume."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from groundwork_plugin.properties import text

from .sql import identifier, identifiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from groundwork_plugin.values import Value, Values

__all__ = ["read_settings", "settings_statements"]

_TIMEOUTS = {
    "statementTimeout": "statement_timeout",
    "idleInTransactionSessionTimeout": "idle_in_transaction_session_timeout",
}
_MILLISECONDS = {"": 1, "us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_PATH_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+))\s*(?:,|$)')


def read_settings(entries: Iterable[str]) -> Values:
    """The properties that the entries `name=value` of the catalog stand for.

    Args:
        entries: What `pg_roles.rolconfig` holds.
    """
    held = dict(entry.split("=", 1) for entry in entries)
    found: Values = {
        "searchPaths": _path(held["search_path"]) if "search_path" in held else [],
        "assumeRole": held.get("role") or None,
    }
    for key, name in _TIMEOUTS.items():
        found[key] = _milliseconds(held[name]) if name in held else None
    return found


def settings_statements(role: str, state: Values, wanted: Values) -> Iterator[str]:
    """The statements that bring a role's settings from one state to another.

    Args:
        role: Its name.
        state: The last known outputs; empty for a new role.
        wanted: Inputs.
    """
    alter = f"ALTER ROLE {identifier(role)}"
    paths = _texts(wanted.get("searchPaths"))
    if _texts(state.get("searchPaths")) != paths:
        yield (
            f"{alter} SET search_path TO {identifiers(paths)}"
            if paths
            else (f"{alter} RESET search_path")
        )
    for key, name in _TIMEOUTS.items():
        limit = wanted.get(key) or 0
        if (state.get(key) or 0) != limit:
            yield f"{alter} SET {name} TO {limit}" if limit else f"{alter} RESET {name}"
    assumed = text(wanted, "assumeRole")
    if text(state, "assumeRole") != assumed:
        yield f"{alter} SET role TO {identifier(assumed)}" if assumed else f"{alter} RESET role"


def _texts(value: Value) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _path(value: str) -> list[Value]:
    return [
        quoted.replace('""', '"') if quoted else plain.strip()
        for quoted, plain in _PATH_PART.findall(value)
    ]


def _milliseconds(value: str) -> Value:
    match = _DURATION.fullmatch(value)
    factor = _MILLISECONDS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        return None
    return round(float(match[1]) * factor)
