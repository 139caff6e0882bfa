"""The schemas of a database, and what roles may do in them."""

from __future__ import annotations

__all__ = ["APP_SCHEMA", "EXTENSION_SCHEMA", "READONLY", "READWRITE", "Reach"]

from dataclasses import dataclass

# What migrations make lives in the first, what an administrator installs in the second: an
# extension is never in the way of a schema that is dumped, compared or dropped.
APP_SCHEMA = "app"
EXTENSION_SCHEMA = "ext"


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
