"""Decides what of an existing server may become a stack's: pure, from facts to refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.servers.remote.facts import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.servers.remote.facts import Database, Facts, Role

__all__ = ["Known", "refusals", "renamed"]

_APP_SCHEMA = "app"
_ADOPT = "groundwork:existingObjects adopt"
# What each kind of role is a member of by our own doing, and who else of ours is in it.
_GROUPS = {
    "migrator": ("owner",),
    "app": ("readwrite",),
    "reader": ("readonly",),
    "auditor": ("readonly",),
}
_READ_ALL = "pg_read_all_data"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the stack has made or taken over before, on this very cluster.

    Attributes:
        roles: The kinds of roles by name.
        database: Of the database; "" for none.
    """

    roles: Mapping[str, str] = field(default_factory=dict)
    database: str = ""


def refusals(facts: Facts, wanted: Wanted, known: Known, *, adopt: bool) -> list[str]:
    """Say what stands against using the server as it is, a sentence or two for each matter.

    Args:
        facts: What is there.
        wanted: What the stack asks for.
        known: What is its own already, and passes.
        adopt: Whether it may take over what is there.
    """
    return [
        *_roles(facts, wanted, known, adopt=adopt),
        *_database(facts, wanted, known, adopt=adopt),
        *_rights(facts, wanted, known),
        *_extension(facts, wanted),
    ]


def renamed(before: Wanted, wanted: Wanted) -> Wanted:
    """Give what of an earlier run would get another name; an empty database is none."""
    roles = {
        kind: name for kind, name in before.roles.items() if wanted.roles.get(kind, name) != name
    }
    return Wanted(
        roles=roles, database=before.database if before.database != wanted.database else ""
    )


def _roles(facts: Facts, wanted: Wanted, known: Known, *, adopt: bool) -> Iterator[str]:
    kinds = {name: kind for kind, name in wanted.roles.items()}
    for role in facts.roles:
        kind = kinds[role.name]
        what = f"The role {role.name!r}"
        other = f"choose another name with groundwork:{kind}Role"
        if role.name == facts.user:
            yield f"{what} is the admin itself, which the stack can't also use as {kind}: {other}."
        elif role.name in known.roles:
            if (before := known.roles[role.name]) != kind:
                yield (f"{what} is the stack's {before}, and can't become its {kind} too: {other}.")
        elif not adopt:
            admins = f", administered by {_listed(role.admins)}" if role.admins else ""
            yield (
                f"{what} exists{admins}, and this stack didn't make it:"
                f" {other}, or take it over with {_ADOPT}."
            )
        else:
            ours = frozenset(wanted.roles.values())
            for why in _unfit(role, kind, facts, wanted, ours):
                yield f"{what} can't be taken over: {why}, or {other}."


def _unfit(
    role: Role, kind: str, facts: Facts, wanted: Wanted, ours: frozenset[str]
) -> Iterator[str]:
    """Say why a role serves something else; each with what would help."""
    name = _quoted(role.name)
    if not role.administered:
        yield (
            f"the admin {facts.user!r} may not administer it"
            f" (have GRANT {name} TO {_quoted(facts.user)} WITH ADMIN OPTION run)"
        )
    if role.attributes:
        noes = " ".join(f"NO{attribute}" for attribute in role.attributes)
        yield (
            f"it has {_listed(role.attributes)}, so that it serves something else"
            f" (have ALTER ROLE {name} {noes} run)"
        )
    inside = {wanted.database} if kind == "owner" else set()
    if owns := [database for database in role.owns if database not in inside]:
        yield (
            f"it owns {'objects in' if kind == 'owner' else ''} {_listed(owns)}".replace("  ", " ")
            + " (have REASSIGN OWNED run there)"
        )
    groups = {wanted.roles[group] for group in _GROUPS.get(kind, ()) if group in wanted.roles}
    groups |= {_READ_ALL} if kind == "auditor" else set()
    if beyond := [group for group in role.groups if group not in groups]:
        yield (
            f"it is a member of {_listed(beyond)}, whose rights it would bring along"
            f" (have REVOKE {_quoted(beyond[0])} FROM {name} run)"
        )
    # Whoever could become the owner of the database before gains nothing by it.
    gains = not (kind == "owner" and facts.database and facts.database.owner == role.name)
    strangers = [each for each in role.members if each not in ours and each != facts.user]
    if gains and strangers:
        yield (
            f"{_listed(strangers)} would gain its rights as a member"
            f" (have REVOKE {name} FROM {_quoted(strangers[0])} run)"
        )


def _database(facts: Facts, wanted: Wanted, known: Known, *, adopt: bool) -> Iterator[str]:
    found = facts.database
    if found is None or wanted.database == known.database:
        return
    what = f"The database {wanted.database!r}"
    other = "choose another name with groundwork:database"
    if not adopt:
        yield (
            f"{what} exists, owned by {found.owner!r}, and this stack didn't make it:"
            f" {other}, or take it over with {_ADOPT}."
        )
        return
    for why in _unsuitable(found, wanted):
        yield f"{what} can't be taken over: {why}, or {other}."


def _unsuitable(found: Database, wanted: Wanted) -> Iterator[str]:
    owner = wanted.roles["owner"]
    if found.owner != owner:
        yield (
            f"it is owned by {found.owner!r} and not by {owner!r}"
            f" (have ALTER DATABASE {_quoted(wanted.database)} OWNER TO {_quoted(owner)} run)"
        )
    if found.encoding != "UTF8":
        yield f"its encoding is {found.encoding}, and UTF8 is needed (move its data to a new one)"
    if found.refused:
        yield f"the admin can't look into it ({found.refused.rstrip('.')})"
    if found.app_owner not in ("", owner):
        yield (
            f"its schema {_APP_SCHEMA!r} is owned by {found.app_owner!r} and not by {owner!r}"
            f" (have ALTER SCHEMA {_APP_SCHEMA} OWNER TO {_quoted(owner)} run there)"
        )


def _rights(facts: Facts, wanted: Wanted, known: Known) -> Iterator[str]:
    admin = _quoted(facts.user)
    new = [name for name in wanted.roles.values() if name not in known.roles]
    if new and not facts.creates_roles:
        yield (
            f"The admin {facts.user!r} has no CREATEROLE, which the roles {_listed(new)} take:"
            f" have ALTER ROLE {admin} CREATEROLE run, or use another admin."
        )
    if facts.database is None and not facts.creates_databases:
        yield (
            f"The admin {facts.user!r} has no CREATEDB, which the database {wanted.database!r}"
            f" takes: have ALTER ROLE {admin} CREATEDB run, or have the database made and take it"
            f" over with {_ADOPT}."
        )
    auditor = wanted.roles.get("auditor", "")
    if auditor and auditor not in known.roles and not facts.reads_all:
        yield (
            f"The admin {facts.user!r} can't make the auditor {auditor!r} a member of {_READ_ALL}:"
            f" have GRANT {_READ_ALL} TO {admin} WITH ADMIN OPTION run, or go without with"
            " groundwork:auditor false."
        )


def _extension(facts: Facts, wanted: Wanted) -> Iterator[str]:
    found = facts.database
    if found is not None and (found.extension_schema or found.refused):
        yield from _barrier(found, facts, wanted)
        return
    if facts.extension == "missing":
        yield (
            "The server has no extension 'vector' to install: add pgvector to its machine"
            " (package postgresql-VERSION-pgvector of most systems), or to what the service allows."
        )
    elif facts.extension == "refused":
        yield (
            f"The extension 'vector' takes a superuser on this server, and {facts.user!r} is none:"
            f" have CREATE EXTENSION vector run in the database {wanted.database!r}"
            f"{'' if found else f', made beforehand and taken over with {_ADOPT}'}, or have"
            " trusted = true set in its vector.control."
        )


def _barrier(found: Database, facts: Facts, wanted: Wanted) -> Iterator[str]:
    # Of what belongs to the database's owner, the admin becomes a member.
    if found.extension_barrier in ("", "pg_database_owner", wanted.roles["owner"]):
        return
    schema = _quoted(found.extension_schema)
    yield (
        f"The extension 'vector' is in the schema {found.extension_schema!r} of"
        f" {found.extension_barrier!r}, which {facts.user!r} can't let the stack's roles use: have"
        f" GRANT USAGE ON SCHEMA {schema} TO {_quoted(facts.user)} WITH GRANT OPTION run in the"
        f" database {wanted.database!r}."
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
