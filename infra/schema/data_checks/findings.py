"""Answers of the live rows as findings, and beside what a rehearsal has run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema.linting.remark import Remark
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.review import DataCheck, Rehearsal

__all__ = ["remarks", "with_rehearsal"]

_RULES = {
    "violated": "rows-violate",
    "likely": "rows-may-violate",
    "unchecked": "rows-not-checked",
}
_HELP = {
    "rows-violate": "Change the rows first, in an earlier revision or an earlier statement of it.",
    "rows-not-checked": "Look at the rows yourself, or rehearse it over made-up rows.",
    "downgrade-rows-violate": "Write a downgrade that bears rows: nullable, with a default, or"
    " NOT VALID.",
    "made-up-rows-fail": "Look whether live rows may have such values.",
}


def remarks(checks: Iterable[DataCheck], rehearsal: Rehearsal | None = None) -> Iterator[Remark]:
    """Give what a reviewer must know of the rows; of a downgrade only that it fails."""
    for each in checks:
        rule = _RULES.get(each.outcome, "")
        if each.undo:
            rule = "downgrade-rows-violate" if each.outcome in {"violated", "likely"} else ""
        if rule:
            place = f"{each.relation}: " if each.relation else ""
            yield Remark(
                rule=rule,
                revision=each.revision,
                message=f"{place}{each.text}",
                help=_HELP.get(rule, ""),
                statement=each.statement,
            )
    if rehearsal is not None and rehearsal.refused:
        yield Remark(
            rule="made-up-rows-fail",
            revision="",
            message=f"{rehearsal.refused}; without rows all revisions run",
            help=_HELP["made-up-rows-fail"],
        )


def with_rehearsal(
    checks: Iterable[DataCheck], rehearsal: Rehearsal | None
) -> tuple[DataCheck, ...]:
    """Say of what the live rows can't tell, over how many rows the rehearsal ran it."""
    if rehearsal is None:
        return tuple(checks)
    rows = {Sentence(label).name(): count for label, count in rehearsal.generated.items()}
    counts = {name.key: count for name, count in rows.items() if name is not None}
    return tuple(_rehearsed(each, rehearsal, counts.get(each.live, 0)) for each in checks)


def _rehearsed(check: DataCheck, rehearsal: Rehearsal, rows: int) -> DataCheck:
    ran = rehearsal.back if check.undo else rehearsal.steps
    step = next((each for each in ran if each.revision == check.revision), None)
    if check.outcome != "unchecked" or not check.number or step is None or step.failure:
        return check
    if check.live and not rows:
        return replace(check, text=f"{check.text}; the rehearsal has no rows there")
    over = f"over {rows:,} made-up rows" if check.live else "over the rows that the plan makes"
    return replace(check, outcome="rehearsed", text=f"{check.text}; the rehearsal ran it {over}")
