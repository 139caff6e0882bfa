"""A finding before its level is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.schema.linting.pending import Statement

__all__ = ["Remark"]


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something that a rule found.

    Attributes:
        rule: Name of the rule.
        revision: The revision that it is about; empty for none.
        message: One line.
        help: What to do instead; may be empty.
        statement: The SQL that it is about; empty for the revision as a whole.
        number: Place of the statement in the plan, from 1; 0 for the revision as a whole.
    """

    rule: str
    revision: str
    message: str
    help: str = ""
    statement: str = ""
    number: int = 0

    @classmethod
    def of(cls, statement: Statement, rule: str, message: str, advice: str = "") -> Remark:
        """Build one about a statement; white space in the texts is folded."""
        return cls(
            rule=rule,
            revision=statement.revision,
            message=" ".join(message.split()),
            help=" ".join(advice.split()),
            statement=statement.sql,
            number=statement.number,
        )
