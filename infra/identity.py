"""Which database a stack knows, and the refusal where another one answers in its place."""

from __future__ import annotations

from dataclasses import dataclass

from infra.errors import GroundworkError
from infra.project import spelled

__all__ = ["KEY", "LEDGER", "NO_LEDGER", "Identity", "WrongDatabaseError", "refuse_other"]

KEY = "movedTo"
"""The key by which a stack says that the other database is meant."""


LEDGER = "ledger-"
NO_LEDGER = f"{LEDGER}none"


class WrongDatabaseError(GroundworkError):
    """Another database than the stack's answers."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A database, as what tells it from every other one.

    Attributes:
        cluster: PostgreSQL's system identifier: the same on a standby and in a physical backup,
            another after initdb, pg_upgrade or a restored dump. Where the role may not ask for it,
            `LEDGER` and the first run of the schema's ledger; `NO_LEDGER` where there is none. ""
            where neither is known.
        database: Its name.
        place: "HOST:PORT" where it answered.
    """

    cluster: str
    database: str
    place: str = ""

    @property
    def key(self) -> str:
        """The value of `movedTo` that means it."""
        return f"{self.cluster}/{self.database}"

    def differs(self, other: Identity) -> bool:
        """Tell whether they are two; of one that is not known that can't be said."""
        kinds = {each.cluster.startswith(LEDGER) for each in (self, other)}
        comparable = self.cluster and other.cluster and len(kinds) == 1
        return bool(comparable and NO_LEDGER != self.cluster != other.cluster)

    def __str__(self) -> str:
        """Name it: cluster, database and place."""
        where = f" at {self.place}" if self.place else ""
        what = f"of the cluster {self.cluster}"
        if self.cluster == NO_LEDGER:
            what = "without a ledger"
        elif self.cluster.startswith(LEDGER):
            what = f"with the {self.cluster}"
        return f"database {self.database!r} {what}{where}"


def refuse_other(
    known: Identity, found: Identity, *, holds: str, kept: str, moved_to: str = "", advice: str = ""
) -> None:
    """Let the stack's own database pass, an empty one, and one that the stack says is meant.

    Args:
        known: What the stack knows.
        found: What answers.
        holds: What is in it, "12 tables" for example; empty for nothing.
        kept: "Nothing was changed." for example.
        moved_to: The stack's key.
        advice: What to do where the move is meant, in place of setting the key.

    Raises:
        WrongDatabaseError: It is another one, with something in it.
    """
    if not known.differs(found) or not holds or moved_to == found.key:
        return
    meant = advice or f"set {spelled(KEY)} to {found.key}"
    raise WrongDatabaseError(
        f"The stack knows the {known}. What answers is another one, the {found}, which holds"
        f" {holds}. {kept} Lead the URL, or the proxy behind it, to the stack's own database again;"
        f" or, where the move is meant (pg_upgrade, a restored dump): {meant}."
    )
