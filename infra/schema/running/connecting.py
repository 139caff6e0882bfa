"""Connections to a database: with limits on both sides, to a session that stays the same."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from infra.schema import dsn, unreached
from infra.schema.errors import LiveError
from infra.schema.running import failures, limits, poolers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["APPLYING", "LOOKING", "LostError", "application", "connect", "hang_up", "open_session"]

_SECONDS = 10.0
_PAUSE = 0.3  # in which a server that ends stops listening
_NAME_BYTES = 58  # of 63, so that " lock" has room

_SETTINGS = {
    # Literals are written by the standard's rule.
    "standard_conforming_strings": "on",
}
LOOKING = {**limits.SERVER, "idle_in_transaction_session_timeout": "60s"}
"""Settings of a session that reads, and of one that an administrator changes something in."""
APPLYING = {
    **limits.SERVER,
    # Everything is sent in one go, so that a transaction that waits for its client has lost it.
    "idle_in_transaction_session_timeout": "10s",
    # A revision that runs through env.py may take any time.
    "idle_session_timeout": "0",
}
"""Settings of a session that runs revisions."""
# What a pooler, an old server or another system refuses of these comes before authentication.
_UNKNOWN = frozenset({"08P01", "22023", "42704"})


class LostError(LiveError):
    """The connection came about, and was lost at once."""


def application(stack: str, run: str) -> str:
    """Name a connection so that others see who it is: groundwork, stack, run."""
    name = f"groundwork {stack} {run[:8]}" if stack else f"groundwork {run[:8]}"
    # The server takes ASCII alone here.
    return name.encode("ascii", "replace").decode()[:_NAME_BYTES]


async def connect(
    url: str, name: str, *, settings: Mapping[str, str] = LOOKING, seconds: float | None = None
) -> Any:
    """Open one connection of asyncpg; see `open_session`.

    Args:
        url: libpq URL.
        name: For application_name.
        settings: Of the session.
        seconds: How long each statement may take; None for any time.

    Raises:
        LiveError: Nobody answers, or the server refuses.
        PoolerError: A pooler answers that keeps no sessions.
        DatabaseMissingError: It has no such database.
    """
    import asyncpg  # noqa: PLC0415 - 160 ms that a run at head saves

    given = {"timeout": _SECONDS, "command_timeout": seconds}
    try:
        return await open_session(
            {**given, **dsn.arguments(url)}, name, place=dsn.place(url), settings=settings
        )
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as exc:
        raise unreached.worded(exc, url) from exc


async def open_session(
    arguments: Mapping[str, Any], name: str, *, place: str, settings: Mapping[str, str] = LOOKING
) -> Any:
    """Open one connection of asyncpg, whose session nobody else gets meanwhile.

    Args:
        arguments: Of `asyncpg.connect`; `timeout` holds for the login, and for the first answer.
        name: For application_name.
        place: Where it leads, for a message.
        settings: Of the session, as far as the server takes them.

    Returns:
        A `backend.Connection`.

    Raises:
        PoolerError: A pooler answers that keeps no sessions.
        LostError: The connection went again at once.
        LiveError: A pooler lets in, and has no session free.
    """
    import asyncpg  # noqa: PLC0415 - as above

    from infra.schema.running.backend import Connection  # noqa: PLC0415 - it needs asyncpg

    # Nothing is kept prepared: a revision may DEALLOCATE or DISCARD it.
    plain = {"connection_class": Connection, "statement_cache_size": 0, **arguments}
    named = {**_SETTINGS, "application_name": name}
    taken = True
    try:
        connection = await _log_in({**plain, "server_settings": {**named, **settings}})
    except asyncpg.PostgresError as exc:
        if exc.sqlstate not in _UNKNOWN:
            raise
        taken = False
        connection = await _log_in({**plain, "server_settings": named})
    limits.keep_alive(connection.wire)
    connection.pid = connection.get_server_pid()
    if connection.get_server_version().major < unreached.OLDEST:
        return connection  # the caller refuses it
    try:
        async with asyncio.timeout(arguments.get("timeout", _SECONDS)):
            connection.pid = await poolers.find_pid(connection)
        again = partial(asyncpg.connect, **plain, server_settings=named)
        await poolers.require_sessions(connection, connection.pid, again, place)
        if not taken or connection.pooled:
            await _set(connection, settings)
    except TimeoutError as exc:
        connection.terminate()
        raise LiveError(
            f"{place} let the login in, and has not answered since. A pooler whose sessions are"
            " all taken does that: a run needs two, and a third for revisions that run through"
            " env.py. Nothing was changed. Raise the size of its pool, or use the server's own"
            " port."
        ) from exc
    except BaseException as exc:
        connection.terminate()
        if failures.dropped(exc):
            raise LostError(
                f"The connection to {place} was lost: {exc}. Nothing was changed. Run again when it"
                " is stable."
            ) from exc
        raise
    return connection


async def _log_in(arguments: Mapping[str, Any]) -> Any:
    """Connect; once more where the other side hangs up, since a server that ends does that too."""
    import asyncpg  # noqa: PLC0415 - as above

    try:
        return await asyncpg.connect(**arguments)
    except (asyncpg.ConnectionDoesNotExistError, ConnectionError) as exc:
        if isinstance(exc, ConnectionRefusedError):
            raise
        await asyncio.sleep(_PAUSE)
        return await asyncpg.connect(**arguments)


async def _set(connection: Any, settings: Mapping[str, str]) -> None:
    """Set what did not come with the login, each as far as the server knows it."""
    import asyncpg  # noqa: PLC0415 - as above

    taken = {}
    try:
        await connection.execute(limits.setting(settings))
        taken = dict(settings)
    except asyncpg.PostgresError:
        for name, value in settings.items():
            with suppress(asyncpg.PostgresError):
                await connection.execute(limits.setting({name: value}))
                taken[name] = value
    connection.limits = (limits.setting(taken),) if taken else ()


async def hang_up(connection: Any) -> None:
    """Close a connection, however it is."""
    try:
        await connection.close(timeout=_SECONDS)
    except Exception as exc:
        if not failures.dropped(exc):
            raise
