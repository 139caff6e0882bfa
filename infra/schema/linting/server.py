"""What only the server can tell: its types, extensions, roles, and default privileges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.schema import live

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.schema.linting.trees import Name
    from infra.schema.model import History

__all__ = ["Check", "Default", "Server", "ask"]

# All of it from catalogs that everybody may read.
_TYPES = """
SELECT n.nspname, t.typname, n.nspname = ANY(current_schemas(true)) AS seen
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typname::text = ANY($1::text[])
"""
_EXTENSIONS = """
SELECT x.name::text, coalesce(v.versions, '{}') AS versions
FROM pg_catalog.pg_available_extensions x
LEFT JOIN (SELECT name, array_agg(version) AS versions
           FROM pg_catalog.pg_available_extension_versions GROUP BY name) v ON v.name = x.name
WHERE x.name::text = ANY($1::text[])
"""
_ROLES = "SELECT rolname, rolsuper FROM pg_catalog.pg_roles"
_MEMBERS = """
SELECT pg_catalog.pg_get_userbyid(member) AS member, pg_catalog.pg_get_userbyid(roleid) AS role
FROM pg_catalog.pg_auth_members
"""
_DEFAULTS = """
SELECT pg_catalog.pg_get_userbyid(d.defaclrole) AS owner, coalesce(n.nspname, '') AS schema,
       CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee
FROM pg_catalog.pg_default_acl d
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
WHERE d.defaclobjtype = 'r'
"""

_CHECKS = """
SELECT n.nspname, c.relname, k.conname, k.convalidated,
       pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS expression
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'c' AND pg_catalog.pg_get_expr(k.conbin, k.conrelid) LIKE '%IS NOT NULL%'
"""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check that says of columns that they are not NULL.

    Attributes:
        table: Its table.
        name: Its own name.
        expression: What it says, in SQL.
        valid: Whether all rows are known to be as it says.
    """

    table: Name
    name: str
    expression: str
    valid: bool


@dataclass(frozen=True, kw_only=True)
class Default:
    """A right that tables get when they are made.

    Attributes:
        owner: Whose tables.
        schema: Where; empty for everywhere.
        grantee: Who may do something with them; empty for everybody.
    """

    owner: str
    schema: str
    grantee: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """What a server told.

    Attributes:
        types: The types of the names that were asked for, with their schemas.
        seen: Those that the search_path finds without a schema.
        extensions: The versions of each extension that was asked for and is offered.
        roles: Whether each role is a superuser.
        members: The roles that each role is a member of.
        defaults: The default privileges on tables.
        checks: The checks that say of columns that they are not NULL.
    """

    types: frozenset[Name] = frozenset()
    seen: frozenset[str] = frozenset()
    extensions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    roles: Mapping[str, bool] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    defaults: tuple[Default, ...] = ()
    checks: tuple[Check, ...] = ()


def ask(history: History, url: str, *, types: Iterable[str], extensions: Iterable[str]) -> Server:
    """Ask a server, on one connection, read-only.

    Args:
        history: Whose env.py says what a session has set.
        url: libpq URL.
        types: Names of types.
        extensions: Names of extensions.

    Raises:
        LiveError: It does not answer.
    """
    wanted = [_sendable(types), _sendable(extensions)]

    async def question(connection: Any) -> Server:
        found = await connection.fetch(_TYPES, wanted[0])
        offered = await connection.fetch(_EXTENSIONS, wanted[1])
        members: dict[str, set[str]] = {}
        for row in await connection.fetch(_MEMBERS):
            members.setdefault(row["member"], set()).add(row["role"])
        return Server(
            types=frozenset((row["nspname"], row["typname"]) for row in found),
            seen=frozenset(row["typname"] for row in found if row["seen"]),
            extensions={row["name"]: frozenset(row["versions"]) for row in offered},
            roles={row["rolname"]: row["rolsuper"] for row in await connection.fetch(_ROLES)},
            members={member: frozenset(roles) for member, roles in members.items()},
            defaults=tuple(
                Default(owner=row["owner"], schema=row["schema"], grantee=row["grantee"])
                for row in await connection.fetch(_DEFAULTS)
            ),
            checks=tuple(
                Check(
                    table=(row["nspname"], row["relname"]),
                    name=row["conname"],
                    expression=row["expression"],
                    valid=row["convalidated"],
                )
                for row in await connection.fetch(_CHECKS)
            ),
        )

    answer: Server = live.ask(history, url, question)
    return answer


def _sendable(names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if "\0" not in name and name.isprintable()})
