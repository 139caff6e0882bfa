"""What the schema node does, for the engine and for the command line alike."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from infra.identity import Identity, WrongDatabaseError, refuse_other
from infra.schema import apply, catalog, drift, dsn, history, live, plan, refusals
from infra.schema.data_checks import findings as data_checks
from infra.schema.errors import DatabaseMissingError, LedgerError, LiveError, MovedError
from infra.schema.model import History, Plan, Policy
from infra.schema.review import Review
from infra.schema.running.progress import Progress, line
from infra.schema.statements import losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from infra.schema.data_checks.live_rows import Checked
    from infra.schema.linting.remark import Remark
    from infra.schema.model import Live
    from infra.schema.options import Options
    from infra.schema.review import DataCheck, Finding, Rehearsal

__all__ = [
    "Look",
    "Place",
    "Say",
    "Seen",
    "accept",
    "bring",
    "leave",
    "look",
    "refuse_other_cluster",
    "refuse_other_stack",
    "review",
    "tell_drift",
]

_DRIFT_LINES = 20
_KEPT = "Nothing was changed."


class Say(Protocol):
    """Tells the user of progress."""

    def __call__(self, text: str, *, live: bool = False, warning: bool = False) -> None:
        """Show a line; a live one only until the next."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which files meet which database.

    Attributes:
        folder: Holds Alembic's configuration.
        url: libpq URL of the migrator, secret; None while it is not known.
        options: How to act.
        stack: Name for the ledger; empty outside of a stack.
        binaries: Folder with PostgreSQL's programs, for a comparison on a throwaway server; empty
            uses the machine's or fetches them.
        cluster: System identifier of the cluster that the stack knows; empty takes any.
        borrowed: Whether the URL is an administrator's, who looks for a migrator to come.
    """

    folder: Path
    url: str | None
    options: Options
    stack: str = ""
    binaries: str = ""
    cluster: str = ""
    borrowed: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """What there is, and what is to be done.

    Attributes:
        history: What the files say.
        live: What the database has; None where it is still to come or can't be asked.
        plan: The way between; None where the database can't be asked.
        unseen: Why it can't be asked; else empty.
    """

    history: History
    live: Live | None
    plan: Plan | None
    unseen: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen(Look):
    """A look at a database that answers: everything is known."""

    live: Live
    plan: Plan


def look(place: Place) -> Look:
    """Compare files and database. Nothing is written.

    Raises:
        HistoryError: The files can't be read.
        PlanError: There is no way, or none that is allowed.
    """
    files = history.read(place.folder, variable=place.options.url_variable)
    note = "the URL of the database is not known yet"
    if place.url is not None:
        try:
            there = live.read_for(files, place.url)
        except DatabaseMissingError:
            note = "the server has no such database yet"
        except LiveError as exc:
            return Look(history=files, live=None, plan=None, unseen=_unseen(place, exc))
        else:
            refuse_other_cluster(place, there)
            return _seen(place, files, there)
    made = plan.make(files, None, place.options.policy)
    made = replace(made, notes=(f"{note}: this is the way from nothing", *made.notes))
    return Look(history=files, live=None, plan=made)


def _unseen(place: Place, exc: LiveError) -> str:
    if not place.borrowed:
        return str(exc)
    return (
        f"{exc} The preview asked as the administrator, since the migrator is still to be made; up"
        " asks as the migrator."
    )


def _seen(place: Place, files: History, there: Live) -> Seen:
    policy = place.options.policy
    if place.options.schema and not there.versioned:
        from infra.schema import misplaced  # noqa: PLC0415 - for a database without revisions

        misplaced.refuse(files, there, str(place.url), schema=place.options.schema)
    made = plan.make(files, there, policy)
    if made.stamp:
        from infra.schema import adopt  # noqa: PLC0415 - it runs servers, for those who adopt

        adopt.refuse_unlike(
            files,
            there,
            policy.adopt,
            folder=place.folder,
            variable=place.options.url_variable,
            binaries=place.binaries,
        )
    made = _with_losses(str(place.url), made)
    if place.borrowed:
        note = "read as the administrator, since the migrator is still to be made"
        made = replace(made, notes=(note, *made.notes))
    if not plan.approved(made, policy):
        note = f"approved_plan is {policy.approved_plan}: up refuses this plan"
        made = replace(made, notes=(note, *made.notes))
    return Seen(history=files, live=there, plan=made)


def _with_losses(url: str, made: Plan) -> Plan:
    """Tell what goes with its data, and how many rows that is."""
    found = {step.revision: losses.named(step.script.statements) for step in made.steps}
    if not any(found.values()):
        return made
    counted = live.count(url, found)
    steps = tuple(
        replace(step, loses=tuple(loss.text for loss in counted[step.revision]))
        for step in made.steps
    )
    return replace(made, steps=steps)


def review(place: Place, seen: Look, *, say: Say, rehearsed: bool) -> Review:
    """Look at a plan as a reviewer does: lint it, and rehearse it where that is wanted.

    Args:
        place: Where.
        seen: What `look` gave.
        say: Told of the rehearsal's progress.
        rehearsed: Whether to rehearse it.

    Raises:
        GroundworkError: Lint or the rehearsal could not be done; a step that fails in a rehearsal
            is no error here, but told in the review.
    """
    options, made = place.options, seen.plan
    if made is None:
        return Review(stack=place.stack, unplanned=seen.unseen, lint=options.lint)
    old = _released(place, seen.history, made)
    rows = _ask_rows(place, seen, made)
    rehearsal = _rehearse(place, seen, made, old, rows.deletes, say) if rehearsed else None
    first = rows.checks
    if rehearsal is not None and any(step.script.live for step in made.steps):
        rows = _ask_rows(place, seen, made, rehearsal)
    checks = data_checks.with_rehearsal(rows.checks, rehearsal)
    ahead = _look_ahead(place, seen, made)
    beside = (*data_checks.remarks(checks, rehearsal), *ahead)
    findings = _lint(place, seen, made, rehearsal, beside)
    # An update has no rehearsal to know the SQL of live revisions from: it refuses without.
    known = findings if rehearsal is None else None
    errors = sorted({each.rule for each in _refusing(place, seen, made, known, first, ahead)})
    refuses = [f"lint found errors, and lint is refuse: {', '.join(errors)}"] if errors else []
    if not plan.approved(made, options.policy):
        refuses.append(f"approved_plan is {options.policy.approved_plan}, and this is another plan")
    return Review(
        stack=place.stack,
        plan=made,
        findings=findings,
        rehearsal=rehearsal,
        refuses=tuple(refuses),
        lint=options.lint,
        released=old,
        data_checks=checks,
    )


def _ask_rows(place: Place, seen: Look, made: Plan, rehearsal: Rehearsal | None = None) -> Checked:
    """Ask the live rows what statements of a plan depend on."""
    from infra.schema.data_checks import live_rows  # noqa: PLC0415 - it loads a parser

    if not made.steps:
        return live_rows.Checked()
    return live_rows.check(
        made, seen.history, seen.live, place.url, place.options, rehearsal=rehearsal
    )


def _released(place: Place, files: History, made: Plan) -> tuple[str, ...]:
    """List the revisions of a plan whose files the previous release has, where `since` says it."""
    if not place.options.since or not made.steps:
        return ()
    from infra.schema.linting import released  # noqa: PLC0415 - at head nobody asks git

    old = released.history_files(files, place.folder, place.options.since)
    up = (step.revision for step in made.steps if step.direction == "up")
    return tuple(revision for revision in up if revision in old)


def _rehearse(
    place: Place,
    seen: Look,
    made: Plan,
    old: tuple[str, ...],
    deletes: Sequence[str],
    say: Say,
) -> Rehearsal | None:
    if not made.steps:
        return None
    from infra.schema import rehearse  # noqa: PLC0415 - it runs servers, for those who want it

    terms = rehearse.Terms(
        folder=place.folder,
        url=place.url,
        options=place.options,
        binaries=place.binaries,
        released=old,
        deletes=deletes,
    )
    return rehearse.rehearse(made, seen.history, seen.live, terms, say=say)


def _lint(
    place: Place,
    seen: Look,
    made: Plan,
    rehearsal: Rehearsal | None = None,
    beside: Iterable[Remark] = (),
) -> tuple[Finding, ...]:
    """Lint a plan; what was found `beside` gets its level and its reasons to pass there too."""
    beside = tuple(beside)
    if not made.steps or (place.options.lint == "off" and not beside):
        return ()
    from infra.schema import lint  # noqa: PLC0415 - it loads a parser, where something is pending

    there = seen.live
    if place.borrowed and there is not None and place.options.roles:
        # What the migrator will act as; an administrator looks in its place.
        there = replace(there, role=place.options.roles[0])
    return lint.lint(
        made,
        seen.history,
        there,
        options=place.options,
        folder=place.folder,
        url=place.url,
        rehearsal=rehearsal,
        beside=beside,
    )


def _look_ahead(place: Place, seen: Look, made: Plan) -> tuple[Remark, ...]:
    """Look at what is in a plan's way on the server at this moment."""
    if place.options.lint == "off" or not made.steps:
        return ()
    from infra.schema.preflight import findings  # noqa: PLC0415 - it loads a parser

    return findings.look(made, seen.history, seen.live, place.url, place.options)


def _refuse_unsound(place: Place, seen: Seen, say: Say) -> None:
    """Stop before anything runs, where lint finds errors and the stack refuses them.

    What is in the way at this moment is told whatever the stack says.
    """
    if not seen.plan.steps:
        return
    ahead = _look_ahead(place, seen, seen.plan)
    if place.options.lint == "refuse":
        checks = _ask_rows(place, seen, seen.plan).checks
        refusing = _refusing(place, seen, seen.plan, None, checks, ahead)
        if refusing:
            raise refusals.unsound(refusing)
    if ahead:
        from infra.schema import lint  # noqa: PLC0415 - as in _lint

        for each in lint.told(ahead, seen.plan, place.options):
            if each.level != "note" and not each.suppressed:
                say(f"{each.level}: {each.rule}: {each.message}", warning=True)


def _refusing(
    place: Place,
    seen: Look,
    made: Plan,
    known: tuple[Finding, ...] | None,
    checks: Sequence[DataCheck],
    ahead: Sequence[Remark],
) -> tuple[Finding, ...]:
    """Give the findings for which `up` stops; `known` are those without a rehearsal, if at hand."""
    if place.options.lint != "refuse" or not made.steps:
        return ()
    from infra.schema import lint  # noqa: PLC0415 - it loads a parser, where something is pending

    if known is None:
        known = _lint(place, seen, made, beside=(*data_checks.remarks(checks), *ahead))
    return lint.refusing(known)


def bring(place: Place, *, shown: str, say: Say, cancelled: Callable[[], bool]) -> Seen:
    """Run the plan; gives what there is afterwards.

    Args:
        place: Where.
        shown: Digest of the plan that was shown; empty runs any.
        say: Told of progress.
        cancelled: Asked before each revision whether to stop.

    Raises:
        MovedError: The plan is not the one that was shown.
        GroundworkError: There is no plan, or it failed.
    """
    seen = _answering(place)
    tell_drift(place, seen, say=say)
    if not seen.plan.steps and not seen.plan.stamp:
        return _settled(place, seen, say)
    if shown not in ("", seen.plan.digest):
        raise refusals.moved(seen.plan)
    plan.refuse_unapproved(seen.plan, place.options.policy)
    _refuse_unsound(place, seen, say)
    try:
        _run(place, seen.history, seen.plan, say, cancelled)
    except MovedError:
        # Another run was quicker: where it did the work, there is nothing left to complain of.
        after = _answering(place)
        if after.plan.steps:
            raise
        return after
    return _answering(place)


def _answering(place: Place) -> Seen:
    """Look at a database that has to be there."""
    if place.url is None:
        raise LiveError("The URL of the database is not known. Nothing was changed.")
    files = history.read(place.folder, variable=place.options.url_variable)
    there = live.read_for(files, place.url)
    refuse_other_cluster(place, there)
    return _seen(place, files, there)


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
    files = history.read(place.folder, variable=place.options.url_variable)
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


def _settled(place: Place, seen: Seen, say: Say) -> Seen:
    """With nothing to run, bring the recorded catalog up to date where that is wanted."""
    accepted = drift.accepted(seen.plan.drift, place.options.policy)
    unrecorded = seen.live.recorded is None or seen.live.recorded_heads != seen.live.heads
    if not accepted and not (unrecorded and seen.live.heads):
        return seen
    try:
        _run(place, seen.history, seen.plan, say, lambda: False)
    except LedgerError as exc:
        say(f"changes by hand can't be told from now on: {exc}", warning=True)
        return seen
    return _answering(place)


def tell_drift(place: Place, seen: Look, *, say: Say) -> None:
    """Name the objects that were changed by hand, and what becomes of each."""
    found = seen.plan.drift if seen.plan else ()
    taken = set(drift.accepted(found, place.options.policy))
    lines = [
        f"drift{' (accepted)' if each in taken else ''}: {catalog.worded(each)}"
        for each in found[:_DRIFT_LINES]
    ]
    lines += [f"drift: and {len(found) - _DRIFT_LINES} more"] if found[_DRIFT_LINES:] else []
    if lines:
        say("\n".join(lines), warning=len(taken) < len(found))


def accept(place: Place, objects: Sequence[str], *, say: Say) -> Seen:
    """Accept what was changed by hand in some objects: later comparisons begin with it.

    Args:
        place: Where.
        objects: By name, as drift names them, or with "*" for any characters.
        say: Told of progress.

    Raises:
        TargetError: One of them was not changed.
        GroundworkError: The ledger can't be written.
    """
    policy = replace(place.options.policy, drift="report", accepted_drift=())
    place = replace(place, options=replace(place.options, policy=policy))
    seen = _answering(place)
    for name in objects:
        only = replace(policy, accepted_drift=(name,))
        if not drift.accepted(seen.plan.drift, only):
            raise refusals.no_drift(name, seen.plan.drift)
    policy = replace(policy, accepted_drift=tuple(objects))
    place = replace(place, options=replace(place.options, policy=policy))
    heads = seen.live.heads
    _run(place, seen.history, Plan(before=heads, after=heads), say, lambda: False)
    return _answering(place)


def _run(place: Place, files: History, made: Plan, say: Say, cancelled: Callable[[], bool]) -> None:
    def tell(progress: Progress) -> None:
        say(line(progress), live=progress.state == "started")

    terms = apply.Terms(
        url=str(place.url),
        folder=place.folder,
        variable=place.options.url_variable,
        stack=place.stack,
        commit=commit(place.folder),
        lock_timeout=place.options.lock_timeout,
        statement_timeout=place.options.statement_timeout,
        policy=place.options.policy,
        approved=bool(place.options.policy.approved_plan),
    )
    outcome = apply.run(made, files, terms, progress=tell, cancelled=cancelled)
    for warning in outcome.warnings:
        say(warning, warning=True)


def leave(place: Place, *, say: Say, cancelled: Callable[[], bool]) -> None:
    """Part from the schema: leave it there, or take it back, as the stack says.

    Raises:
        GroundworkError: It can't be taken back.
    """
    if place.options.on_destroy == "retain" or place.url is None:
        say("the schema and its data stay in the database (on_destroy is retain)")
        return
    back = Policy(target="base", downgrade="allow", edited="accept")
    try:
        _run_back(replace(place, options=replace(place.options, policy=back)), say, cancelled)
    except DatabaseMissingError:
        return


def _run_back(place: Place, say: Say, cancelled: Callable[[], bool]) -> None:
    seen = _answering(place)
    if seen.plan.steps:
        _run(place, seen.history, seen.plan, say, cancelled)


def commit(folder: Path) -> str:
    """Give the commit that a folder is checked out at; empty where nobody knows."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
