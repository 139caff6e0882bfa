"""Drift: what in a database is not as its revisions made it, until it is reverted or accepted.

The ledger records the catalog after each run, and beside it the changes made by hand that are not
accepted: those are in the catalog, and not what revisions made. So a change stays drift whatever
runs after it, also by plain Alembic or by a checkout that knows nothing of this.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from infra.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from infra.schema.model import Catalog, Drift, Live, Policy

__all__ = [
    "accepted",
    "carried",
    "changes",
    "mistake",
    "refused",
    "reported",
    "revised",
]

# PostgreSQL replaces these whole: where a revision did, nothing of a change by hand is left.
_REPLACED_WHOLE = ("function", "procedure", "view", "comment", "trigger", "rule")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


def changes(live: Live) -> tuple[Drift, ...]:
    """List every object that is not as revisions made it, the parts of others included.

    Where another tool has run revisions since the last run, their changes can't be told from those
    made by hand: known ones alone are listed.
    """
    if live.recorded is None or live.catalog is None:
        return ()
    if live.recorded_heads != live.heads:
        known = revised(live.catalog.objects, live.unaccepted)
    elif catalog.comparable(live.recorded, live.catalog):
        known = revised(live.recorded.objects, live.unaccepted)
    else:
        return ()
    return catalog.differences(known, live.catalog.objects)


def reported(live: Live, policy: Policy) -> tuple[Drift, ...]:
    """List what a user is to know of, schemas and tables first: a table goes without its parts.

    Left out are partitions that were attached or detached at run time, and what the policy ignores.
    """
    found = changes(live)
    if not found or live.catalog is None:
        return ()
    exempt = _exempt(found, live.catalog.objects, policy.drift_ignore)
    return catalog.topmost(each for each in found if each.object not in exempt)


def accepted(drift: Iterable[Drift], policy: Policy) -> tuple[Drift, ...]:
    """List the changes that the policy accepts."""
    if policy.drift == "accept":
        return tuple(drift)
    return tuple(each for each in drift if _matches(each, policy.accepted_drift))


def refused(drift: Iterable[Drift], policy: Policy) -> tuple[Drift, ...]:
    """List the changes for which nothing may run."""
    if policy.drift != "refuse":
        return ()
    return tuple(each for each in drift if not _matches(each, policy.accepted_drift))


def carried(
    found: Sequence[Drift], before: Catalog, after: Catalog, policy: Policy
) -> tuple[Drift, ...]:
    """List the changes that stay drift after a run.

    Args:
        found: What `changes` gave before the run.
        before: The catalog before the run.
        after: The catalog after it.
        policy: What it accepts, and what it ignores, is no drift afterwards.
    """
    taken = {each.object for each in accepted(found, policy)}
    exempt = _exempt(found, before.objects, policy.drift_ignore)
    # A partition that was detached stays known as one: its table may be dropped later.
    kept = _detached(found)
    staying = [
        each
        for each in found
        if each.object not in taken and (each.object not in exempt or each.object in kept)
    ]
    followed = [new for each in staying if (new := _followed(each, before, after))]
    made = revised(after.objects, followed)
    return tuple(catalog.differences(made, after.objects))


def revised(objects: Mapping[str, str], unaccepted: Iterable[Drift]) -> dict[str, str]:
    """Give the catalog as revisions alone would have made it.

    Args:
        objects: The catalog, by name.
        unaccepted: What was changed by hand, then or earlier.
    """
    made = dict(objects)
    for each in unaccepted:
        made.pop(each.object, None)
        if text := _without(each, objects.get(each.object, "")):
            made[each.object] = text
    return made


def _without(change: Drift, now: str) -> str:
    """Give the definition of an object without a change by hand; "" where it would not exist."""
    if now == change.after:
        return change.before
    if not now or not change.after:
        return now  # a revision dropped it, or made it again
    if now == change.before or not change.before:
        return change.before
    merged = _merged(change.after, change.before, now)
    if merged is not None:
        return merged
    return now if change.object.startswith(_REPLACED_WHOLE) else change.before


def _merged(base: str, ours: str, theirs: str) -> str | None:
    """Merge two changes of one definition, word by word; None where they overlap."""
    start, *others = (_WORD.findall(text) for text in (base, ours, theirs))
    hunks = sorted({hunk for other in others for hunk in _hunks(start, other)})
    merged, at = [], 0
    for number, (low, high, new) in enumerate(hunks):
        same_place = number > 0 and (low, high) == hunks[number - 1][:2]
        if low < at or same_place:
            return None
        merged += [*start[at:low], *new]
        at = high
    return "".join([*merged, *start[at:]])


def _hunks(start: list[str], other: list[str]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Give what is different: from where to where of the first, and what stands there instead."""
    for tag, low, high, i, j in SequenceMatcher(None, start, other, autojunk=False).get_opcodes():
        if tag != "equal":
            yield low, high, tuple(other[i:j])


# -- renames and repetitions -------------------------------------------------------------------


def _followed(change: Drift, before: Catalog, after: Catalog) -> Drift | None:
    """Give a change under the name that its object has after a run; None where it went with it.

    PostgreSQL's own identity of an object stays when it or its table is renamed. One that a
    revision dropped and made again has another, and is what the revision made.
    """
    tables = _renamed(before, after)
    if not change.after:  # removed by hand: it has no identity, but its table may
        return _renaming(change, change.object, tables)
    identity = before.ids.get(change.object, "")
    if not identity or after.ids.get(change.object) == identity:
        return _renaming(change, change.object, tables)
    name = next((name for name, each in after.ids.items() if each == identity), "")
    return _renaming(change, name, tables) if name else None


def _renamed(before: Catalog, after: Catalog) -> dict[str, str]:
    """Give the former names of the relations that were renamed, and the new ones."""
    names = {each: name for name, each in after.ids.items()}
    pairs = ((name, names.get(each, name)) for name, each in before.ids.items())
    return {
        catalog.bare(old): catalog.bare(new)
        for old, new in pairs
        if old != new and catalog.is_relation(old) and catalog.is_relation(new)
    }


def _renaming(change: Drift, name: str, tables: Mapping[str, str]) -> Drift:
    """Put the new names of tables into a change; `name` is the object's own now."""
    texts = [name if name != change.object else change.object, change.before, change.after]
    for old, new in tables.items():
        pattern = re.compile(rf"(?<![^\s(,]){re.escape(old)}(?![^\s(),.;:])")
        texts = [pattern.sub(lambda _, new=new: new, text) for text in texts]  # type: ignore[misc] # bound at once
    return replace(change, object=texts[0], before=texts[1], after=texts[2])


# -- what is no drift --------------------------------------------------------------------------

_GROUP = r"\((?:[^()']|'(?:[^']|'')*'|\((?:[^()']|'(?:[^']|'')*')*\))*\)"
_BOUND = rf"(?:DEFAULT|FOR VALUES (?:IN|WITH) {_GROUP}|FOR VALUES FROM {_GROUP} TO {_GROUP})"
_PARTITION = re.compile(rf", partition of ({catalog.NAME}\.{catalog.NAME}) {_BOUND}(?=,|\Z)")
_PARTITIONED = ", partitioned by "


def _exempt(
    found: Iterable[Drift], now: Mapping[str, str], ignored: Sequence[str]
) -> frozenset[str]:
    """Name the changes that are no drift: partitions come and go as rows do, the rest by choice."""
    by_name = {each.object: each for each in found}
    partitions = {name for name, each in by_name.items() if _moved(each, by_name, now)}
    names = {catalog.bare(name) for name in partitions}
    return frozenset(
        name
        for name, each in by_name.items()
        if name in partitions
        or partitions.intersection(_wholes(each))
        or _lists_alone(each, names)
        or _matches(each, ignored)
    )


def _moved(change: Drift, by_name: Mapping[str, Drift], now: Mapping[str, str]) -> bool:
    """Tell whether a table was attached as a partition, or detached, and nothing else."""
    before, after = _PARTITION.search(change.before), _PARTITION.search(change.after)
    if (before and before[0]) == (after and after[0]):
        return False
    rests = [_PARTITION.sub("", text) for text in (change.before, change.after)]
    if all(rests) and rests[0] != rests[1]:
        return False
    parents = {found[1] for found in (before, after) if found}
    return all(_is_partitioned(parent, by_name, now) for parent in parents)


def _is_partitioned(table: str, by_name: Mapping[str, Drift], now: Mapping[str, str]) -> bool:
    """Tell whether a revision made a partitioned table, or a partition of one has its own."""
    name = f"table {table}"
    change = by_name.get(name)
    if change is None:
        return _PARTITIONED in now.get(name, "")
    if _PARTITIONED not in (change.before or change.after):
        return False
    return bool(change.before and change.after) or _moved(change, by_name, now)


def _lists_alone(change: Drift, tables: set[str]) -> bool:
    """Tell whether a publication differs by such partitions alone, each of which it lists."""
    if not change.object.startswith("publication ") or not (change.before and change.after):
        return False
    before, after = (set(text.split(", ")) for text in (change.before, change.after))
    return (before ^ after) <= tables


def _detached(found: Iterable[Drift]) -> set[str]:
    """Name the partitions that are tables of their own now, with their parts."""
    found = tuple(found)
    tables = {
        each.object
        for each in found
        if _PARTITION.search(each.before) and each.after and not _PARTITION.search(each.after)
    }
    return tables | {each.object for each in found if tables.intersection(_wholes(each))}


# -- patterns ----------------------------------------------------------------------------------


def mistake(pattern: str) -> str:
    """Tell what is wrong with a pattern of objects; "" where nothing is."""
    if pattern.startswith("*") or catalog.kind(f"{pattern} "):
        return ""
    return (
        f"{pattern!r} names no kind of object; write one as drift names it: table public.events_*,"
        " grant public.t to reader, index"
    )


def _matches(change: Drift, patterns: Sequence[str]) -> bool:
    """Tell whether a pattern names an object, or what it is a part of."""
    names = (change.object, *_wholes(change))
    return any(_fits(name, pattern) for pattern in patterns for name in names)


def _fits(name: str, pattern: str) -> bool:
    if name == pattern or catalog.kind(f"{name} ") == pattern:
        return True
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), name, re.DOTALL) is not None


def _wholes(change: Drift) -> Iterator[str]:
    return catalog.wholes(change.object, change.after or change.before)
