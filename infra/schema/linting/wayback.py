"""What taking a revision back would cost, or why it can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.linting.remark import Remark
from infra.schema.statements import losses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.linting.pending import Pending

__all__ = ["look"]


def look(pending: Iterable[Pending]) -> Iterator[Remark]:
    """Give what each revision's downgrade loses, or that there is none."""
    for each in pending:
        undo, revision = each.step.undo, each.step.revision
        lost = ", ".join(loss.text for loss in _lost(each))
        if undo.absent:
            yield Remark(
                rule="no-way-back",
                revision=revision,
                message="it can't be taken back: its file has no downgrade",
                help="Write one, or say in lint_ignore why there is none.",
            )
        elif lost:
            yield Remark(
                rule="downgrade-loses-data",
                revision=revision,
                message=f"taking it back drops or empties {lost}",
                help="Once the release has written there, go forward instead of back.",
            )


def _lost(pending: Pending) -> list[losses.Loss]:
    """List what a downgrade drops or empties, without what the revision itself made empty."""
    found = list(losses.named(pending.step.undo.statements))
    if pending.unknown or any(each.hides for each in pending.statements):
        return found  # what it fills is unknown
    made = losses.made_empty(each.sql for each in pending.statements)
    return [loss for loss in found if not losses.kept_by(loss, made)]
