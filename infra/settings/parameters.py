"""Settings of postgresql.conf that a stack chooses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from infra.settings.key import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.settings.draft import Draft

__all__ = ["check", "parameters"]

# As PostgreSQL's own parser of the file takes them (guc-file.l), in ASCII.
_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_CONNECTIONS = 100
_RESERVED = 3

_TLS = f"TLS in a container is set by {spelled('tlsCertificate')}, tlsKey and tlsCa"
_PLACED = "the project places the server's files"
_OWNED = {
    "port": f"set {spelled('port')}",
    "listen_addresses": "the server is reached through the address that its target gives it",
    "data_directory": f"set {spelled('dataDir')} (embedded) or {spelled('volume')} (container)",
    "config_file": _PLACED,
    "hba_file": _PLACED,
    "ident_file": _PLACED,
    "external_pid_file": _PLACED,
    "include": _PLACED,
    "include_dir": _PLACED,
    "include_if_exists": _PLACED,
    "password_encryption": "passwords are kept as SCRAM-SHA-256 here",
    "client_connection_check_interval": "a client that was killed must free its locks in seconds",
}
_OWNED_FAMILIES = {
    "unix_socket_": "the server is reached over TCP alone",
    "ssl_": _TLS,
}


def check(draft: Draft) -> None:
    """Note the mistakes of the parameters."""
    try:
        given = json.loads(draft["parameters"])
    except ValueError:
        given = None
    if not isinstance(given, dict):
        draft.refuse(
            "parameters",
            "is no map of names to values; set one with: pulumi config set --path"
            f" '{spelled('parameters')}.work_mem' 64MB",
        )
        return
    seen: set[str] = set()
    for name, value in _flat(given):
        why = _mistake(name, value) or ("is given twice" if name.lower() in seen else "")
        seen.add(name.lower())
        if why:
            draft.refuse("parameters", f"{name!r} {why}")
    if draft.sound("parameters"):
        _check_connections(draft)


def parameters(draft: Draft) -> dict[str, str]:
    """Give the parameters by their names in lower case, the values as postgresql.conf has them."""
    return {name.lower(): _text(value) for name, value in _flat(json.loads(draft["parameters"]))}


def _flat(given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Put the two parts of an extension's setting together: --path makes a map of them."""
    for name, value in given.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{part}", inner) for part, inner in value.items())
        else:
            yield name, value


def _mistake(name: str, value: object) -> str:
    known = name.lower()
    if not _NAME.fullmatch(known):
        return "is no name of a setting; letters, digits and _, and a dot after an extension's name"
    owned = _OWNED.get(known) or next(
        (why for family, why in _OWNED_FAMILIES.items() if f"{known}_".startswith(family)), ""
    )
    if owned:
        return f"is not to be set here: {owned}"
    if not isinstance(value, (str, bool, int, float)):
        return "has neither a text, a number nor a boolean for a value"
    if isinstance(value, str) and not value.isprintable():
        return "has a value with a line break or another character that can't be printed"
    return ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _check_connections(draft: Draft) -> None:
    """See that no role can take the connections that its neighbours were promised."""
    set_here = parameters(draft)
    kinds = ["migrator", "app", "reader"] + ["auditor"] * (draft["auditor"] == "true")
    keys = [f"{kind}Connections" for kind in kinds]
    total = set_here.get("max_connections", str(_CONNECTIONS))
    if not total.isdecimal() or not draft.sound(*keys) or draft["target"] == "existing":
        return
    reserved = set_here.get("superuser_reserved_connections", str(_RESERVED))
    free = int(total) - (int(reserved) if reserved.isdecimal() else _RESERVED)
    promised = sum(max(int(draft[key]), 0) for key in keys)
    if promised > free:
        draft.refuse(
            "parameters",
            f"'max_connections' is {total}, which leaves {max(free, 0)} for roles, and"
            f" {', '.join(spelled(key) for key in keys)} promise {promised}; raise it, or lower"
            " those",
        )
