"""A finding before its level is known."""

from __future__ import annotations

from dataclasses import dataclass

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
