"""The file groundwork.json of a data directory: whose the cluster is, and what was made in it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Self

from infra.servers.local import owned_files

if TYPE_CHECKING:
    from pathlib import Path

    from infra.servers.session import Login

__all__ = ["FILE", "Mark", "still_there"]

FILE = "groundwork.json"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a stack has noted in a data directory.

    A state can be lost, and the directory can be kept by a destroy: then this alone tells the
    stack that comes to it what is inside, before there is a server to ask.

    Attributes:
        owner: The stack that has the cluster, "project/stack"; "" where no stack made it.
        claim: What the stack's state knows the cluster by, 16 hexadecimal digits: another stack
            that takes the cluster over writes another one; "" where an earlier version made it.
        roles: Names of the roles that it has in the cluster.
        database: Name of its database; "" for none.
    """

    owner: str = ""
    claim: str = ""
    roles: tuple[str, ...] = ()
    database: str = ""

    @classmethod
    def read(cls, data: Path) -> Self:
        """Read what is noted; a directory without a note, or with a torn one, has no owner."""
        try:
            noted = json.loads(owned_files.read_text(data, FILE))
            return cls(
                owner=str(noted["owner"]),
                claim=str(noted.get("claim", "")),
                roles=tuple(map(str, noted.get("roles", ()))),
                database=str(noted.get("database", "")),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def belongs_to(self, *owners: str, claim: str = "") -> bool:
        """Tell whether the cluster is a stack's.

        Args:
            owners: The names that the stack may have here, "project/stack".
            claim: What its state knows the cluster by; "" where it has none.
        """
        if claim and self.claim:
            return claim == self.claim  # whatever the stack has been renamed to
        return self.owner in owners

    def text(self) -> str:
        """Give the text of the file."""
        return json.dumps(asdict(self)) + "\n"


def still_there(mark: Mark, login: Login) -> Mark:
    """Give the mark without what is not in the cluster any more.

    Raises:
        ProbeError: The server doesn't answer, or refuses.
    """

    async def ask() -> Mark:
        async with login.session() as session:
            roles = await session.fetch(
                "SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1)", list(mark.roles)
            )
            database = await session.fetchval(
                "SELECT datname::text FROM pg_database WHERE datname = $1", mark.database
            )
        there = {row[0] for row in roles}
        kept = tuple(name for name in mark.roles if name in there)
        return replace(mark, roles=kept, database=database or "")

    return asyncio.run(ask())
