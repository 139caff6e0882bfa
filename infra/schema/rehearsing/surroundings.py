"""What is around a schema: roles, the database, schemas, extensions; read there, made here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema.statements.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from infra.servers.throwaway import Throwaway

__all__ = [
    "FREE",
    "Surroundings",
    "alone",
    "connect",
    "defaults",
    "extension",
    "inside",
    "login",
    "outside",
    "read",
    "said",
    "settings",
]

_QUERY = Path(__file__).with_suffix(".sql")
_ATTRIBUTES = {
    "rolinherit": "INHERIT",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
# Settings that are lists of names, which lose their meaning in one pair of quotes.
_LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "temp_tablespaces",
}
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|\Z)')
_WIDTH = 160

FREE = {
    "default_transaction_read_only": "off",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "role": "none",
    "session_replication_role": "origin",
    "statement_timeout": "0",
    "transaction_timeout": "0",
}
"""Settings of a session that works on the copy: the live database's own may be in its way."""

Statement = tuple[str, str]
"""What it makes, in words, and its SQL."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """As the live server describes them.

    Attributes:
        server: Its version, 170004 for example.
        login: The role that logs in.
        database: The row of pg_database, with owner, charset and rights.
        roles: The rows of pg_roles, in the order in which they were made.
        memberships: Group, member and the options.
        settings: Of the database, of the login role, and of both.
        schemas: Name, owner, rights, whether the reader may enter it.
        extensions: Name, version, schema, owner.
        defaults: Default privileges.
    """

    server: int
    login: str
    database: Mapping[str, Any]
    roles: Sequence[Mapping[str, Any]] = field(default_factory=list)
    memberships: Sequence[Mapping[str, Any]] = field(default_factory=list)
    settings: Sequence[Mapping[str, Any]] = field(default_factory=list)
    schemas: Sequence[Mapping[str, Any]] = field(default_factory=list)
    extensions: Sequence[Mapping[str, Any]] = field(default_factory=list)
    defaults: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the database."""
        return str(self.database["datname"])


async def read(connection: Any) -> Surroundings:
    """Read them from catalogs that everybody may read.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused.
    """
    found = json.loads(await connection.fetchval(_QUERY.read_text(encoding="utf-8")))
    return Surroundings(**{name: value for name, value in found.items() if value is not None})


# -- on the throwaway server --------------------------------------------------------------


async def connect(server: Throwaway, database: str, *, user: str = "") -> Any:
    """Connect to the throwaway server, as its superuser where no other is named."""
    import asyncpg  # noqa: PLC0415 - 160 ms, for those who need a throwaway server

    return await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=user or server.user,
        password=server.password,
        database=database,
        ssl=False,
        server_settings=dict(FREE),
    )


def said(exc: BaseException) -> str:
    """Give what PostgreSQL said in one short line."""
    line = " ".join(str(exc).split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def login(server: Throwaway, role: str, *, exists: bool) -> str:
    """Write SQL that lets a role log in with the throwaway server's password."""
    verb = "ALTER" if exists else "CREATE"
    return f"{verb} ROLE {identifier(role)} LOGIN PASSWORD {literal(server.password)}"


def extension(name: str, schema: str, version: str = "") -> str:
    """Write SQL that makes an extension, where this machine has it."""
    wanted = f" VERSION {literal(version)}" if version else ""
    return (
        "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions"
        f" WHERE name = {literal(name)}) THEN"
        f" CREATE EXTENSION IF NOT EXISTS {identifier(name)} SCHEMA {identifier(schema)}{wanted};"
        " END IF; END $do$"
    )


def outside(
    around: Surroundings, server: Throwaway, acting: str, existing: Collection[str]
) -> Iterator[Statement]:
    """Write what is made before the database: roles, then who is a member of what.

    Superusers are made where one of them is who migrates; else nobody needs them.

    Args:
        around: The live server's.
        server: The throwaway server.
        acting: The role that migrates.
        existing: Roles that the throwaway server has.
    """
    trusted = any(
        role["rolsuper"] for role in around.roles if role["rolname"] in {around.login, acting}
    )
    for role in around.roles:
        name = role["rolname"]
        if name == server.user:
            continue
        words = [word if role[column] else f"NO{word}" for column, word in _ATTRIBUTES.items()]
        words.append("SUPERUSER" if trusted and role["rolsuper"] else "NOSUPERUSER")
        verb = "ALTER" if name in existing else "CREATE"
        yield f"role {identifier(name)}", f"{verb} ROLE {identifier(name)} {' '.join(words)}"
    yield f"login of {identifier(around.login)}", login(server, around.login, exists=True)
    for each in around.memberships:
        group, member = identifier(each["group"]), identifier(each["member"])
        options = {"ADMIN": each["admin"], "INHERIT": each["inherit"], "SET": each["set"]}
        given = [f"{name} {value}" for name, value in options.items() if value is not None]
        yield (
            f"membership of {member} in {group}",
            f"GRANT {group} TO {member} WITH {', '.join(given)}",
        )


def alone(around: Surroundings) -> Iterator[Statement]:
    """Write the database itself: as it is there, and else as it can be here."""
    row, name = around.database, identifier(around.name)
    base = f"CREATE DATABASE {name} TEMPLATE template0 OWNER {identifier(row['owner'])}"
    base = f"{base} ENCODING {literal(row['charset'])}"
    provider = {"i": "icu", "b": "builtin"}.get(row.get("datlocprovider", "c"), "libc")
    locale = row.get("datlocale") or row.get("daticulocale") or ""
    words = [
        f"LOCALE_PROVIDER {provider}",
        f"LC_COLLATE {literal(row['datcollate'])} LC_CTYPE {literal(row['datctype'])}",
    ]
    if provider != "libc":
        words.append(f"{provider.upper()}_LOCALE {literal(locale)}")
    if row.get("daticurules"):
        words.append(f"ICU_RULES {literal(row['daticurules'])}")
    named = row["datcollate"] if provider == "libc" else locale
    yield f"locale {named}", f"{base} {' '.join(words)}"
    if row["charset"] == "UTF8":
        words = ["LOCALE_PROVIDER builtin", "BUILTIN_LOCALE 'C.UTF-8'", "LOCALE 'C'"]
        yield "locale C.UTF-8", f"{base} {' '.join(words)}"
    yield "locale C", f"{base} LOCALE_PROVIDER libc LOCALE 'C'"


def settings(around: Surroundings) -> Iterator[Statement]:
    """Write what sessions of the login role begin with."""
    for each in around.settings:
        role = identifier(each["role"]) if each["role"] is not None else ""
        whom = f"ROLE {role or 'ALL'}"
        if each["inside"]:
            place = f"DATABASE {identifier(around.name)}"
            whom = f"{whom} IN {place}" if role else place
        for setting in each["config"]:
            name, _, value = setting.partition("=")
            path = ".".join(identifier(part) for part in name.split("."))
            yield f"setting {name} of {whom}", f"ALTER {whom} SET {path} TO {_value(name, value)}"


def _value(name: str, value: str) -> str:
    if name not in _LISTS:
        return literal(value)
    found = [(quoted, bare) for quoted, bare in _ELEMENT.findall(value)]
    names = [bare or quoted.replace('""', '"') for quoted, bare in found]
    return ", ".join(map(literal, names)) or literal("")


def inside(around: Surroundings, lacking: Iterable[str]) -> Iterator[Statement]:
    """Write what is made in the database before its schema.

    Args:
        around: The live server's.
        lacking: Extensions that can't be made here, so that their schemas don't come with them.
    """
    if "public" not in {each["name"] for each in around.schemas}:
        yield "absence of schema public", "DROP SCHEMA public"
    database = around.database
    yield from _rights(f"DATABASE {identifier(around.name)}", database["owner"], database["rights"])
    for each in around.schemas:
        name, owner = identifier(each["name"]), identifier(each["owner"])
        if each["extension"] and each["extension"] not in lacking:
            continue
        if each["name"] == "public":
            yield "owner of schema public", f"ALTER SCHEMA public OWNER TO {owner}"
        else:
            yield f"schema {name}", f"CREATE SCHEMA {name} AUTHORIZATION {owner}"
        yield from _rights(f"SCHEMA {name}", each["owner"], each["rights"])


def defaults(around: Surroundings) -> Iterator[Statement]:
    """Write the privileges that new objects get."""
    for each in around.defaults:
        role, place = identifier(each["role"]), ""
        if each["schema"] is not None:
            place = f" IN SCHEMA {identifier(each['schema'])}"
        what = f"default privileges of {role}{place.lower()}"
        begin = f"ALTER DEFAULT PRIVILEGES FOR ROLE {role}{place}"
        if not place:
            yield what, f"{begin} REVOKE ALL ON {each['objects']} FROM PUBLIC, {role}"
        for right in each["rights"] or ():
            whom = identifier(right["grantee"]) if right["grantee"] else "PUBLIC"
            option = " WITH GRANT OPTION" if right["grantable"] else ""
            grant = f"GRANT {right['privilege']} ON {each['objects']} TO {whom}{option}"
            yield what, f"{begin} {grant}"


def _rights(on: str, owner: str, rights: Iterable[Mapping[str, Any]] | None) -> Iterator[Statement]:
    """Write grants on a schema or a database, and that there are no others."""
    kind, _, name = on.partition(" ")
    what = f"privileges on {kind.lower()} {name}"
    yield what, f"REVOKE ALL ON {on} FROM PUBLIC, {identifier(owner)}"
    for right in rights or ():
        whom = identifier(right["grantee"]) if right["grantee"] else "PUBLIC"
        option = " WITH GRANT OPTION" if right["grantable"] else ""
        yield what, f"GRANT {right['privilege']} ON {on} TO {whom}{option}"
