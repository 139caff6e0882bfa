"""How a plan reads: for the engine's preview, for JSON and for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema import catalog
from infra.schema.model import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.schema.model import History, Script, Step

__all__ = [
    "BLIND",
    "blind",
    "brief",
    "event",
    "history",
    "pending",
    "properties",
    "summary",
    "text",
]

BLIND = "can't be told"
"""How the line of a plan begins where the database could not be asked."""

_LOCKS = 6
_BRIEF = 20
_SHORT = 12


def properties(plan: Plan) -> dict[str, Any]:
    """Give a plan as properties of a resource: plain data, the most important first.

    Returns:
        `plan`, a line; `approve`, the plan's digest; `pending`, by revision what runs; `drift`, by
        object what was changed by hand; `notes`, lines. Empty ones stay in, so that a difference
        is one of values.
    """
    return {
        "plan": summary(plan),
        "approve": plan.digest if plan.steps or plan.stamp else "",
        "pending": pending(plan),
        "drift": {change.object: catalog.worded(change) for change in plan.drift},
        "notes": list(plan.notes),
    }


def blind(why: str) -> dict[str, Any]:
    """Give the properties of a plan that can't be made, since the database can't be asked."""
    return {**properties(Plan()), "plan": f"{BLIND}: {why}"}


def summary(plan: Plan) -> str:
    """Say a plan in one line."""
    up = sum(step.direction == "up" for step in plan.steps)
    down = len(plan.steps) - up
    live = sum(bool(step.script.live) for step in plan.steps)
    said = [
        f"{len(plan.stamp)} to adopt without running" if plan.stamp else "",
        f"{down} to take back" if down else "",
        f"{up} to apply" if up else "",
        f"{live} of them live" if live else "",
        f"{len(plan.drift)} changed by hand" if plan.drift else "",
    ]
    at = ", ".join(plan.after) or "base"
    what = ", ".join(part for part in said if part)
    return f"{what}; then at {at}" if what else f"at {at}, nothing to do"


def pending(plan: Plan) -> dict[str, dict[str, Any]]:
    """Give what runs, by revision; `message` begins with its place in the order."""
    total = len(plan.steps)
    return {
        step.revision: _pending(step, f"{number}/{total}")
        for number, step in enumerate(plan.steps, 1)
    }


def _pending(step: Step, place: str) -> dict[str, Any]:
    taken = "take back: " if step.direction == "down" else ""
    said: dict[str, Any] = {"message": f"{place} {taken}{step.message}".rstrip()}
    if step.script.live:
        said["live"] = f"runs live, no SQL in advance: {step.script.live}"
    else:
        said["locks"] = _locks(step.script)
        said["sql"] = list(step.script.statements)
    if step.loses:
        said["loses"] = ", ".join(step.loses)
    if step.script.autocommit:
        said["commits"] = "statement by statement: an interrupted run is gone on with"
    if step.direction == "up":
        said["downgrade"] = _downgrade(step.undo)
    return said


def _locks(script: Script) -> str:
    if not script.locks:
        return "none on what is there"
    said = [f"{lock.mode} on {lock.relation}" for lock in script.locks[:_LOCKS]]
    more = len(script.locks) - len(said)
    return ", ".join(said) + (f" and {more} more" if more else "")


def _downgrade(undo: Script) -> str:
    if undo.absent:
        return f"none: {undo.live}"
    return f"runs live: {undo.live}" if undo.live else "available"


def text(plan: Plan) -> str:
    """Give a plan as a person reads it on a terminal: whole, with all its SQL."""
    said = properties(plan)
    lines = [said["plan"]]
    lines += [f"note: {note}" for note in said["notes"]]
    lines += [f"by hand: {words}" for words in said["drift"].values()]
    for revision, step in said["pending"].items():
        lines += ["", f"{revision}  {step['message']}"]
        lines += [
            f"  {key}: {step[key]}" for key in ("live", "loses", "locks", "commits") if key in step
        ]
        lines += [f"  {key}: {step[key]}" for key in ("downgrade",) if key in step]
        for statement in step.get("sql", ()):
            lines += ["", *(f"    {line}" for line in f"{statement};".splitlines())]
    if said["approve"]:
        lines += ["", f"approve: {said['approve']}"]
    return "\n".join(lines)


def brief(plan: Plan) -> str:
    """Give a plan in a few lines, for the messages of a preview; empty where there is nothing."""
    said = properties(plan)
    lines = [f"note: {note}" for note in said["notes"]]
    lines += [f"by hand: {words}" for words in list(said["drift"].values())[:_BRIEF]]
    for revision, step in list(said["pending"].items())[:_BRIEF]:
        about = [step.get("live", ""), *(step.get(key, "") for key in ("loses", "locks"))]
        words = (step["message"], about[0], about[1] and f"loses {about[1]}", about[2])
        lines.append(f"{revision} {'; '.join(word for word in words if word)}")
    more = max(len(said["drift"]), len(said["pending"])) - _BRIEF
    lines += [f"and {more} more"] if more > 0 else []
    if not lines:
        return ""
    digest = [f"approve: {said['approve']}"] if said["approve"] else []
    return "\n".join([said["plan"], *lines, *digest])


def history(files: History) -> str:
    """List the revisions of an Alembic directory, a line each."""
    lines = []
    for revision in files.revisions:
        how = f"  (runs live: {revision.upgrade.live})" if revision.upgrade.live else ""
        head = "  (head)" if revision.id in files.heads else ""
        lines.append(f"{revision.id}  {revision.message}{head}{how}")
    return "\n".join(lines) or "no revisions"


def event(row: Mapping[str, Any]) -> str:
    """Say a row of the ledger in a line: when, what, how long, and who ran it from where."""
    begun = " (not finished)" if row["state"] == "begun" else ""
    who = " ".join(filter(None, (row["login"], row["stack"], row["commit"][:_SHORT])))
    what = f"{row['direction']:5} {row['revision']}  {row['message']}{begun}"
    return f"{row['at']}  {what}  {row['seconds']:.1f} s  {who}"
