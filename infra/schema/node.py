"""What the schema node does, for the engine and for the command line alike."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from infra.schema import (
    apply,
    catalog,
    database_guard,
    drift,
    history,
    live,
    plan,
    plan_review,
    refusals,
)
from infra.schema.errors import DatabaseMissingError, LedgerError, LiveError, MovedError
from infra.schema.model import History, Plan, Policy
from infra.schema.running.progress import Progress, line
from infra.schema.statements import losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from infra.schema.invocation import Invocation
    from infra.schema.model import Live
    from infra.schema.options import Options

__all__ = [
    "Look",
    "Place",
    "Say",
    "Seen",
    "accept",
    "bring",
    "leave",
    "look",
    "tell_drift",
]

_DRIFT_LINES = 20


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

    @property
    def invocation(self) -> Invocation:
        """How Alembic is called in the folder."""
        return self.options.invocation


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
    files = history.read(place.folder, place.invocation)
    note = "the URL of the database is not known yet"
    if place.url is not None:
        try:
            there = live.read_for(files, place.url)
        except DatabaseMissingError:
            note = "the server has no such database yet"
        except LiveError as exc:
            return Look(history=files, live=None, plan=None, unseen=_unseen(place, exc))
        else:
            database_guard.refuse_other_cluster(place, there)
            return _seen(place, files, there)
    made = plan.make(files, None, place.options.policy)
    made = replace(made, notes=(f"{note}: this is the way from nothing", *made.notes))
    return Look(history=files, live=None, plan=_called(place, made))


def _called(place: Place, made: Plan) -> Plan:
    """Say how Alembic is called, where that is not as usual."""
    command = place.invocation.command()
    return (
        replace(made, notes=(f"env.py is called with {command}", *made.notes)) if command else made
    )


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
            invocation=place.invocation,
            binaries=place.binaries,
        )
    made = _called(place, _with_losses(str(place.url), made))
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
    plan_review.refuse_unsound(place, seen, say)
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
    files = history.read(place.folder, place.invocation)
    there = live.read_for(files, place.url)
    database_guard.refuse_other_cluster(place, there)
    return _seen(place, files, there)


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
    if seen.plan and seen.plan.invalid:
        broken = ", ".join(seen.plan.invalid)
        say(f"INVALID index, which no query uses: {broken}", warning=True)


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
        invocation=place.invocation,
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
            cwd=folder if folder.is_dir() else folder.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
