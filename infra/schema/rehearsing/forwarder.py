"""A socket of our own that leads where a connection of asyncpg leads.

PostgreSQL's programs would read a URL in their own way: with several hosts, behind a name of
several addresses or without TLS built in, they end up elsewhere or nowhere. Through this socket
they talk to the very server that asyncpg chose, as safely as it does, and know nothing of TLS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

__all__ = ["PORT", "Target", "forwarded", "target"]

PORT = 5432
"""The port that is a part of the socket's name."""

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # its length, and the number that asks for TLS
_SECONDS = 10.0
_PIECE = 65536


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a connection leads, and as whom.

    Attributes:
        address: Path of a socket, or address and port.
        host: The name that the certificate has to show; empty for a socket.
        tls: What the connection was secured with; None where it has no TLS.
        direct: Whether TLS begins at once, without being asked for.
        user: The role that logs in.
        password: Its password; empty where there is none.
        database: The database.
        settings: What the session was begun with.
    """

    address: str | tuple[str, int]
    host: str
    tls: ssl.SSLContext | None
    direct: bool
    user: str
    password: str = field(repr=False)
    database: str
    settings: Mapping[str, str]


def target(connection: Any) -> Target:
    """Tell where an open connection of asyncpg leads.

    What was tried and chosen from a URL is known to asyncpg alone.
    """
    addr, params = connection._addr, connection._params  # noqa: SLF001 - nothing public has them
    transport = connection._transport  # noqa: SLF001 - the same
    by_socket = isinstance(addr, str)
    # Of a name with several addresses, the one that answered.
    peer = addr if by_socket else transport.get_extra_info("peername")[:2]
    secured = transport.get_extra_info("ssl_object") is not None
    password = params.password
    return Target(
        address=peer,
        host="" if by_socket else addr[0],
        tls=params.ssl if secured else None,
        direct=getattr(params.ssl_negotiation, "value", "") == "direct",
        user=params.user,
        password=password if isinstance(password, str) else "",
        database=params.database,
        settings=dict(params.server_settings or {}),
    )


@asynccontextmanager
async def forwarded(to: Target, folder: Path) -> AsyncIterator[None]:
    """Listen on a socket in `folder` that leads there, until the block ends.

    Args:
        to: Where.
        folder: A folder that nobody else may enter: who reaches the socket is let in as far as
            the server's password.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:  # always so
            tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await _serve(to, reader, writer)

    path = folder / f".s.PGSQL.{PORT}"
    server = await asyncio.start_unix_server(serve, path=path)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _serve(to: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_SECONDS):
            there, back = await _reach(to)
        try:
            await _both(_copy(reader, back), _copy(there, writer))
        finally:
            await _hang_up(back)
    finally:
        await _hang_up(writer)


async def _both(*ways: Any) -> None:
    """Go both ways until one of them ends: then nobody listens to the other."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _reach(to: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(to.address, str):
        return await asyncio.open_unix_connection(to.address)
    # As a bare socket first: what came in clear before TLS must not be taken for what came in it.
    bare = await asyncio.to_thread(socket.create_connection, to.address, _SECONDS)
    try:
        bare.settimeout(0)
        if to.tls is None:
            return await asyncio.open_connection(sock=bare)
        if not to.direct:
            await _ask_for_tls(bare)
        return await asyncio.open_connection(sock=bare, ssl=to.tls, server_hostname=to.host)
    except BaseException:
        bare.close()
        raise


async def _ask_for_tls(bare: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(bare, _SSL_REQUEST)
    if await loop.sock_recv(bare, 1) != b"S":
        raise ConnectionResetError("the server offers no TLS any more")


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
