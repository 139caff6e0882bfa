"""Says in words what a stack adds to the objects of a server that it adopts: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.servers.remote.adoption import handing_over, lends, out_of_reach
from infra.settings.key import LOGINS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from infra.servers.remote.facts import Database, Facts, Owner, Role, Wanted

__all__ = ["changes", "held_by_others", "owners"]

_MEMBER_OF = {
    "migrator": ("owner",),
    "app": ("readwrite",),
    "reader": ("readonly",),
    "auditor": ("readonly",),
}
_READ_ALL = "pg_read_all_data"


def owners(facts: Facts, wanted: Wanted) -> tuple[str, ...]:
    """Name the roles that the stack's owner becomes a member of, to change what they own."""
    if facts.database is None:
        return ()
    ours = set(wanted.roles.values())
    return tuple(
        each.name
        for each in facts.database.owners
        if each.name not in {wanted.roles["owner"], wanted.roles["migrator"]}
        and lends(each, facts)
        and (each.reached or each.administered or each.name in ours)
    )


def held_by_others(facts: Facts, wanted: Wanted) -> bool:
    """Tell whether database or schema are of a role of whom the stack's owner is no member."""
    found = facts.database
    if found is None:
        return False
    place = found.place(wanted.schema)
    holders = {found.owner, place.owner if place else ""}
    return any(each.name in holders and not lends(each, facts) for each in found.owners)


def changes(facts: Facts, wanted: Wanted, adopted: Collection[str]) -> list[str]:
    """Say what the next `up` changes of what is adopted: what stays, then a line for each change.

    Args:
        facts: What is there.
        wanted: What the stack asks for.
        adopted: What is adopted: "role NAME", "database NAME", "schema NAME".
    """
    lines: list[str] = []
    for role in facts.roles:
        if f"role {role.name}" in adopted:
            kind = next(kind for kind, name in wanted.roles.items() if name == role.name)
            password = "" if kind in wanted.passwords else " password,"
            stays = f"attributes,{password} memberships and privileges stay"
            lines += _section(
                f"role {role.name!r} as {kind}", stays, _to_role(role, kind, facts, wanted)
            )
    found = facts.database
    if found is None or f"database {wanted.database}" not in adopted:
        return lines
    what, stays = f"database {wanted.database!r}", f"its owner {found.owner!r}, privileges and rows"
    lines += _section(what, f"{stays} stay", _to_database(found, facts, wanted))
    if place := found.place(wanted.schema):
        what, stays = f"schema {place.name!r} in it", f"its owner {place.owner!r}, tables and"
        lines += _section(what, f"{stays} privileges stay", _to_schema(found, facts, wanted))
    return lines


def _section(what: str, stays: str, changed: Iterator[str]) -> list[str]:
    return [f"adopts the {what}: {stays}", *(f"  {line}" for line in changed)]


def _to_role(role: Role, kind: str, facts: Facts, wanted: Wanted) -> Iterator[str]:
    name, owner = repr(role.name), wanted.roles["owner"]
    groups = [wanted.roles[group] for group in _MEMBER_OF.get(kind, ()) if group in wanted.roles]
    groups += [_READ_ALL] if kind == "auditor" else []
    for group in groups:
        if group not in role.groups:
            yield f"{name} becomes a member of {group!r}"
    if kind in LOGINS and not role.login:
        yield f"{name} gets LOGIN"
    if kind in wanted.passwords:
        yield f"{name} gets the password that the stack has for it"
    if kind == "migrator":
        yield f"{name} acts as {owner!r} in the database {wanted.database!r}"
    if kind == "owner":
        for each in owners(facts, wanted):
            if each not in role.groups:
                yield f"{name} becomes a member of {each!r}"
        yield f"functions that {name} makes from now on are closed to PUBLIC"
    if role.attributes:
        yield f"{name} keeps {', '.join(role.attributes)}"


def _to_database(found: Database, facts: Facts, wanted: Wanted) -> Iterator[str]:
    roles = wanted.roles
    for kind in ("migrator", "readwrite", "readonly"):
        yield f"{roles[kind]!r} gets CONNECT"
    if held_by_others(facts, wanted):
        yield f"{roles['owner']!r} gets CREATE and CONNECT"
    lent = owners(facts, wanted)
    for each in found.owners:
        if each.name in lent and not each.reached:
            what = f"its {_count(each)} there" if each.relations or each.others else "what it owns"
            yield (
                f"{roles['owner']!r} becomes a member of {each.name!r}, so that migrations may"
                f" change {what}"
            )
    for name in found.public:
        yield f"every role of the server keeps {name}, by PUBLIC"
    for extension in wanted.extensions:
        there = found.extension(extension.name)
        if there is None:
            place = extension.schema or wanted.extension_schema
            yield f"the extension {extension.name!r} is installed in schema {place!r}"
        else:
            yield f"the extension {extension.name!r} {there.version} stays in {there.schema!r}"


def _to_schema(found: Database, facts: Facts, wanted: Wanted) -> Iterator[str]:
    roles, place = wanted.roles, found.place(wanted.schema)
    owner, beyond = roles["owner"], out_of_reach(facts, wanted)
    if held_by_others(facts, wanted):
        yield f"{owner!r} gets CREATE and USAGE"
    for kind, may in (("readwrite", "SELECT, INSERT, UPDATE, DELETE"), ("readonly", "SELECT")):
        yield f"{roles[kind]!r} gets USAGE, and {may} on the tables that are in reach"
        yield f"{roles[kind]!r} gets the same on tables that {owner!r} makes from now on"
    for each in found.owners:
        if each in beyond and (each.relations or each.others):
            yield (
                f"{_count(each)} of {each.name!r} stay out of reach of migrations, unless you have"
                f" this run: {handing_over(each, wanted)}"
            )
    for name in place.public if place else ():
        yield f"every role of the server keeps {name}, by PUBLIC"


def _count(each: Owner) -> str:
    tables, others = len(each.relations), len(each.others)
    kinds = []
    if tables:
        kinds.append(f"{tables} table{'s' * (tables > 1)}, views and sequences included")
    if others:
        kinds.append(f"{others} type{'s' * (others > 1)} or function{'s' * (others > 1)}")
    return " and ".join(kinds)
