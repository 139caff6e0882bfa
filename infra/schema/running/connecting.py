"""Connections that apply a plan."""

from __future__ import annotations

from typing import Any

from infra.schema import dsn, unreached
from infra.schema.running import failures

__all__ = ["application", "connect", "hang_up"]

_SECONDS = 10.0
_NAME_BYTES = 58  # of 63, so that " lock" has room

_SETTINGS = {
    # Literals are written by the standard's rule.
    "standard_conforming_strings": "on",
}
_WATCH = {
    # A server that still works for a client that is gone lets go of the locks within seconds.
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Everything is sent in one go, so that a transaction that waits for its client has lost it.
    "idle_in_transaction_session_timeout": "60s",
    # The lock's connection is idle by design.
    "idle_session_timeout": "0",
}
# What a pooler, an old server or another system refuses of these comes before authentication.
_UNKNOWN = frozenset({"08P01", "22023", "42704"})


def application(stack: str, run: str) -> str:
    """Name a connection so that others see who it is: groundwork, stack, run."""
    name = f"groundwork {stack} {run[:8]}" if stack else f"groundwork {run[:8]}"
    # The server takes ASCII alone here.
    return name.encode("ascii", "replace").decode()[:_NAME_BYTES]


async def connect(url: str, name: str) -> Any:
    """Open one connection of asyncpg.

    Args:
        url: libpq URL.
        name: For application_name.

    Raises:
        LiveError: Nobody answers, or the server refuses.
        DatabaseMissingError: It has no such database.
    """
    import asyncpg  # noqa: PLC0415 - 160 ms that a run at head saves

    # Nothing is kept prepared: a revision may DEALLOCATE or DISCARD it.
    arguments = {"timeout": _SECONDS, "statement_cache_size": 0, **dsn.arguments(url)}
    settings = {**_SETTINGS, "application_name": name}
    try:
        try:
            return await asyncpg.connect(**arguments, server_settings={**settings, **_WATCH})
        except asyncpg.PostgresError as exc:
            if exc.sqlstate not in _UNKNOWN:
                raise
            return await asyncpg.connect(**arguments, server_settings=settings)
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as exc:
        raise unreached.worded(exc, url) from exc


async def hang_up(connection: Any) -> None:
    """Close a connection, however it is."""
    try:
        await connection.close(timeout=_SECONDS)
    except Exception as exc:
        if not failures.dropped(exc):
            raise
