"""Has a running server take over what its files say, and asks what only a restart brings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from infra.schema.statements.sql import identifier
from infra.servers.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Collection

    from infra.servers.session import Login

__all__ = ["reload", "restarting", "sessions"]

_SECONDS = 10.0
_PAUSE = 0.02
_PENDING = "SELECT lower(name) FROM pg_settings WHERE pending_restart AND lower(name) = ANY ($1)"
_FIXED = """
SELECT lower(name) FROM pg_settings
WHERE context = 'postmaster' AND lower(name) = ANY ($1) ORDER BY 1
"""
_SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def restarting(login: Login, names: Collection[str]) -> list[str]:
    """Tell which settings, by names in small letters, are read at a start alone.

    Raises:
        ProbeError: The server doesn't answer, or refuses.
    """

    async def ask() -> list[str]:
        async with login.session() as session:
            return [row[0] for row in await session.fetch(_FIXED, list(names))]

    return asyncio.run(ask())


def reload(login: Login, names: Collection[str], *, altered: Collection[str]) -> list[str]:
    """Have the server read its files again; sessions go on.

    Args:
        login: As a superuser.
        names: The settings that matter, in small letters.
        altered: Those of them on which ALTER SYSTEM's word is taken back.

    Returns:
        Those that wait for a restart.

    Raises:
        ClusterError: It didn't read them.
        ProbeError: The server doesn't answer, or refuses.
    """
    return asyncio.run(_reload(login, names, altered))


async def _reload(login: Login, names: Collection[str], altered: Collection[str]) -> list[str]:
    async with login.session() as session:
        for name in altered:
            # An extension's setting has two parts, each a name.
            parts = ".".join(map(identifier, name.split(".")))
            await session.execute(f"ALTER SYSTEM RESET {parts}")
        before = await session.fetchval("SELECT pg_conf_load_time()")
        await session.execute("SELECT pg_reload_conf()")
        await _wait_for_load(session, before)
        return sorted(row[0] for row in await session.fetch(_PENDING, list(names)))


async def _wait_for_load(session: Any, before: Any) -> None:
    """Wait until this session has read the files: the server itself does before."""
    deadline = asyncio.get_running_loop().time() + _SECONDS
    while await session.fetchval("SELECT pg_conf_load_time()") == before:
        if asyncio.get_running_loop().time() > deadline:
            msg = (
                f"The server did not read its settings again within {_SECONDS:g} s; they are"
                " written, and it has them from its next start. Run `pulumi up` again."
            )
            raise ClusterError(msg)
        await asyncio.sleep(_PAUSE)


def sessions(login: Login) -> int:
    """Count the sessions of clients, but for the one that asks.

    Raises:
        ProbeError: The server doesn't answer, or refuses.
    """

    async def ask() -> int:
        async with login.session() as session:
            return int(await session.fetchval(_SESSIONS))

    return asyncio.run(ask())
