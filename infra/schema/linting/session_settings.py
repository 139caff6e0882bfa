"""Settings of the session that Alembic keeps for later revisions, and this node does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.linting.remark import Remark
from infra.schema.statements import session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.linting.pending import Pending

__all__ = ["look"]


def look(pending: Iterable[Pending]) -> Iterator[Remark]:
    """Give the revisions that end with other settings than they began with."""
    for each in pending:
        names = session.lasting(statement.sql for statement in each.statements)
        if names:
            yield Remark(
                rule="setting-ends-with-revision",
                revision=each.step.revision,
                message=f"it sets {', '.join(names)} for the session: under alembic upgrade that"
                " lasts into the revisions after it, and here each revision begins as env.py"
                " leaves the session",
                help="Set it in each revision that needs it, or in both halves of env.py; with SET"
                " LOCAL where it is for this one alone.",
            )
