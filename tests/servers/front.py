"""TLS before a server that has none, as a load balancer of a managed service ends it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["Authority", "Front"]

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class Authority:
    """A certificate authority with files for clients.

    Attributes:
        file: Its own certificate.
        client: A client's certificate and key in one file.
    """

    def __init__(self, folder: Path) -> None:
        """Make it and its files in `folder`."""
        trustme: Any = pytest.importorskip("trustme", reason="trustme makes the certificates")
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)
        self.client = folder / "client.pem"
        self._ca.issue_cert("admin@client.test").private_key_and_cert_chain_pem.write_to_path(
            self.client
        )
        self.client.chmod(0o600)

    def context(self, name: str, *, clients: bool) -> ssl.SSLContext:
        """Make what a server of that name shows; `clients` have to show a certificate too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(name).configure_cert(context)
        if clients:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Front:
    """Stands before a server on a port of its own, and lets nobody in without TLS.

    Attributes:
        port: Where it listens.
        sessions: How many have come in with TLS.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Begin to listen."""
        self._target = (host, port)
        self._context = context
        self.port = 0
        self.sessions = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Cut everything, and stop."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._end.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    async def _connected(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        try:
            if await client.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                return
            answers.write(b"S")
            await answers.start_tls(self._context)
            self.sessions += 1
            reader, writer = await asyncio.open_connection(*self._target)
            ways = (_copy(client, writer), _copy(reader, answers))
            await asyncio.gather(*ways)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side has hung up, or didn't trust the other
        finally:
            answers.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            target.write(piece)
            await target.drain()
    finally:
        target.close()
