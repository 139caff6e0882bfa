"""Names of the database, of its schemas and of its roles."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from infra.roles import role_names
from infra.schema import ledger
from infra.settings.key import spelled
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from infra.roles import Roles
    from infra.settings.draft import Draft

__all__ = ["check", "roles"]

# PostgreSQL cuts a longer name without a word, and the next run would look for the whole one.
_BYTES = 63
# The provider `postgresql` puts the name into a connection URL as it is.
_NOT_IN_URL = "%?#"
_DATABASES = ("postgres", "template0", "template1")
_ROLES = ("public", "none")
_SUPERUSER = "postgres"
# `$user` in a search_path is the name of the session's role.
_SCHEMAS = ("information_schema", "$user", ledger.SCHEMA)


def check(draft: Draft) -> None:
    """Note the mistakes of the names, each by itself and then together."""
    _check_database(draft)
    for key in KEYS.values():
        if key.shape == "schema":
            _check_schema(draft, key.name)
    keys = [key.name for key in KEYS.values() if key.shape == "role"]
    for name in keys:
        if draft[name]:
            _check_role(draft, name)
    if draft.sound("database", "auditor", *keys):
        _check_distinct(draft)


def roles(draft: Draft) -> Roles:
    """Give the names of the roles: the chosen ones, and the others by the database."""
    kinds = ("owner", "migrator", "readwrite", "readonly", "app", "reader")
    names = role_names(
        draft["database"],
        auditor=draft["auditor"] == "true",
        **{kind: draft[f"{kind}Role"] for kind in kinds},
    )
    if names.auditor and draft["auditorRole"]:
        return replace(names, auditor=draft["auditorRole"])
    return names


def _unfit(name: str) -> str:
    """Tell why PostgreSQL has no such name; "" where it may."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "has half of a character, which is no UTF-8"
    if length > _BYTES:
        return f"has {length} bytes, and PostgreSQL takes names of 1 to {_BYTES}"
    if "\0" in name:
        return "has a NUL byte, which PostgreSQL takes in no name"
    return ""


def _check_database(draft: Draft) -> None:
    name = draft["database"]
    unfit = _unfit(name)
    in_url = [character for character in _NOT_IN_URL if character in name]
    if not name:
        draft.refuse("database", f"is empty; give the database a name of 1 to {_BYTES} bytes")
    elif unfit:
        draft.refuse("database", unfit)
    elif in_url:
        draft.refuse(
            "database",
            f"has {' '.join(in_url)}, and the provider takes no name with one of % ? #",
        )
    elif name in _DATABASES:
        draft.refuse("database", f"{name!r} is a database of the server's own; choose another name")


def _check_schema(draft: Draft, key: str) -> None:
    name = draft[key]
    unfit = _unfit(name)
    if not name:
        draft.refuse(key, f"is empty; give the schema a name of 1 to {_BYTES} bytes")
    elif unfit:
        draft.refuse(key, unfit)
    elif name.startswith("pg_") or name in _SCHEMAS:
        draft.refuse(key, f"{name!r} has a meaning of its own; choose another name")


def _check_role(draft: Draft, key: str) -> None:
    name = draft[key]
    unfit = _unfit(name)
    if unfit:
        draft.refuse(key, unfit)
    elif name.startswith("pg_") or name in _ROLES:
        draft.refuse(key, f"{name!r} is a name of PostgreSQL's own; choose another name")
    elif name == _SUPERUSER and draft["target"] != "existing":
        draft.refuse(key, f"{name!r} is the superuser of the server; choose another name")


def _check_distinct(draft: Draft) -> None:
    used: dict[str, str] = {}
    for kind, name in asdict(roles(draft)).items():
        other = used.setdefault(name, kind) if name else kind
        if other != kind:
            key = f"{kind}Role" if draft[f"{kind}Role"] else f"{other}Role"
            draft.refuse(
                key,
                f"{name!r} is the name of the {other} and of the {kind}, and each needs a role of"
                f" its own; set {spelled(f'{other}Role')} or {spelled(f'{kind}Role')} to another",
            )
