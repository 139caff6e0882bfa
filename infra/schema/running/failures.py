"""What went wrong in a revision, and its words: what, where, what is kept, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from infra.schema.errors import LateError, MigrationError, MovedError
from infra.schema.running import causes
from infra.schema.running.causes import AGAIN, Cause
from infra.schema.running.versions import MOVED
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from infra.schema.model import Step

__all__ = [
    "AGAIN",
    "BLOCKED",
    "NOTHING",
    "NO_REVISION",
    "Failure",
    "Reason",
    "advice",
    "cause_of",
    "dropped",
    "failed",
    "heads",
    "is_driver",
    "late",
    "moved",
    "read",
]

_INTEGRITY = "23"  # the class whose DETAIL quotes rows
_LOST = ("08", "57P")
_CANCELED = "57014"
_FATAL = frozenset({"FATAL", "PANIC"})
_CREATE_EXTENSION = re.compile(r"\s*CREATE\s+EXTENSION\b", re.IGNORECASE)
_UNAVAILABLE = frozenset({"0A000", "58P01", "58P02"})

NOTHING = "Nothing was changed."
"""What a run kept that finished no revision, and wrote nothing else."""

BLOCKED = frozenset({"55P03", "57014"})
"""SQLSTATEs of a statement that has waited for too long: lock_timeout, statement_timeout."""

NO_REVISION = "No revision was finished."


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What PostgreSQL, the driver or a revision said.

    Attributes:
        text: The message, no secrets in it.
        sqlstate: PostgreSQL's, five characters; else empty.
        detail: PostgreSQL's; empty where it would quote rows.
        hint: PostgreSQL's.
        number: Of the statement in the revision, from 1; 0 for env.py's own, None if unknown.
        statement: Its text.
        lost: Whether the connection went, so that nobody knows yet what became of the revision.
        redone: Whether the statement is one that an interrupted run may have finished.
        cause: Whose fault it is; empty where the SQLSTATE says it.
        committed: Whether a revision that runs through env.py had committed something.
        finished: Whether the revision is there all the same: what came after it has failed.
        advice: What to do, where the cause does not say it all.
        inside: Whether it came out of the revision, and not out of env.py around it.
        unlocked: Whether env.py's session did not see the lock of this run.
    """

    text: str
    sqlstate: str = ""
    detail: str = ""
    hint: str = ""
    number: int | None = None
    statement: str = ""
    lost: bool = False
    redone: bool = False
    cause: Cause | Literal[""] = ""
    committed: bool = False
    finished: bool = False
    advice: str = ""
    inside: bool = True
    unlocked: bool = False


class Failure(Exception):  # noqa: N818 - carried inside; what a user gets is a MigrationError
    """One attempt at a revision did not succeed."""

    def __init__(self, reason: Reason) -> None:
        """Keep the reason."""
        super().__init__(reason.text)
        self.reason = reason

    @property
    def moved(self) -> bool:
        """Whether the version table was not as the revision needs it."""
        return self.reason.sqlstate == MOVED

    def at(self, number: int | None, statement: str) -> Failure:
        """Give the same, with its statement."""
        return Failure(replace(self.reason, number=number, statement=statement))


def is_driver(exc: BaseException) -> bool:
    """Say whether an exception is the driver's, or the system's below it."""
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    kinds = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(exc, (OSError, *kinds))


def dropped(exc: BaseException) -> bool:
    """Say whether an exception of asyncpg means that the connection is gone."""
    import asyncpg  # noqa: PLC0415 - loaded by whoever has a connection that can fail

    if isinstance(exc, asyncpg.PostgresError):
        severity = getattr(exc, "severity_en", None) or getattr(exc, "severity", "")
        return str(exc.sqlstate or "").startswith(_LOST) or severity in _FATAL
    if isinstance(exc, asyncpg.InterfaceError):
        return "clos" in str(exc)  # "connection is closed", "the connection was closed in ..."
    return isinstance(exc, OSError | asyncpg.InternalClientError)


def read(exc: BaseException) -> Failure:
    """Turn an exception of asyncpg into a failure."""
    fields: dict[str, Any] = getattr(exc, "__dict__", {})
    sqlstate = str(getattr(exc, "sqlstate", "") or "")
    detail = str(fields.get("detail") or "")
    return Failure(
        Reason(
            text=str(fields.get("message") or exc).strip() or type(exc).__name__,
            sqlstate=sqlstate,
            detail="" if sqlstate.startswith(_INTEGRITY) else detail,
            hint=str(fields.get("hint") or ""),
            lost=dropped(exc),
        )
    )


def failed(
    step: Step, reason: Reason, *, kept: str, tries: int, place: str, blocker: str = ""
) -> MigrationError:
    """Word that a revision failed for good.

    Args:
        step: Which one.
        reason: What was said.
        kept: What the run had finished before.
        tries: How often it was tried.
        place: Where, HOST:PORT/DATABASE.
        blocker: Who was in its way.
    """
    lines = [_heading(step, reason, place, f" after {tries} tries" if tries > 1 else "")]
    said = f"PostgreSQL said ({reason.sqlstate}): " if reason.sqlstate else ""
    lines.append(f"{said}{reason.text}")
    lines += [f"DETAIL: {reason.detail}"] if reason.detail else []
    lines += [f"HINT: {reason.hint}"] if reason.hint else []
    lines += [f"It waited for {blocker}."] if blocker and reason.sqlstate in BLOCKED else []
    # A statement outside of a transaction may leave something, an INVALID index for example.
    commits = reason.committed or step.script.autocommit
    kept = NO_REVISION if commits and kept == NOTHING else kept
    lines += [" ".join(filter(None, (_undone(step, reason), kept))), _next(step, reason)]
    return MigrationError("\n".join(lines), revision=step.revision, sqlstate=reason.sqlstate)


def late(
    step: Step | None, running: tuple[int, str] | None, seconds: float | None, kept: str
) -> LateError:
    """Word that a run was ended at its deadline.

    Args:
        step: Where it was; None before the first.
        running: The statement that had not ended; None where it was the revision's own code.
        seconds: The deadline.
        kept: What the run had finished before.
    """
    if step is None:
        where = "before the first revision"
    elif running is None or step.script.live:
        where = f"in revision {step.revision}, which runs live: its code, or what it sent"
    else:
        number, statement = running
        where = f"in revision {step.revision}, statement {number}: {first_line(statement)}"
    return LateError(
        f"Not finished after {seconds or 0:g} s, and ended {where}. {kept} Look for a wait or a"
        " loop in it, or allow more time.",
        revision=step.revision if step else "",
    )


def moved(planned: tuple[str, ...], found: tuple[str, ...], *, kept: str, place: str) -> MovedError:
    """Word that the database is not where the plan, or the next step of it, begins."""
    return MovedError(
        f"{place} has moved: planned from {heads(planned)}, and it is at {heads(found)}. Somebody"
        f" else migrated it, or restored it. {kept} Look at a new preview, then run again.",
        planned=planned,
        found=found,
    )


def heads(rows: tuple[str, ...]) -> str:
    """Word the rows of a version table."""
    return ", ".join(rows) or "base"


def _heading(step: Step, reason: Reason, place: str, often: str) -> str:
    name = f"{step.revision} ({step.message})" if step.message else step.revision
    down = "" if step.direction == "up" else "the downgrade of "
    if reason.finished:
        end = _where(step, reason)
        return f"env.py failed on {place} after {down}revision {name} was finished{end}"
    if step.script.live and not reason.inside:
        return f"env.py failed on {place} at {down}revision {name}{often}{_where(step, reason)}"
    word = f"{down}revision"
    return f"{word[0].upper()}{word[1:]} {name} failed on {place}{often}{_where(step, reason)}"


def advice(reason: Reason) -> str:
    """Write what to do about a failure of this project's own statements."""
    cause = "network" if reason.lost else causes.of_sqlstate(reason.sqlstate)
    if reason.lost or cause == "revision":
        return "Run again."
    return causes.advice(cause, reason.sqlstate)


def cause_of(step: Step, reason: Reason) -> Cause:
    """Say whose fault a failure is."""
    if reason.cause:
        return reason.cause
    if reason.lost:
        return "network"
    found = causes.of_sqlstate(reason.sqlstate)
    if found == "revision" and not _owned(step, reason):
        return "env.py"
    return found


def _owned(step: Step, reason: Reason) -> bool:
    """Say whether the statement that failed is the revision's own, as far as that is known."""
    if reason.number is None:
        return True
    leading, trailing = step.script.leading, step.script.trailing
    return leading < reason.number <= len(step.script.statements) - trailing


def _where(step: Step, reason: Reason) -> str:
    total = len(step.script.statements)
    if reason.number == 0:
        return f", in what env.py sends before it: {first_line(reason.statement)}"
    if reason.number is not None:
        own = "" if _owned(step, reason) else "in what env.py sends, "
        place = f", {own}statement {reason.number} of {total}"
        return f"{place}: {first_line(reason.statement)}"
    return f": {first_line(reason.statement)}" if reason.statement else "."


def _undone(step: Step, reason: Reason) -> str:
    if reason.finished:
        return ""
    if step.script.live and reason.committed:
        return "It was undone, except for what it had committed in an autocommit block."
    if step.script.autocommit:
        return "What it had committed is kept, and the next run goes on after that."
    return "It was undone."


def _next(step: Step, reason: Reason) -> str:
    if reason.redone:
        return (
            "An interrupted run may have finished this statement already: statements in autocommit"
            " must be safe to run twice. Put right what it left, or write it so, and run again."
        )
    if reason.advice:
        return reason.advice
    if reason.sqlstate == _CANCELED and "statement timeout" in reason.text:
        return "If it needs longer, give the revision its own statement_timeout. Then run again."
    if _CREATE_EXTENSION.match(reason.statement) and reason.sqlstate in _UNAVAILABLE:
        return "Install the extension's files on the server, and run again."
    return causes.advice(
        cause_of(step, reason), "" if reason.lost else reason.sqlstate, direction=step.direction
    )
