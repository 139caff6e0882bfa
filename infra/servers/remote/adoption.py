"""Decides what of an existing server may become a stack's: pure, from facts to refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.roles import role_names
from infra.servers.remote import extensions
from infra.servers.remote.facts import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.servers.remote.facts import Database, Facts, Owner, Role

__all__ = ["Known", "handing_over", "lends", "out_of_reach", "refusals", "renamed"]

_ADOPT = f"{spelled('existingObjects')} adopt"
# Roles that others become members of.
_BEHIND = ("owner", "readwrite", "readonly")
_LINES = 5
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
        *extensions.refusals(facts, wanted),
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
        other = f"choose another name with {spelled(f'{kind}Role')}"
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
            for why in _unfit(role, kind, facts, wanted):
                yield f"{what} can't be taken over: {why}, or {other}."


def _unfit(role: Role, kind: str, facts: Facts, wanted: Wanted) -> Iterator[str]:
    """Say why a role can't serve as it is; each with what would help."""
    name = _quoted(role.name)
    if "SUPERUSER" in role.attributes:
        yield (
            "it has 'SUPERUSER', so that no privilege binds it"
            f" (have ALTER ROLE {name} NOSUPERUSER run)"
        )
    if kind == "owner" and role.login:
        yield _no_login(role, wanted)
    if not role.administered and (why := _administering(role, kind, wanted)):
        yield (
            f"the admin {facts.user!r} may not administer it, which {why} takes"
            f" (have GRANT {name} TO {_quoted(facts.user)} WITH ADMIN OPTION run)"
        )
    if kind == "migrator" and kind not in wanted.passwords:
        yield (
            "the stack has to know the password that it logs in with, and leaves it as it is: set"
            f" {spelled('migratorPassword')} to it or to a new one, which it gets (or"
            f" {spelled('passwordVersion')} above 1, for new passwords of all roles)"
        )
    if kind in _BEHIND:
        yield from _lending(role, kind, facts, wanted)
    owned = facts.database.owners if facts.database else ()
    if kind == "migrator" and role.name in {each.name for each in owned}:
        yield (
            "it owns the database or something in it, and the migrator acts as the owner, who is"
            f" to be a member of it: leave it as it is with {spelled('appRole')} {role.name}"
        )


def _no_login(role: Role, wanted: Wanted) -> str:
    other = role_names(wanted.database).owner
    return (
        "it may log in, and whoever had its password would own all that migrations make. Where it"
        f" is the application's login: set {spelled('appRole')} {role.name}, and take"
        f" {spelled('ownerRole')} out (or name a role without login): the owner, {other!r} then, is"
        f" made and becomes a member of {role.name!r}, so that migrations may change what"
        f" {role.name!r} owns, and nothing of it is taken away. To have one owner of everything,"
        f" run CREATE ROLE {_quoted(other)} NOLOGIN, in the database"
        f" REASSIGN OWNED BY {_quoted(role.name)} TO {_quoted(other)}, and set"
        f" {spelled('ownerRole')} {other}"
    )


def _administering(role: Role, kind: str, wanted: Wanted) -> str:
    """Say for what the admin has to administer a role; "" where it need not."""
    if kind in _BEHIND:
        return "lending it to the stack's logins"
    if kind in wanted.passwords:
        return "a new password"
    if kind == "migrator":
        return "having it act as the owner"
    return "" if role.login else "LOGIN"


def _lending(role: Role, kind: str, facts: Facts, wanted: Wanted) -> Iterator[str]:
    """Say what the stack's logins would get with a role that they become members of."""
    name = _quoted(role.name)
    inside = {wanted.database} if kind == "owner" else set()
    if owns := [database for database in role.owns if database not in inside]:
        yield (
            f"it owns {'objects in' if kind == 'owner' else ''} {_listed(owns)}".replace("  ", " ")
            + " (have REASSIGN OWNED run there)"
        )
    owned = facts.database.owners if facts.database else ()
    fine = {each.name for each in owned} if kind == "owner" else set()
    if beyond := [group for group in role.groups if group not in fine]:
        yield (
            f"it is a member of {_listed(beyond)}, whose rights it would bring along"
            f" (have REVOKE {_quoted(beyond[0])} FROM {name} run)"
        )
    # Whoever could become the owner of the database before gains nothing by it.
    ours = {*wanted.roles.values(), facts.user}
    strangers = [each for each in role.members if each not in ours]
    if kind == "owner" and strangers and not (facts.database and facts.database.owner == role.name):
        yield (
            f"{_listed(strangers)} would gain its rights as a member"
            f" (have REVOKE {name} FROM {_quoted(strangers[0])} run)"
        )


def _database(facts: Facts, wanted: Wanted, known: Known, *, adopt: bool) -> Iterator[str]:
    found = facts.database
    if found is None or wanted.database == known.database:
        return
    what = f"The database {wanted.database!r}"
    other = f"choose another name with {spelled('database')}"
    if not adopt:
        yield (
            f"{what} exists, owned by {found.owner!r}, and this stack didn't make it:"
            f" {other}, or take it over with {_ADOPT}."
        )
        return
    for why in _unsuitable(found, facts, wanted):
        yield f"{what} can't be taken over: {why}, or {other}."


def _unsuitable(found: Database, facts: Facts, wanted: Wanted) -> Iterator[str]:
    if found.encoding != "UTF8":
        yield f"its encoding is {found.encoding}, and UTF8 is needed (move its data to a new one)"
    if found.refused:
        yield f"the admin can't look into it ({found.refused.rstrip('.')})"
    place = found.place(wanted.schema)
    holders = {found.owner, place.owner if place else ""}
    beyond = out_of_reach(facts, wanted)
    related = [each for each in found.owners if each.relations]
    none = bool(related) and all(each in beyond for each in related)
    for each in beyond:
        if each.name in holders or (none and each.relations):
            yield from _closed(each, found, facts, wanted, relations=none)


def out_of_reach(facts: Facts, wanted: Wanted) -> list[Owner]:
    """List whose objects migrations could not change."""
    if facts.database is None:
        return []
    owner = wanted.roles["owner"]
    members = {name for role in facts.roles if role.name == owner for name in role.members}
    return [
        each
        for each in facts.database.owners
        if not (each.reached or each.name == owner)
        and not (lends(each, facts) and each.administered and each.name not in members)
    ]


def _closed(
    each: Owner, found: Database, facts: Facts, wanted: Wanted, *, relations: bool
) -> Iterator[str]:
    """Say why migrations could not change what a role owns, and what would help."""
    owner, admin = wanted.roles["owner"], _quoted(facts.user)
    if lends(each, facts):
        if each.administered:
            yield (
                f"{_owns(each, wanted)} and is a member of {owner!r}, so that {owner!r} can't"
                f" become one of it (have REASSIGN OWNED BY {_quoted(each.name)} TO"
                f" {_quoted(owner)} run there)"
            )
        else:
            yield (
                f"{_owns(each, wanted)}, and the admin {facts.user!r} can't make {owner!r} a member"
                f" of it (have GRANT {_quoted(each.name)} TO {admin} WITH ADMIN OPTION run)"
            )
        return
    if relations and each.relations:
        made = owner in {role.name for role in facts.roles}
        create = "" if made else f"CREATE ROLE {_quoted(owner)} NOLOGIN; "
        kind = "a superuser" if each.superuser else "the admin"
        yield (
            f"{_owns(each, wanted)}, and no role becomes a member of {kind}, so that migrations"
            f" could change none (have this run there: {create}{handing_over(each, wanted)})"
        )
    if facts.superuser or each.name == facts.user:
        return
    database, schema = _quoted(wanted.database), _quoted(wanted.schema)
    what = f"ALTER SCHEMA {schema}" if each.name != found.owner else f"ALTER DATABASE {database}"
    yield (
        f"it or its schema {wanted.schema!r} is owned by the superuser {each.name!r}, and"
        f" {facts.user!r} is none (have {what} OWNER TO {admin} run there)"
    )


def handing_over(each: Owner, wanted: Wanted) -> str:
    """Write the statements that give what a role has in the schema to the stack's owner."""
    schema, owner = _quoted(wanted.schema), _quoted(wanted.roles["owner"])
    tables = [f"TABLE {schema}.{_quoted(name)}" for name in each.relations]
    statements = []
    for objects in (tables, list(each.others)):
        statements += [f"ALTER {name} OWNER TO {owner}" for name in objects[:_LINES]]
        if (more := len(objects) - _LINES) > 0:
            statements.append(f"and so for {more} more")
    return "; ".join(statements)


def lends(each: Owner, facts: Facts) -> bool:
    """Tell whether the stack's owner may become a member of a role that owns something."""
    return not each.superuser and each.name != facts.user


def _owns(each: Owner, wanted: Wanted) -> str:
    if not each.relations:
        return f"{each.name!r} owns it, its schema or functions in that"
    count = len(each.relations)
    what = "relation" if count == 1 else "relations"
    return f"{each.name!r} owns {count} {what} in its schema {wanted.schema!r}"


def _rights(facts: Facts, wanted: Wanted, known: Known) -> Iterator[str]:
    admin = _quoted(facts.user)
    there = {role.name for role in facts.roles}
    new = [name for name in wanted.roles.values() if name not in {*known.roles, *there}]
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
            f" {spelled('auditor')} false."
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
