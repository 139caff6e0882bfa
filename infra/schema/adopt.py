"""Compares a database that has tables and no version with what a revision would have made."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema import apply, catalog, live, plan, refusals
from infra.schema.model import Catalog, Live, Policy
from infra.schema.rehearsing import making, surroundings
from infra.schema.statements.sql import identifier, literal
from infra.servers.throwaway import throwaway

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from infra.schema.model import History
    from infra.servers.throwaway import Throwaway

__all__ = ["refuse_unlike"]

_DATABASE = "adopted"
# Whose an object is: the tables of an adopted database stay with the role that made them.
_OWNED = re.compile(r", owner (\"(?:[^\"]|\"\")+\"|[^\s\",]+)\Z")
# What an administrator arranges around the tables; a revision neither makes nor needs it.
_ARRANGED = re.compile(
    r"(comment on )?(schema|extension|event trigger|publication) |grant |default privileges "
)


def refuse_unlike(
    history: History,
    there: Live,
    revision: str,
    *,
    folder: Path,
    variable: str,
    binaries: str = "",
) -> None:
    """Make a revision on a throwaway server and compare; nothing is written to the database.

    Args:
        history: The files.
        there: The database, its catalog included.
        revision: What it is taken to have.
        folder: Where the files are, for revisions that run live.
        variable: The environment variable that env.py reads its URL from.
        binaries: Folder with the programs of PostgreSQL 17; empty uses the machine's or fetches.

    Raises:
        AdoptionError: The catalogs differ; the message lists how.
        MigrationError: A revision failed on the throwaway server.
    """
    with throwaway(binaries=binaries) as server:
        url = asyncio.run(_prepare(server, there))
        made = plan.make(history, Live(), Policy(target=revision))
        apply.run(made, history, apply.Terms(url=url, folder=folder, variable=variable))
        expected = live.read_for(history, url)
    different = catalog.compare(_compared(expected), _compared(there))
    if different:
        raise refusals.not_alike(revision, different)


def _compared(of: Live) -> Catalog:
    """Leave out what belongs to the surroundings."""
    known = of.catalog or Catalog(format=catalog.FORMAT, objects={})
    objects = {
        name: _OWNED.sub("", definition)
        for name, definition in known.objects.items()
        if not _ARRANGED.match(name)
    }
    return replace(known, objects=objects)


async def _prepare(server: Throwaway, there: Live) -> str:
    """Make a database with the same schemas, extensions and role."""
    role, database = identifier(there.role), identifier(_DATABASE)
    login = surroundings.login(server, there.role, exists=there.role == server.user)
    made = f"CREATE DATABASE {database} OWNER {role} TEMPLATE template0"
    await making.run(server, "postgres", [login, made])
    await making.run(server, _DATABASE, _surroundings(there, role, database))
    return server.url(user=there.role, database=_DATABASE)


def _surroundings(there: Live, role: str, database: str) -> Iterable[str]:
    yield f"ALTER DATABASE {database} SET search_path = {there.search_path or literal('')}"
    for schema in sorted({there.schema, *there.extensions.values()} - {"pg_catalog"}):
        yield f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)} AUTHORIZATION {role}"
    for name, schema in there.extensions.items():
        # Where this machine lacks it, a revision that needs it says so in its own words.
        yield surroundings.extension(name, schema)
