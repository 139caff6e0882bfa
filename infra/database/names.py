"""What roles may do with what is in a schema."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.roles import Roles

__all__ = ["READONLY", "READWRITE", "Reach", "privileges_by_group"]


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


def privileges_by_group(roles: Roles) -> dict[str, dict[str, list[str]]]:
    """Give what each group may do, by the group's name and the kind of object."""
    groups = {roles.readwrite: READWRITE, roles.readonly: READONLY}
    return {
        group: {kind: list(words) for kind, words in asdict(reach).items()}
        for group, reach in groups.items()
    }
