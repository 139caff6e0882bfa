"""What the files of revisions say may pass, and whether they say so with reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.linting import levels
from infra.schema.linting.remark import Remark

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from infra.schema.linting.pending import Pending

__all__ = ["look", "reason"]


def reason(pending: Pending, rule: str) -> str:
    """Give why findings of a rule may pass in a revision; empty where they may not."""
    return _given(pending).get(rule, "")


def look(
    pending: Iterable[Pending],
    found: Container[tuple[str, str]],
    unchecked: Container[tuple[str, str]],
) -> Iterator[Remark]:
    """Give the suppressions that say nothing: without a reason, or without a finding.

    Args:
        pending: The revisions that were looked at.
        found: Revision and rule of each finding, also of those that don't count this time.
        unchecked: Revision and rule of what could not be looked for, or is not wanted.
    """
    for each in pending:
        revision = each.step.revision
        for rule, why in _given(each).items():
            if not why:
                yield Remark(
                    rule="suppression-without-reason",
                    revision=revision,
                    message=f"lint_ignore gives no reason for {rule}, and does not count",
                    help="Write why it may pass: lint_ignore is read by those who come later.",
                )
            elif (revision, rule) not in found and (revision, rule) not in unchecked:
                known = levels.known(rule)
                what = "nothing of the kind is found" if known else "there is no rule of that name"
                yield Remark(
                    rule="unused-suppression",
                    revision=revision,
                    message=f"lint_ignore names {rule}, and {what}",
                    help="Take it out.",
                )


def _given(pending: Pending) -> dict[str, str]:
    return {levels.rule_named(rule): why.strip() for rule, why in pending.step.ignores.items()}
