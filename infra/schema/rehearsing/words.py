"""The words of a rehearsal that did not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.errors import LateError
from infra.schema.running import causes
from infra.schema.running.failures import Failure, cause_of
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from infra.schema.errors import MigrationError
    from infra.schema.model import Plan
    from infra.schema.running.failures import Reason

__all__ = ["failed", "refused", "unreturned"]

_NULL = "23502"  # not_null_violation
_UNTOUCHED = "The live database was read, and nothing in it was changed."


def failed(
    exc: MigrationError, plan: Plan, timeout: str, *, made_up: bool = False
) -> tuple[str, str]:
    """Word that a step failed, on the throwaway server alone: the whole, and why in a line.

    Args:
        exc: What `apply` raised there.
        plan: What was rehearsed.
        timeout: How long the whole may take, as the stack says it.
        made_up: Whether it ran over made-up rows.
    """
    names = {step.revision: step.message for step in plan.steps}
    message = names.get(exc.revision, "")
    name = f"{exc.revision} ({message})" if message else exc.revision
    if isinstance(exc, LateError):
        where = _ended(exc).removeprefix(", ") or "before the first revision"
        said = (
            f"The rehearsal was ended after {timeout} {where}."
            f" {_UNTOUCHED} Look for a wait or a loop in it, or raise rehearse_timeout."
        )
        return said, f"not finished after {timeout}, and ended"
    reason = _reason(exc)
    if reason is None:
        return f"The rehearsal failed: {exc}\n{_UNTOUCHED}", str(exc).splitlines()[0]
    direction = next((s.direction for s in plan.steps if s.revision == exc.revision), "up")
    what = "revision" if direction == "up" else "the downgrade of revision"
    lines = [f"The rehearsal failed in {what} {name}{_where(reason)}", *_said(reason)]
    if made_up:
        lines.append("It ran over made-up rows, of which as many are NULL as of the live ones.")
    lines.append(f"{_UNTOUCHED} {_next(exc, plan, reason)}")
    return "\n".join(lines), _said(reason)[0]


def _next(exc: MigrationError, plan: Plan, reason: Reason) -> str:
    step = next((s for s in plan.steps if s.revision == exc.revision), None)
    cause = cause_of(step, reason) if step else "revision"
    if cause in {"revision", "env.py"}:
        what = "env.py" if cause == "env.py" else "the revision"
        return f"Fix {what}, and look at a new preview."
    return causes.advice(cause, reason.sqlstate)


def refused(exc: MigrationError, plan: Plan) -> str:
    """Word in a line what failed over made-up rows; empty where that is no fault of their values.

    As many of them are NULL as of the live ones: where a NULL is refused, the live ones fail too.
    """
    reason = _reason(exc)
    if isinstance(exc, LateError) or (reason is not None and reason.sqlstate == _NULL):
        return ""
    direction = next((s.direction for s in plan.steps if s.revision == exc.revision), "up")
    what = "revision" if direction == "up" else "the downgrade of revision"
    if reason is None:
        return f"{what} {exc.revision} failed over made-up rows: {str(exc).splitlines()[0]}"
    where = _where(reason).rstrip(".")
    return f"{what} {exc.revision} failed over made-up rows{where}: {_said(reason)[0]}"


def unreturned(exc: MigrationError, plan: Plan) -> str:
    """Word in one line that a downgrade failed there."""
    if isinstance(exc, LateError):
        name = exc.revision or plan.steps[0].revision
        return f"the downgrade of {name} did not end in time{_ended(exc)}"
    reason = _reason(exc)
    said = "; ".join(_said(reason)) if reason else str(exc).splitlines()[0]
    where = _where(reason).rstrip(".") if reason else ""
    return f"the downgrade of {exc.revision} failed{where}: {said}"


def _ended(exc: LateError) -> str:
    """Say where a deadline has met a run."""
    where = str(exc).partition(", and ended ")[2].partition(". ")[0]
    return f", {where}" if where else ""


def _reason(exc: MigrationError) -> Reason | None:
    return exc.__cause__.reason if isinstance(exc.__cause__, Failure) else None


def _where(reason: Reason) -> str:
    statement = first_line(reason.statement)
    if reason.number:
        return f", statement {reason.number}: {statement}"
    return f": {statement}" if statement else "."


def _said(reason: Reason) -> list[str]:
    said = f"PostgreSQL said ({reason.sqlstate}): " if reason.sqlstate else ""
    lines = [f"{said}{reason.text}"]
    lines += [f"DETAIL: {reason.detail}"] if reason.detail else []
    return lines + ([f"HINT: {reason.hint}"] if reason.hint else [])
