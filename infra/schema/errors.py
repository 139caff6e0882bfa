"""Every failure of the schema node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from infra.schema.model import Drift
    from infra.schema.review import Finding

__all__ = [
    "AdoptionError",
    "DatabaseMissingError",
    "DowngradeRefusedError",
    "DriftError",
    "EditedRevisionError",
    "HeadsError",
    "HistoryError",
    "LateError",
    "LedgerError",
    "LedgerMismatchError",
    "LintError",
    "LiveError",
    "LockedError",
    "MigrationError",
    "MisplacedError",
    "MovedError",
    "NoWayBackError",
    "NotApprovedError",
    "PlanError",
    "PlanMovedError",
    "RehearsalError",
    "StoppedError",
    "TargetError",
    "UnknownRevisionError",
    "UnsoundError",
]


class HistoryError(GroundworkError):
    """The Alembic directory can't be read as a history."""


class LintError(GroundworkError):
    """The pending revisions could not be looked at as the stack asks for."""


class LiveError(GroundworkError):
    """The database could not be asked for its revision."""


class DatabaseMissingError(LiveError):
    """The server answered that there is no such database."""


class MigrationError(GroundworkError):
    """A migration failed; PostgreSQL undid the revision that was running.

    Attributes:
        revision: The one that failed; empty where it was none of them.
        sqlstate: What PostgreSQL said, five characters; empty where it was not PostgreSQL.
        applied: The revisions that this run finished before, in order.
    """

    def __init__(self, message: str, *, revision: str = "", sqlstate: str = "") -> None:
        """Keep what is known beside the message."""
        super().__init__(message)
        self.revision = revision
        self.sqlstate = sqlstate
        self.applied: tuple[str, ...] = ()

    def having(self, applied: Iterable[str]) -> Self:
        """Note what was finished before, and give the error itself."""
        self.applied = tuple(applied)
        return self


class StoppedError(MigrationError):
    """The run was asked to stop, and did between two revisions."""


class LateError(MigrationError):
    """The run did not end within its deadline."""


class MovedError(MigrationError):
    """The database is not at the revision that the plan begins with, or has left it meanwhile.

    Attributes:
        planned: The rows of the version table that were expected.
        found: Those that are there.
    """

    def __init__(self, message: str, *, planned: tuple[str, ...], found: tuple[str, ...]) -> None:
        """Keep both beside the message."""
        super().__init__(message)
        self.planned = planned
        self.found = found


class LockedError(MigrationError):
    """Another run holds the lock."""


class LedgerError(MigrationError):
    """The ledger can't be made or written."""


class PlanError(GroundworkError):
    """There is no way from what the database has to the target, or none that is allowed."""


class MisplacedError(PlanError):
    """The tables of the history are in another schema than the stack's."""


class HeadsError(PlanError):
    """The files end in several revisions.

    Attributes:
        heads: Their ids.
    """

    def __init__(self, message: str, *, heads: tuple[str, ...]) -> None:
        """Keep the heads beside the message."""
        super().__init__(message)
        self.heads = heads


class TargetError(PlanError):
    """The target is no revision, or more than one."""


class UnknownRevisionError(PlanError):
    """The database is at a revision that neither the files nor the ledger know."""


class LedgerMismatchError(PlanError):
    """The version table can't be true."""


class EditedRevisionError(PlanError):
    """The file of an applied revision is not what ran."""


class DowngradeRefusedError(PlanError):
    """The way leads back, and the stack does not allow that.

    Attributes:
        revisions: What would be taken back.
    """

    def __init__(self, message: str, *, revisions: tuple[str, ...]) -> None:
        """Keep the revisions beside the message."""
        super().__init__(message)
        self.revisions = revisions


class NoWayBackError(PlanError):
    """A revision that would have to be taken back can't be."""


class UnsendableError(PlanError):
    """A pending revision sends what no driver can send."""


class AdoptionError(PlanError):
    """A database is not what the revision makes that it is taken to have.

    Attributes:
        drift: The differences, seen from the revision.
    """

    def __init__(self, message: str, *, drift: tuple[Drift, ...]) -> None:
        """Keep the differences beside the message."""
        super().__init__(message)
        self.drift = drift


class PlanMovedError(PlanError):
    """What would run is not what was shown before."""


class DriftError(PlanError):
    """Objects were changed by hand, and the stack refuses to go on from there.

    Attributes:
        drift: What was changed.
    """

    def __init__(self, message: str, *, drift: tuple[Drift, ...]) -> None:
        """Keep the changes beside the message."""
        super().__init__(message)
        self.drift = drift


class UnsoundError(PlanError):
    """Lint found errors in what is pending, and the stack refuses them.

    Attributes:
        findings: What it found.
    """

    def __init__(self, message: str, *, findings: tuple[Finding, ...]) -> None:
        """Keep the findings beside the message."""
        super().__init__(message)
        self.findings = findings


class NotApprovedError(PlanError):
    """The plan is not the one that was approved."""


class RehearsalError(GroundworkError):
    """A plan could not be rehearsed; the database itself is as it was."""
