"""Refusal of another database than the one that the stack or its user means."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from infra.identity import Identity, WrongDatabaseError, refuse_other
from infra.schema import catalog, dsn, history, live

if TYPE_CHECKING:
    from infra.schema.model import Live
    from infra.schema.node import Place

__all__ = ["refuse_other_cluster", "refuse_other_stack"]

_KEPT = "Nothing was changed."


def refuse_other_cluster(place: Place, there: Live) -> None:
    """Let the database pass that the stack knows.

    Raises:
        WrongDatabaseError: It is in another cluster, and holds something.
    """
    found = Identity(
        cluster=there.cluster,
        database=there.database,
        place=dsn.place(str(place.url)).partition("/")[0],
    )
    known = Identity(cluster=place.cluster, database=there.database)
    moved_to = place.options.moved_to
    refuse_other(known, found, holds=_held(there), kept=_KEPT, moved_to=moved_to)


def _held(there: Live) -> str:
    """Say what a database holds; "" for nothing."""
    names = there.catalog.objects if there.catalog else {}
    number = sum(catalog.is_relation(name) for name in names)
    if number:
        return f"{number} tables, views and sequences"
    return "Alembic's version table" if there.versioned else ""


def refuse_other_stack(place: Place, *, known: Identity | None, moved_to: str) -> str:
    """Let a database pass that is no stack's, or that of the stack that the user names.

    Gives the stack's name for the ledger, as the ledger has it where the user named a part of it.

    Args:
        place: Where; the name of its stack, with the project's or without, is what the user says.
        known: The database that the state of that stack knows; None where it can't be read.
        moved_to: The database that is meant although it is another one: CLUSTER/DATABASE.

    Raises:
        WrongDatabaseError: The ledger names another stack, or it is not what the stack knows.
    """
    if place.url is None:
        return place.stack
    files = history.read(place.folder, place.invocation)
    there = live.read_for(files, place.url)
    where = dsn.place(place.url).partition("/")[0]
    found = Identity(cluster=there.cluster, database=there.database, place=where)
    if known is not None:
        advice = f"--moved-to {shlex.quote(found.key)}"
        refuse_other(
            known,
            found,
            holds=_held(there),
            kept=_KEPT,
            moved_to=moved_to,
            advice=advice,
        )
    owner = there.stack
    if owner and place.stack in (owner, owner.rpartition("/")[2]):
        return owner
    if moved_to == found.key or not owner:
        return place.stack
    said = f"and --stack is {place.stack}" if place.stack else "and no --stack was given"
    raise WrongDatabaseError(
        f"The {found} is that of the stack {owner}, as its ledger says, {said}. {_KEPT} Take"
        f" another URL; or, where this one is meant: --stack {shlex.quote(owner)}."
    )
