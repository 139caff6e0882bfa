"""From what the files say and what a database has to the steps between: pure, no I/O, no clock."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema import drift as drifts
from infra.schema import environment_sql, refusals
from infra.schema.graph import Present, closure, ordered
from infra.schema.model import Applied, History, Live, Plan, Policy, Revision, Script, Step
from infra.schema.statements import session
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from infra.schema.model import Drift

__all__ = ["approved", "make", "refuse_unapproved", "target"]

_INVALID = re.compile(r", invalid(, clustered)?$")  # as the catalog writes an index
_REMADE = re.compile(r"_cc(new|old)[0-9]*\"?$")  # REINDEX's own, beside the one that it is for


def make(history: History, live: Live | None, policy: Policy) -> Plan:
    """Plan the way from a database to the target.

    Args:
        history: What the files say.
        live: What the database has; None where it can't be asked yet, and is taken as empty.
        policy: What the stack allows.

    Raises:
        PlanError: There is no way, or none that the policy allows; one of its subclasses.
    """
    wanted = target(history, policy.target)
    if live is None:
        return _from(Live(), history, wanted, policy)
    _agree(history, live, policy)
    _unedited(history, live, policy)
    return _from(live, history, wanted, policy)


def approved(plan: Plan, policy: Policy) -> bool:
    """Tell whether a plan may run: it was approved, or none is asked for, or nothing runs."""
    wanted = policy.approved_plan.lower()
    return not wanted or not (plan.steps or plan.stamp) or wanted == plan.digest


def refuse_unapproved(plan: Plan, policy: Policy) -> None:
    """Let an approved plan pass.

    Raises:
        NotApprovedError: Another plan was approved.
    """
    if not approved(plan, policy):
        raise refusals.not_approved(plan, policy.approved_plan)


def target(history: History, name: str) -> tuple[str, ...]:
    """Give the revisions that `name` means: none for "base", several for "heads".

    Args:
        history: Where to look.
        name: "head", "heads", "base", an id, at least four characters of its beginning, a branch
            label, "LABEL@head", "LABEL@heads", "LABEL@REVISION"; or several of these, with commas.

    Raises:
        HeadsError: "head", and there are several.
        TargetError: No revision, or more than one, has that name.
    """
    names = [each.strip() for each in name.split(",")]
    found = {id_ for each in names for id_ in _named(history, each)}
    needs = {revision.id: revision.needs for revision in history.revisions}
    # What another one includes is there with it.
    return Present(closure(found, needs), needs).heads if len(names) > 1 else tuple(sorted(found))


def _named(history: History, name: str) -> tuple[str, ...]:
    """Give what one name means."""
    if name == "base":
        return ()
    if name == "heads":
        return history.heads
    if name == "head":
        if len(history.heads) > 1:
            raise refusals.several_heads(history)
        return history.heads
    known = history.by_id
    if name in known:
        return (name,)
    label, _, inside = name.partition("@")
    for revision in history.revisions:
        if label in revision.labels:
            return _of_branch(history, name, _branch(history, revision), inside or "head")
    return _only(history, name, known)


def _of_branch(
    history: History, name: str, branch: Collection[str], inside: str
) -> tuple[str, ...]:
    """Give what a name means among the revisions of a branch."""
    heads = tuple(head for head in history.heads if head in branch)
    if inside == "heads":
        return heads
    if inside == "head":
        if len(heads) != 1:
            raise refusals.no_target(history, name, heads)
        return heads
    return (inside,) if inside in branch else _only(history, name, branch, inside)


def _only(
    history: History, name: str, among: Collection[str], beginning: str = ""
) -> tuple[str, ...]:
    """Give the one revision that begins like this."""
    beginning = beginning or name
    found = [id_ for id_ in among if id_.startswith(beginning)]
    if len(beginning) < refusals.PREFIX or len(found) != 1:
        raise refusals.no_target(history, name, found if len(beginning) >= refusals.PREFIX else [])
    return (found[0],)


def _branch(history: History, first: Revision) -> Collection[str]:
    """List the revisions that a branch has grown to, from the one with the label on."""
    branch = {first.id}
    for revision in history.revisions:
        if branch.intersection(revision.parents):
            branch.add(revision.id)
    return branch


def _agree(history: History, live: Live, policy: Policy) -> None:
    """Refuse a version table that can't be true."""
    there = [id_ for id_, entry in live.applied.items() if entry.finished]
    if not live.versioned and there and not policy.adopt:
        raise refusals.version_table_gone(history, live, there)
    needs = _needs(history, live)
    unknown = [head for head in live.heads if head not in needs]
    if unknown:
        raise refusals.unknown(history, unknown)
    rows = Present(closure(live.heads, needs), needs).heads
    if rows != live.heads:
        raise refusals.redundant_rows(history, sorted(set(live.heads) - set(rows)))


def _unedited(history: History, live: Live, policy: Policy) -> None:
    if policy.edited == "accept":
        return
    edited = _edited(history, live)
    if edited:
        raise refusals.edited([(revision, live.applied[revision.id]) for revision in edited])


def _edited(history: History, live: Live) -> list[Revision]:
    """List the revisions that ran as something else than their files say now."""
    there = closure(live.heads, _needs(history, live))
    return [
        revision
        for revision in history.revisions
        if revision.id in there
        and (entry := live.applied.get(revision.id))
        and entry.sha256 not in ("", revision.sha256)
    ]


def _from(live: Live, history: History, wanted: tuple[str, ...], policy: Policy) -> Plan:
    """Plan from a database that can be trusted."""
    needs = _needs(history, live)
    stamp = _adopted(history, live, policy)
    there = closure(live.heads, needs) | set(stamp)
    end = closure(wanted, needs)
    present = Present(there, needs)
    drift = drifts.reported(live, policy)
    if refused := drifts.refused(drift, policy):
        raise refusals.drifted(refused)
    down = _back(history, live, present, there - end, policy)
    up = [
        _up(present, revision, live.applied.get(revision.id), policy)
        for revision in history.revisions
        if revision.id in end - there
    ]
    if stuck := [step for step in (*down, *up) if step.script.refused]:
        raise refusals.unsendable(stuck)
    steps = environment_sql.attach(history, (*down, *up))
    prepared = session.preparing(history.prologue) if steps or stamp else ()
    invalid = _invalid(live)
    return Plan(
        steps=tuple(_covered(history, steps)),
        before=live.heads,
        after=present.heads,
        stamp=stamp,
        drift=drift,
        notes=(
            *_notes(history, live, there, policy, drift),
            *_environment(history, steps, prepared),
            *_settings((*down, *up)),
            *_of_builds(invalid),
        ),
        session=prepared,
        invalid=invalid,
    )


def _invalid(live: Live) -> tuple[str, ...]:
    """List the indexes that no query uses, since their build has not come to its end.

    One of a partitioned table is so by design until all partitions have theirs.
    """
    objects = live.catalog.objects if live.catalog else {}
    later = tuple(
        f"on {name.removeprefix('table ')} "
        for name, definition in objects.items()
        if name.startswith("table ") and "partitioned by " in definition
    )
    return tuple(
        name.removeprefix("index ")
        for name, definition in sorted(objects.items())
        if name.startswith("index ")
        and _INVALID.search(definition)
        and not definition.startswith(later)
    )


def _of_builds(invalid: Iterable[str]) -> Iterator[str]:
    """Say what to do about INVALID indexes, a note for each."""
    for name in invalid:
        remade = _REMADE.search(name)
        then = "" if remade else ", then build it again"
        yield (
            f"the index {name} is INVALID: its build was interrupted, or another session is at it."
            f" If none is: DROP INDEX CONCURRENTLY {name}{then}"
        )


def _environment(
    history: History, steps: Iterable[Step], prepared: tuple[str, ...]
) -> Iterable[str]:
    """Say what env.py adds to the steps, and what an approval covers where no SQL is known."""
    if prepared:
        yield f"env.py prepares the session of each revision: {'; '.join(prepared)}"
    if history.sources and any(step.script.live for step in steps):
        yield (
            f"approve covers all {len(history.sources)} files that a run through env.py can load,"
            " as they are now"
        )


def _settings(steps: Iterable[Step]) -> Iterable[str]:
    """Say which settings of a revision plain Alembic would keep for those after it."""
    for step in steps:
        names = session.lasting(step.script.own.statements)
        if names:
            yield (
                f"{step.revision} sets {', '.join(names)} for the session: here that ends with the"
                " revision, and under alembic upgrade it lasts into those after it"
            )


def _covered(history: History, steps: Iterable[Step]) -> Iterable[Step]:
    """Let each step that runs through env.py know the files that it can load."""
    sources = ""
    for step in steps:
        if step.script.live:
            sources = sources or environment_sql.files_digest(history)
            yield replace(step, sources=sources)
        else:
            yield step


def _adopted(history: History, live: Live, policy: Policy) -> tuple[str, ...]:
    """List what a database without a version is taken to have, first to last."""
    if not policy.adopt or live.heads:
        return ()
    taken = closure(target(history, policy.adopt), _needs(history, live))
    return tuple(revision.id for revision in history.revisions if revision.id in taken)


def _back(
    history: History, live: Live, present: Present, extra: Iterable[str], policy: Policy
) -> list[Step]:
    """Plan the revisions to take back, newest first."""
    order = ordered(extra, present.needs, [revision.id for revision in history.revisions])
    if not order:
        return []
    lost = [live.applied.get(id_, Applied(revision=id_)) for id_ in order]
    if policy.downgrade == "refuse":
        raise refusals.downgrade(history, lost)
    scripts = [_undo(history, live, id_, policy) for id_ in reversed(order)]
    stuck = [id_ for id_, script in zip(reversed(order), scripts, strict=True) if script is None]
    if stuck:
        raise refusals.no_way_back(history, live, stuck)
    return [
        _down(history, live, present, id_, script)
        for id_, script in zip(reversed(order), scripts, strict=True)
        if script is not None
    ]


def _undo(history: History, live: Live, id_: str, policy: Policy) -> Script | None:
    """Give what takes a revision back; what was rendered when it ran goes first."""
    entry, revision = live.applied.get(id_), history.by_id.get(id_)
    here = revision is not None and not revision.downgrade.absent
    if entry is not None and entry.sha256 and not entry.downgrade.live:
        # Through env.py it can go only with its file.
        return _sent(entry.downgrade, policy) if here else entry.downgrade
    return _sent(revision.downgrade, policy) if revision is not None and here else None


def _down(history: History, live: Live, present: Present, id_: str, script: Script) -> Step:
    entry = live.applied.get(id_, Applied(revision=id_))
    revision = history.by_id.get(id_) or Revision(
        id=id_, parents=entry.needs, message=entry.message, sha256=entry.sha256
    )
    before = present.heads
    present.remove(id_)
    step = _step(revision, script, before, present.heads)
    return replace(step, direction="down", again=not entry.finished)


def _up(present: Present, revision: Revision, entry: Applied | None, policy: Policy) -> Step:
    before = present.heads
    present.add(revision.id)
    step = _step(revision, _sent(revision.upgrade, policy), before, present.heads)
    return replace(step, undo=revision.downgrade, again=entry is not None and not entry.finished)


def _sent(script: Script, policy: Policy) -> Script:
    """Give a script as the stack wants it to run."""
    if policy.apply == "compiled" or script.live:
        return script
    return replace(script, live="the stack says apply: online")


def _step(
    revision: Revision, script: Script, before: tuple[str, ...], after: tuple[str, ...]
) -> Step:
    return Step(
        revision=revision.id,
        direction="up",
        message=revision.message,
        script=script,
        before=before,
        after=after,
        file=revision.file,
        sha256=revision.sha256,
        needs=revision.needs,
        lock_timeout=revision.lock_timeout,
        statement_timeout=revision.statement_timeout,
        ignores=revision.ignores,
    )


def _notes(
    history: History, live: Live, there: set[str], policy: Policy, drift: Sequence[Drift]
) -> Iterable[str]:
    """Say what a reader could not guess from the steps."""
    taken = drifts.accepted(drift, policy)
    if taken and policy.drift != "accept":
        yield f"up accepts what was changed by hand: {', '.join(each.object for each in taken)}"
    by_hand = sorted(there - set(live.applied)) if live.applied else []
    if by_hand:
        yield f"applied by hand, not by this node: {', '.join(by_hand)}"
    gone = sorted(id_ for id_, entry in live.applied.items() if entry.finished and id_ not in there)
    if gone:
        yield f"taken back by hand: {', '.join(gone)}"
    if policy.edited == "accept":
        for revision in _edited(history, live):
            yield f"{revision.id} was edited after it ran; accepted"
    if live.recorded and live.catalog and live.recorded.format != live.catalog.format:
        yield "the recorded catalog has another format: drift can't be told until the next up"
    if live.database and not live.versioned and not policy.adopt and _tables(live):
        yield (
            f"schema {live.schema} has tables already, and no {history.version_table}: if they"
            " are those of a revision, set adopt to it"
        )
    if not history.revisions:
        yield (
            "the migrations have no revision: no file of one is in the folder versions, or in the"
            " folders that version_locations names"
        )
    if history.offline:
        yield f"env.py renders nothing in advance: {history.offline}"


def _tables(live: Live) -> bool:
    places = [f"table {name}." for name in (live.schema, identifier(live.schema))]
    return live.catalog is not None and any(
        name.startswith(tuple(places)) for name in live.catalog.objects
    )


def _needs(history: History, live: Live) -> Mapping[str, tuple[str, ...]]:
    """Give what each revision needs: as the files say, and the ledger where there is no file."""
    recorded = {id_: entry.needs for id_, entry in live.applied.items()}
    return {**recorded, **{revision.id: revision.needs for revision in history.revisions}}
