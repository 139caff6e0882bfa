"""The part of an asyncpg connection that the plugin uses; asyncpg itself has no types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

__all__ = ["Row", "Session"]


class Row(Protocol):
    """One row of an answer, by column."""

    def __getitem__(self, key: str) -> Any:
        """The value of a column."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """Columns and values."""


class _Version(Protocol):
    @property
    def major(self) -> int:
        """Of PostgreSQL, for example 17."""


class Session(Protocol):
    """An open connection."""

    async def execute(self, query: str) -> str:
        """Runs statements without parameters."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """All rows of a query."""

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """The first row of a query."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row, None without one."""

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Commits at the end of the block, or rolls back."""

    def is_in_transaction(self) -> bool:
        """Whether one is open."""

    def get_server_version(self) -> _Version:
        """The server's."""

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's own parameter
        """Says good-bye and ends the connection."""

    def terminate(self) -> None:
        """Ends the connection at once."""
