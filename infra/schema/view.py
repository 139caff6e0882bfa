"""How a plan reads: for the engine's preview, for JSON and for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema import catalog
from infra.schema.model import Plan
from toolchain.visible_text import visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.schema.model import History, Script, Step
    from infra.schema.review import Finding, Rehearsal, Review

__all__ = [
    "BLIND",
    "approve",
    "blind",
    "brief",
    "event",
    "findings",
    "history",
    "pending",
    "properties",
    "rehearsal",
    "reviewed",
    "summary",
    "text",
]

BLIND = "can't be told"
"""How the line of a plan begins where the database could not be asked."""

_ABOUT = ("live", "environment", "loses", "locks", "commits", "downgrade")
_LOCKS = 6
_BRIEF = 20
_WHOLE = 60  # lines of SQL that a preview shows without leaving any out
_SHOWN = 12  # lines of each revision, where there are more
_REST = 3  # lines that are shown rather than counted
_WIDTH = 300
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
        "approve": approve(plan),
        "pending": pending(plan),
        "drift": {change.object: catalog.worded(change) for change in plan.drift},
        "notes": list(plan.notes),
    }


def approve(plan: Plan) -> str:
    """Give the digest for `approved_plan`; empty where nothing would run."""
    return plan.digest if plan.steps or plan.stamp else ""


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
        f"INVALID index {', '.join(plan.invalid)}" if plan.invalid else "",
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
    if not step.script.live or step.script.environment:
        said["locks"] = _locks(step.script)
        said["sql"] = list(step.script.statements)
    if step.script.environment:
        said["environment"] = _environment(step.script)
    if step.loses:
        said["loses"] = ", ".join(step.loses)
    if step.script.autocommit:
        said["commits"] = "statement by statement: an interrupted run is gone on with"
    if step.direction == "up":
        said["downgrade"] = _downgrade(step.undo)
    return said


def _environment(script: Script) -> str:
    """Say which statements are env.py's own."""
    ends = (("first", script.leading), ("last", script.trailing))
    said = [
        f"the {end} {f'{number} statements' if number > 1 else 'statement'}"
        for end, number in ends
        if number
    ]
    return f"env.py itself sends {' and '.join(said)}"


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
    lines += [visible_line(f"note: {note}") for note in said["notes"]]
    lines += [visible_line(f"by hand: {words}") for words in said["drift"].values()]
    for revision, step in said["pending"].items():
        lines += ["", visible_line(f"{revision}  {step['message']}")]
        lines += [visible_line(f"  {key}: {step[key]}") for key in _ABOUT if key in step]
        for statement in step.get("sql", ()):
            lines += ["", *_sql(statement)]
    if said["approve"]:
        lines += ["", f"approve: {said['approve']}"]
    return "\n".join(lines)


def brief(plan: Plan) -> str:
    """Give a plan in a few lines, for the messages of a preview; empty where there is nothing."""
    said = properties(plan)
    whole = len([each for step in plan.steps for each in _lines(step.script.statements)]) <= _WHOLE
    lines = [visible_line(f"note: {note}") for note in said["notes"]]
    lines += [visible_line(f"by hand: {words}") for words in list(said["drift"].values())[:_BRIEF]]
    for revision, step in list(said["pending"].items())[:_BRIEF]:
        about = [step.get("live", ""), *(step.get(key, "") for key in ("loses", "locks"))]
        words = (step["message"], about[0], about[1] and f"loses {about[1]}", about[2])
        lines.append(visible_line(f"{revision} {'; '.join(word for word in words if word)}"))
        lines += _excerpt(step.get("sql", ()), whole=whole)
    more = max(len(said["drift"]), len(said["pending"])) - _BRIEF
    lines += [f"and {more} more"] if more > 0 else []
    if not lines:
        return ""
    digest = [f"approve: {said['approve']}"] if said["approve"] else []
    return "\n".join([said["plan"], *lines, *digest])


def _excerpt(statements: Sequence[str], *, whole: bool) -> list[str]:
    """Give the SQL of a revision, or its first lines and how many more there are."""
    lines = _lines(statements)
    few = len(lines) <= _SHOWN + _REST
    shown = lines if whole or few else lines[:_SHOWN]
    cut = [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in shown]
    more = len(lines) - len(shown)
    return cut + ([f"    ... and {more:,} more lines, which the report has"] if more else [])


def _lines(statements: Sequence[str]) -> list[str]:
    return [line for statement in statements for line in _sql(statement)]


def _sql(statement: str) -> list[str]:
    """Give the lines of a statement, ended as psql wants it and indented."""
    text = visible(statement).strip("\n")
    comment = "--" in text.rpartition("\n")[2]
    ended = text if text.endswith(";") else f"{text}\n;" if comment else f"{text};"
    return [f"    {line}" for line in ended.split("\n")]


def reviewed(found: Review) -> str:
    """Give a review in a few lines, for the messages of a preview; empty where there is nothing."""
    if found.plan is None:
        return ""
    lines = [brief(found.plan)]
    told = [each for each in found.findings if each.level != "note" and not each.suppressed]
    lines += [
        visible_line(" ".join((f"{each.level}:", each.revision, f"{each.rule}: {each.message}")))
        for each in told[:_BRIEF]
    ]
    lines += [f"and {len(told) - _BRIEF} more findings"] if len(told) > _BRIEF else []
    lines += _rows(found)
    lines += [f"up refuses: {why}" for why in found.refuses]
    lines += _rehearsed(found.rehearsal) if found.rehearsal else []
    return "\n".join(filter(None, lines))


def _rows(found: Review) -> list[str]:
    """Say of statements that depend on rows what is known, where no finding says it."""
    told = [
        f"rows: {each.revision} {'downgrade ' * each.undo}{each.relation}: {each.text}"
        for each in found.data_checks
        if each.outcome in {"holds", "rehearsed"}
    ]
    more = len(told) - _BRIEF
    return told[:_BRIEF] + ([f"and {more} more answers of the rows"] if more > 0 else [])


def findings(found: Sequence[Finding]) -> str:
    """List what lint found, with what to do about it."""
    lines = []
    for each in found:
        why = f" (let pass: {each.suppressed})" if each.suppressed else ""
        where = f"{each.revision} " if each.revision else ""
        lines.append(visible_line(f"{each.level}: {where}{each.rule}: {each.message}{why}"))
        lines += [f"    {each.help}"] if each.help and not each.suppressed else []
    return "\n".join(lines) or "nothing found"


def rehearsal(seen: Rehearsal) -> str:
    """Tell how a rehearsal went: by revision time, locks, what was written anew and built."""
    lines = _rehearsed(seen)
    for step in seen.steps:
        lines += ["", f"{step.revision}  {step.seconds * 1000:.0f} ms, {step.wal} bytes of WAL"]
        lines += [
            f"  {lock.mode} on {lock.relation} for {lock.seconds * 1000:.0f} ms"
            for lock in step.locks
        ]
        lines += [f"  writes {each.relation} anew" for each in step.rewritten]
        lines += [f"  empties {each}" for each in step.emptied]
        lines += [f"  builds {each.index} on {each.relation}" for each in step.built]
        for sent in step.sent:
            time = f"{sent.seconds * 1000:.1f} ms"
            lines += ["", f"    -- {time}", *_sql(sent.sql)]
    lines += [""] if seen.notes else []
    return "\n".join([*lines, *(f"note: {note}" for note in seen.notes)])


def _rehearsed(seen: Rehearsal) -> list[str]:
    """Say in a few lines how a rehearsal went."""
    taken = sum(step.seconds for step in seen.steps)
    made = [number for number in seen.generated.values() if number]
    over = f", over {sum(made):,} made-up rows in {len(made)} of its tables" if made else ""
    lines = [f"rehearsed in {taken:.1f} s on {seen.base}{over}"]
    for step in seen.steps:
        tables = [f"writes {each.relation} anew" for each in step.rewritten]
        if tables:
            lines.append(f"{step.revision} {', '.join(tables)}")
    if seen.failure:
        return lines
    if seen.unreturned:
        lines.append(f"way back: {seen.unreturned}")
    elif seen.returned:
        lines.append(f"way back: leaves {len(seen.returned)} objects other than they were")
    elif seen.back:
        lines.append("way back: rehearsed, and all is as before")
    lines += [f"models: {each}" for each in seen.differs[:_BRIEF]]
    return lines


def history(files: History) -> str:
    """List the revisions of an Alembic directory, a line each."""
    lines = []
    for revision in files.revisions:
        how = f"  (runs live: {revision.upgrade.live})" if revision.upgrade.live else ""
        head = "  (head)" if revision.id in files.heads else ""
        lines.append(visible_line(f"{revision.id}  {revision.message}{head}{how}"))
    return "\n".join(lines) or "no revisions"


def event(row: Mapping[str, Any]) -> str:
    """Say a row of the ledger in a line: when, what, how long, and who ran it from where."""
    begun = " (not finished)" if row["state"] == "begun" else ""
    who = " ".join(filter(None, (row["login"], row["stack"], row["commit"][:_SHORT])))
    what = f"{row['direction']:5} {row['revision']}  {row['message']}{begun}"
    return visible_line(f"{row['at']}  {what}  {row['seconds']:.1f} s  {who}")
