"""Chooses the configuration that adopts a database: pure, from what was found to keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.roles import role_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.inspect.database import Login, Table
    from infra.schema.model import History
    from infra.servers.remote.facts import Database

__all__ = ["configuration", "schema_of", "version_table_of"]

_DEFAULT_SCHEMA = "app"


def version_table_of(
    tables: Sequence[Table], history: History, heads: dict[str, list[str]]
) -> Table | None:
    """Give the version table of a history: the one with a revision of it.

    Args:
        tables: Of the database.
        history: The files.
        heads: What the tables of that name that could be read hold, by schema.
    """
    known = set(history.by_id)
    named = [each for each in tables if each.versions and each.name == history.version_table]
    for each in named:
        if known & set(heads.get(each.schema, ())):
            return each
    return named[0] if len(named) == 1 and not heads.get(named[0].schema) else None


def schema_of(tables: Sequence[Table], history: History, made: frozenset[str]) -> str:
    """Choose the schema of the migrations: that with most of their tables, else with most tables.

    Args:
        tables: Of the database.
        history: The files.
        made: Names of the tables that the migrations make.
    """
    scores: dict[str, tuple[int, int]] = {}
    for each in tables:
        if each.name != history.version_table:
            shared, count = scores.get(each.schema, (0, 0))
            scores[each.schema] = (shared + (each.name in made), count + 1)
    if not scores:
        return _DEFAULT_SCHEMA
    return max(scores, key=lambda schema: (scores[schema], schema == "public"))


def configuration(
    *, database: str, schema: str, found: Database, roles: Sequence[Login], admin: str
) -> dict[str, Any]:
    """Give the keys of the stack, without their namespace; the revision is still to be added.

    Args:
        database: Its name.
        schema: Of the migrations.
        found: What is in it.
        roles: All of the server, by what they have to do with the schema.
        admin: Who inspects, and is none of the stack's roles.
    """
    keys: dict[str, Any] = {
        "target": "existing",
        "existingObjects": "adopt",
        "database": database,
        "schema": schema,
        "extensions": [{"name": each.name, "schema": each.schema} for each in found.installed],
    }
    usable = [each for each in roles if not each.superuser and each.name != admin]
    app = _most([each for each in usable if each.login])
    owner = _most([each for each in usable if not each.login], owning=True)
    usual = role_names(database)
    if app and app.name != usual.app:
        keys["appRole"] = app.name
    if owner and owner.name != usual.owner:
        keys["ownerRole"] = owner.name
    return keys


def _most(roles: Sequence[Login], *, owning: bool = False) -> Login | None:
    """Give the role that owns most, or else writes most, of what is there."""
    chosen = max(roles, key=lambda each: (each.owns, each.owns_database, each.writes), default=None)
    if chosen is None or not (chosen.owns or chosen.owns_database or chosen.writes):
        return None
    return None if owning and not (chosen.owns or chosen.owns_database) else chosen
