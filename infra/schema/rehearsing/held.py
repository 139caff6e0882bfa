"""From moments and looks to the locks of a step: which, on what, for how long."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema.review import Held
from infra.schema.statements import locks as manual
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from infra.schema.rehearsing.moments import Work
    from infra.schema.rehearsing.sampler import Sampler

__all__ = ["STRENGTH", "bare", "locks"]

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
    names: Mapping[int, str],
    sampler: Sampler | None,
    *,
    live: bool = False,
) -> tuple[Held, ...]:
    """List the locks of a step, each mode and relation once, the strongest first.

    Args:
        works: What it sent.
        names: Of the relations that were there before, by oid.
        sampler: What was seen from outside.
        live: Whether all of the step was watched from outside: what a revision takes over a
            connection of its own is then listed too.
    """
    found: dict[tuple[str, str], Held] = {}
    for work in works:
        seen = _alone(work, names, sampler) if work.alone else _together(work, names)
        for lock in seen:
            key = (lock.mode, lock.relation)
            before = found.get(key)
            longest = max(lock.seconds, before.seconds) if before else lock.seconds
            found[key] = replace(before or lock, seconds=longest)
    if live and sampler:
        for (oid, mode), first, last in sampler.within(0.0, time.monotonic()):
            if oid in names:
                lock = Held(mode=mode, relation=names[oid], seconds=last - first, statement=0)
                found.setdefault((mode, lock.relation), lock)
    order = {mode: rank for rank, mode in enumerate(STRENGTH)}
    return tuple(sorted(found.values(), key=lambda lock: (order[lock.mode], lock.relation)))


def _together(work: Work, names: Mapping[int, str]) -> Iterator[Held]:
    """Give the locks of a transaction: held from the statement that took them to its end."""
    end = work.ended if work.ended is not None else time.monotonic()
    known = set(work.moments[0].locks) if work.moments else set()
    for moment, following in zip(work.moments, work.moments[1:], strict=False):
        for oid, mode in sorted(following.locks - known):
            if oid in names:
                yield Held(
                    mode=mode,
                    relation=names[oid],
                    seconds=max(end - moment.at, 0.0),
                    statement=moment.number or 0,
                )
        known |= following.locks


def _alone(work: Work, names: Mapping[int, str], sampler: Sampler | None) -> Iterator[Held]:
    """Give the locks of a statement that no moment stands in: as seen, or else by the manual."""
    ((number, sql),) = work.statements.items()
    end = work.ended if work.ended is not None else time.monotonic()
    seen = list(sampler.within(work.begun, end)) if sampler else []
    found = [(oid, mode, last - first) for (oid, mode), first, last in seen if oid in names]
    for oid, mode, seconds in found:
        yield Held(mode=mode, relation=names[oid], seconds=seconds, statement=number)
    known = {(mode, bare(names[oid])) for oid, mode, _ in found}
    for lock in manual.derive((sql,)):
        if lock.mode in STRENGTH and (lock.mode, bare(lock.relation)) not in known:
            relation = _whole(lock.relation, names.values())
            if relation:
                yield Held(
                    mode=lock.mode,
                    relation=relation,
                    seconds=end - work.begun,
                    statement=number,
                    by="manual",
                )


def _whole(relation: str, names: Iterable[str]) -> str:
    """Find a relation by the last part of its name; empty where it was not there before."""
    last = bare(relation)
    return next((name for name in names if bare(name) == last), "")


def bare(name: str) -> str:
    """Give the last part of a name, without its quotes."""
    found = Sentence(name).name()
    return found.key[-1] if found else name
