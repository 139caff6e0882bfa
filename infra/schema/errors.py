"""Every failure of the schema node."""

from __future__ import annotations

from infra.errors import GroundworkError

__all__ = ["DatabaseMissingError", "HistoryError", "LiveError", "MigrationError"]


class HistoryError(GroundworkError):
    """The Alembic directory can't be read as one history with one head."""


class LiveError(GroundworkError):
    """The database could not be asked for its revision."""


class DatabaseMissingError(LiveError):
    """The server answered that there is no such database."""


class MigrationError(GroundworkError):
    """A migration failed; PostgreSQL undid the revision that was running."""
