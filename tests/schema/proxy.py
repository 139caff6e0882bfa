"""A wire between a client and a server that breaks when a test says so."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Proxy"]


class Proxy:
    """Stands before a server on a port of its own.

    Attributes:
        target: The server, which may be another one for later connections.
        port: Where it listens.
        watch: Given each piece that the server answers, says whether it gets lost, and the
            connection with it.
        refuse: Whether it hangs up on whoever comes.
        swallow: Whether it drops what the client asks, and what the server answers, and keeps all
            connections open.
        lose: Given each piece that the server answers, says whether to drop it, and all that
            follows it on this connection.
        cuts: How many connections it has cut.
    """

    def __init__(self, host: str, port: int) -> None:
        """Begin to listen."""
        self.target = (host, port)
        self.port = 0
        self.watch: Callable[[bytes], bool] = lambda _: False
        self.refuse = False
        self.swallow = (False, False)
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.cuts = 0
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
        if self.refuse:
            answers.close()
            return
        server, questions = await asyncio.open_connection(*self.target)
        asked = asyncio.create_task(self._copy(client, questions))
        lost = False
        try:
            while data := await server.read(2**16):
                if self.watch(data):
                    self.cuts += 1
                    break
                lost = lost or self.lose(data)
                if lost or self.swallow[1]:
                    continue
                answers.write(data)
                await answers.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            asked.cancel()
            for side in (answers, questions):
                side.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(2**16):
                if self.swallow[0]:
                    continue
                sink.write(data)
                await sink.drain()
            while self.swallow[0]:  # noqa: ASYNC110 - the end is swallowed too
                await asyncio.sleep(0.1)
            sink.close()
        except ConnectionError:
            return
