"""From moments and looks to the locks of a step: which, on what, for how long."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema.rehearsing.relations import called
from infra.schema.review import Held
from infra.schema.running import indexes
from infra.schema.statements import locks as manual

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.schema.rehearsing.moments import Moment, Work
    from infra.schema.rehearsing.relations import Relation, Relations
    from infra.schema.rehearsing.sampler import Sampler

__all__ = ["STRENGTH", "locks", "waited_for"]

STRENGTH = (
    "AccessExclusiveLock",
    "ExclusiveLock",
    "ShareRowExclusiveLock",
    "ShareLock",
    "ShareUpdateExclusiveLock",
    "RowExclusiveLock",
    "RowShareLock",
    "AccessShareLock",
)
"""The modes of pg_locks, the strongest first."""


def locks(
    works: Sequence[Work],
    before: Relations,
    sampler: Sampler | None,
    *,
    home: str,
    live: bool = False,
) -> tuple[Held, ...]:
    """List the locks of a step, each mode and relation once, the strongest first.

    Args:
        works: What it sent.
        before: The relations that were there before; of indexes, whose locks stop nobody whom
            that of their table does not, none is told.
        sampler: What was seen from outside.
        home: The schema of bare names.
        live: Whether all of the step was watched from outside: what a revision takes over a
            connection of its own is then listed too.
    """
    names = {oid: relation.name for oid, relation in before.items() if not relation.index}
    found: dict[tuple[str, str], Held] = {}
    for work in works:
        seen = _alone(work, before, sampler, home) if work.alone else _together(work, names)
        for lock in seen:
            key = (lock.mode, lock.relation)
            first = found.setdefault(key, lock)
            found[key] = replace(first, seconds=max(first.seconds, lock.seconds))
    if live and sampler:
        for (oid, mode), since, until in sampler.within(0.0, time.monotonic()):
            if oid in names:
                lock = Held(mode=mode, relation=names[oid], seconds=until - since, statement=0)
                found.setdefault((mode, lock.relation), lock)
    order = {mode: rank for rank, mode in enumerate(STRENGTH)}
    return tuple(sorted(found.values(), key=lambda lock: (order[lock.mode], lock.relation)))


def _together(work: Work, names: Mapping[int, str]) -> Iterator[Held]:
    """Give the locks of a transaction: held from the statement that took them to its end.

    One that a savepoint gives back is gone before that.
    """
    known = set(work.moments[0].locks) if work.moments else set()
    open_: dict[tuple[int, str], Moment] = {}
    for moment, following in zip(work.moments, work.moments[1:], strict=False):
        for key in sorted(open_.keys() - following.locks):
            since = open_.pop(key)
            yield _held(key, names, since, following.begun - since.ended)
        for key in sorted(following.locks - known):
            if key[0] in names:
                open_.setdefault(key, moment)
    for key, since in open_.items():
        # To the last moment by the server's clock, and from there to the end by this side's.
        last, end = work.moments[-1], work.ended or time.monotonic()
        yield _held(key, names, since, last.begun - since.ended + max(end - last.at, 0.0))


def _held(key: tuple[int, str], names: Mapping[int, str], since: Moment, seconds: float) -> Held:
    oid, mode = key
    return Held(
        mode=mode, relation=names[oid], seconds=max(seconds, 0.0), statement=since.number or 0
    )


def _alone(work: Work, before: Relations, sampler: Sampler | None, home: str) -> Iterator[Held]:
    """Give the locks of a statement that no moment stands in: as seen, and by the manual."""
    ((number, sql),) = work.statements.items()
    end = work.ended if work.ended is not None else time.monotonic()
    known = set()
    for (oid, mode), first, last in sampler.within(work.begun, end) if sampler else ():
        relation = before.get(oid)
        if relation is not None and not relation.index:
            known.add((mode, relation.name))
            # Of one that the last look alone has seen, nobody knows when it went before the end.
            seconds = (last if last > first else end) - first
            yield Held(mode=mode, relation=relation.name, seconds=seconds, statement=number)
    for lock in manual.derive((sql,)):
        table = _table(lock.relation, before, home)
        if lock.mode not in STRENGTH or table is None or (lock.mode, table.name) in known:
            continue
        known.add((lock.mode, table.name))
        yield Held(
            mode=lock.mode,
            relation=table.name,
            seconds=end - work.begun,
            statement=number,
            by="manual",
        )


def waited_for(sql: str, before: Relations, home: str) -> Relation | None:
    """Give the table whose writers a statement with CONCURRENTLY waits for; None for others."""
    if not indexes.concurrently(sql):
        return None
    tables = (_table(lock.relation, before, home) for lock in manual.derive((sql,)))
    return next((table for table in tables if table is not None and table.kind == "r"), None)


def _table(name: str, before: Relations, home: str) -> Relation | None:
    """Find a relation by its name, or the table of an index."""
    found = called(name, before, home)
    return before.get(found.on) if found and found.index else found
