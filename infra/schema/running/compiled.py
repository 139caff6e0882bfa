"""Runs one revision whose SQL is known, in one transaction and one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema import ledger
from infra.schema.running.compose import keep, transaction
from infra.schema.running.pieces import Pieces

if TYPE_CHECKING:
    from infra.schema.model import Step
    from infra.schema.running.session import Session

__all__ = ["run"]


async def run(session: Session, step: Step) -> None:
    """Try a step once; all of its bookkeeping commits with it.

    Raises:
        Failure: It did not succeed.
    """
    if step.script.autocommit:
        await Pieces(session, step).run()
    else:
        frame = session.frame
        numbered = list(enumerate(step.script.statements, start=1))
        moves = frame.table.move(step.before, step.after)
        keeping = keep(frame, moves=moves, events=[ledger.event(frame.run, step)])
        await session.send(transaction(frame, step, numbered, compare=True, keeping=keeping))
    session.made()
