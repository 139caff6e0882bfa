"""Compares a database that has tables and no version with what a revision would have made."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.schema import apply, catalog, live, plan, refusals
from infra.schema.model import Catalog, Live, Policy
from infra.schema.rehearsing import making, surroundings
from infra.schema.statements.sql import identifier, literal
from infra.servers.throwaway import throwaway

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from infra.schema.invocation import Invocation
    from infra.schema.model import Drift, History
    from infra.servers.throwaway import Throwaway

__all__ = ["Likeness", "closest", "refuse_unlike"]

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
    invocation: Invocation,
    binaries: str = "",
) -> None:
    """Make a revision on a throwaway server and compare; nothing is written to the database.

    Args:
        history: The files.
        there: The database, its catalog included.
        revision: What it is taken to have.
        folder: Where the files are, for revisions that run live.
        invocation: How Alembic is called there.
        binaries: Folder with the programs of PostgreSQL 17; empty uses the machine's or fetches.

    Raises:
        AdoptionError: The catalogs differ; the message lists how.
        MigrationError: A revision failed on the throwaway server.
    """
    with throwaway(binaries=binaries) as server:
        url = asyncio.run(_prepare(server, there))
        made = plan.make(history, Live(), Policy(target=revision))
        apply.run(made, history, apply.Terms(url=url, folder=folder, invocation=invocation))
        expected = live.read_for(history, url)
    different = catalog.compare(_compared(expected), _compared(there))
    if different:
        raise refusals.not_alike(revision, different)


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """The revision that a database is closest to.

    Attributes:
        revision: Its id; "" where none could be made.
        different: What differs from what it makes; none where it is that revision.
        compared: How many revisions were compared.
        stopped: Why no more of them were; "" where all were.
    """

    revision: str = ""
    different: tuple[Drift, ...] = ()
    compared: int = 0
    stopped: str = ""


def closest(
    history: History,
    there: Live,
    *,
    folder: Path,
    invocation: Invocation,
    binaries: str = "",
    seconds: float = 300.0,
) -> Likeness:
    """Find the revision that a database without a version table has.

    The newest is tried first; then all from the first on, one after the other, on a throwaway
    server. Nothing is written to the database.

    Args:
        history: The files.
        there: The database, its catalog included.
        folder: As for `refuse_unlike`.
        invocation: As for `refuse_unlike`.
        binaries: As for `refuse_unlike`.
        seconds: After this many no further revision is tried.

    Raises:
        ClusterError: No throwaway server could be made.
    """
    deadline, best, compared, stopped = time.monotonic() + seconds, Likeness(), 0, ""
    order = [each.id for each in history.revisions]
    newest = [head for head in history.heads if len(history.heads) == 1]
    with throwaway(binaries=binaries) as server:
        for name, line in ((_DATABASE, newest), (f"{_DATABASE} again", order)):
            url = asyncio.run(_prepare(server, there, database=name))
            terms = apply.Terms(url=url, folder=folder, invocation=invocation)
            for revision in line:
                if time.monotonic() > deadline:
                    return replace(best, compared=compared, stopped=f"{seconds:g} s were over")
                try:
                    made = plan.make(history, live.read_for(history, url), Policy(target=revision))
                    apply.run(made, history, terms)
                except GroundworkError as exc:
                    stopped = f"{revision} did not run on the throwaway server: {exc}"
                    break
                different = catalog.compare(
                    _compared(live.read_for(history, url)), _compared(there)
                )
                compared += 1
                if not best.revision or len(different) <= len(best.different):
                    best = Likeness(revision=revision, different=different)
                if not different:
                    return replace(best, compared=compared)
    return replace(best, compared=compared, stopped=stopped)


def _compared(of: Live) -> Catalog:
    """Leave out what belongs to the surroundings."""
    known = of.catalog or Catalog(format=catalog.FORMAT, objects={})
    objects = {
        name: _OWNED.sub("", definition)
        for name, definition in known.objects.items()
        if not _ARRANGED.match(name)
    }
    return replace(known, objects=objects)


async def _prepare(server: Throwaway, there: Live, *, database: str = _DATABASE) -> str:
    """Make a database with the same schemas, extensions and role."""
    role, name = identifier(there.role), identifier(database)
    exists = database != _DATABASE or there.role == server.user
    login = surroundings.login(server, there.role, exists=exists)
    made = f"CREATE DATABASE {name} OWNER {role} TEMPLATE template0"
    await making.run(server, "postgres", [login, made])
    await making.run(server, database, _surroundings(there, role, name))
    return server.url(user=there.role, database=database)


def _surroundings(there: Live, role: str, database: str) -> Iterable[str]:
    yield f"ALTER DATABASE {database} SET search_path = {there.search_path or literal('')}"
    for schema in sorted({there.schema, *there.extensions.values()} - {"pg_catalog"}):
        yield f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)} AUTHORIZATION {role}"
    for name, schema in there.extensions.items():
        # Where this machine lacks it, a revision that needs it says so in its own words.
        yield surroundings.extension(name, schema)
