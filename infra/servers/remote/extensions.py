"""Decides whether the extensions of a stack can be had on an existing server: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.project import spelled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from infra.extensions import Extension
    from infra.servers.remote.facts import Available, Facts, Installed, Wanted

__all__ = ["refusals"]

_ADOPT = f"{spelled('existingObjects')} adopt"
_EXTENSIONS = spelled("extensions")


def refusals(facts: Facts, wanted: Wanted) -> Iterator[str]:
    """Say what stands against the extensions that a stack asks for."""
    found = facts.database
    if found is not None and found.refused:
        return
    available = {each.name: each for each in facts.available}
    there = {each.name for each in found.installed} if found else set()
    for each in wanted.extensions:
        installed = found.extension(each.name) if found else None
        if installed is not None:
            yield from _elsewhere(each, installed)
            yield from _barrier(installed, facts, wanted)
        elif each.name not in available:
            yield _missing(each.name)
        else:
            yield from _uninstallable(available[each.name], there, facts, wanted)
        there.add(each.name)


def _missing(name: str) -> str:
    package = " (package postgresql-VERSION-pgvector of most systems)" if name == "vector" else ""
    return (
        f"The server has no extension {name!r} to install: add it to its machine{package}, or to"
        f" what the service allows, or take it out of {_EXTENSIONS}."
    )


def _uninstallable(
    each: Available, there: Collection[str], facts: Facts, wanted: Wanted
) -> Iterator[str]:
    if lacking := [name for name in each.requires if name not in there]:
        yield (
            f"The extension {each.name!r} needs {_listed(lacking)}: name"
            f" {'it' if len(lacking) == 1 else 'them'} before it in {_EXTENSIONS}."
        )
    if not each.allowed:
        made = "" if facts.database else f", made beforehand and taken over with {_ADOPT}"
        yield (
            f"The extension {each.name!r} takes a superuser on this server, and {facts.user!r} is"
            f" none: have CREATE EXTENSION {_plain(each.name)} run in the database"
            f" {wanted.database!r}{made}, or have trusted = true set in its"
            f" {each.name}.control, or take it out of {_EXTENSIONS}."
        )


def _elsewhere(each: Extension, installed: Installed) -> Iterator[str]:
    if each.schema not in ("", installed.schema):
        yield (
            f"The extension {each.name!r} is in the schema {installed.schema!r}, and not in"
            f" {each.schema!r} as {_EXTENSIONS} says: name {installed.schema!r} there, or no"
            f" schema; or have ALTER EXTENSION {_plain(each.name)} SET SCHEMA"
            f" {_quoted(each.schema)} run, where nothing names its schema."
        )


def _barrier(installed: Installed, facts: Facts, wanted: Wanted) -> Iterator[str]:
    # Of what belongs to the database's owner, the admin becomes a member.
    owners = {each.name for each in facts.database.owners} if facts.database else set()
    ours = {"", "pg_database_owner", wanted.roles["owner"], *owners}
    if installed.barrier in ours:
        return
    schema = _quoted(installed.schema)
    yield (
        f"The extension {installed.name!r} is in the schema {installed.schema!r} of"
        f" {installed.barrier!r}, which {facts.user!r} can't let the stack's roles use: have"
        f" GRANT USAGE ON SCHEMA {schema} TO {_quoted(facts.user)} WITH GRANT OPTION run in the"
        f" database {wanted.database!r}."
    )


def _plain(name: str) -> str:
    """Quote a name where SQL wants it so."""
    return name if name.isidentifier() and name.islower() else _quoted(name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
