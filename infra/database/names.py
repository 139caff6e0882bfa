"""What roles may do with what is in a schema."""

from __future__ import annotations

__all__ = ["READONLY", "READWRITE", "Reach"]

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a group may do with what migrations make, in PostgreSQL's words.

    One by one, since ALL means something else in every version (17 added MAINTAIN).

    Attributes:
        table: With tables and views.
        sequence: With sequences.
        function: With functions and procedures.
    """

    table: tuple[str, ...]
    sequence: tuple[str, ...]
    function: tuple[str, ...] = ("EXECUTE",)


READWRITE = Reach(table=("SELECT", "INSERT", "UPDATE", "DELETE"), sequence=("USAGE", "SELECT"))
READONLY = Reach(table=("SELECT",), sequence=("SELECT",))
