"""A wire before a server, which counts what passes and breaks in every way in which wires do."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from random import Random

__all__ = ["Hold", "Proxy"]

Direction = Literal["asks", "answers"]

_PIECE_BYTES = 2**16
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_COMMIT = b"COMMIT\0"
_CONCURRENTLY = b"CONCURRENTLY"


@dataclass(kw_only=True)
class Hold:
    """A place in the conversation at which a fault is to strike.

    Attributes:
        number: The request, counted from 1 over all connections.
        phase: "before" keeps the request back until `done`, "after" its answer; "during" keeps
            nothing back.
        reached: Set when it is there.
        done: Set when the fault has struck, and what was kept back may go on.
    """

    number: int
    phase: Literal["before", "during", "after"]
    reached: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Stands before a server on a port of its own.

    Attributes:
        target: The port of the server on 127.0.0.1, which may be another one for later connections.
        port: Where it listens.
        requests: How many pieces clients have sent.
        commits: How many COMMITs the server has answered.
        concurrent: How many requests had a statement with CONCURRENTLY.
        ports: The ports from which it has connected to the server: `client_port` there.
        hold: Where to stop for a fault.
        cut_at_commit: The COMMIT, counted as above, whose answer gets lost, and the connection with
            it; 0 for none.
        delay: Seconds before each piece, from and to.
        stalled: Cleared while nothing passes and both ends see a wire that is well.
    """

    def __init__(self, target: int, rng: Random) -> None:
        """Begin to listen."""
        self.target = target
        self._rng = rng
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wires: list[_Wire] = []
        self._lock = threading.Lock()
        self.reset()
        threading.Thread(target=self._listen, daemon=True).start()

    def reset(self) -> None:
        """Count from nothing, and be well again; connections that there are get cut."""
        self.requests = self.commits = self.concurrent = 0
        self.ports: list[int] = []
        self.hold: Hold | None = None
        self.cut_at_commit = 0
        self.delay = (0.0, 0.0)
        self.stalled = threading.Event()
        self.stalled.set()
        self._swallowed: set[Direction] = set()
        self.cut()
        self._filter(self._listener, dropping=False)

    def close(self) -> None:
        """Cut everything, and stop."""
        self._listener.close()
        self.cut()

    # -- faults -------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset all connections, at both ends."""
        for wire in self._taken():
            wire.abort()

    def close_half(self, side: Literal["client", "server"]) -> None:
        """Tell one end that the other sends nothing more, and go on in the other direction."""
        for wire in self._taken():
            with suppress(OSError):
                (wire.client if side == "client" else wire.server).shutdown(socket.SHUT_WR)

    def partition(self) -> None:
        """Lose every packet of both ends, without a word to either; new connections as well."""
        self._filter(self._listener, dropping=True)
        self.lose("asks")
        self.lose("answers")

    def lose(self, direction: Direction) -> None:
        """Lose what one end sends: nothing that it says, and no keepalive, is acknowledged."""
        self._swallowed.add(direction)
        for wire in self._taken():
            self._filter(wire.client if direction == "asks" else wire.server, dropping=True)

    def heal(self) -> None:
        """Let new connections through; those that were lost stay lost."""
        self._swallowed.clear()
        self._filter(self._listener, dropping=False)

    # -- the wire -----------------------------------------------------------------------

    def _taken(self) -> list[_Wire]:
        with self._lock:
            return list(self._wires)

    @staticmethod
    def _filter(end: socket.socket, *, dropping: bool) -> None:
        """Let the kernel drop, unacknowledged, all that arrives at a socket; or no more."""
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
        program = struct.pack("HL", 1, ctypes.addressof(nothing))
        with suppress(OSError):
            if dropping:
                end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
            else:
                end.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.ports.append(server.getsockname()[1])
            wire = _Wire(self, client, server)
            with self._lock:
                self._wires = [each for each in self._wires if not each.ended] + [wire]
            wire.start()
            for direction in self._swallowed:
                self._filter(client if direction == "asks" else server, dropping=True)

    def passes(self, wire: _Wire, direction: Direction, data: bytes) -> bool:
        """Count a piece, and keep it back as long as is asked for; whether it goes on at all."""
        hold = self.hold
        if direction == "asks":
            self.requests += 1
            self.concurrent += _CONCURRENTLY in data
            if hold and self.requests == hold.number:
                wire.held = True
                if hold.phase != "after":
                    hold.reached.set()
                if hold.phase == "before":
                    hold.done.wait()
        else:
            if hold and wire.held and hold.phase == "after" and not hold.done.is_set():
                hold.reached.set()
                hold.done.wait()
            commits = data.count(_COMMIT)
            cut = self.commits < self.cut_at_commit <= self.commits + commits
            self.commits += commits
            if cut:
                wire.abort()
                return False
        if self.delay[1]:
            time.sleep(self._rng.uniform(*self.delay))
        self.stalled.wait()
        return direction not in self._swallowed


class _Wire:
    """One connection: two sockets, and a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.held = False
        self._proxy = proxy
        self._left = 2

    @property
    def ended(self) -> bool:
        """Whether nothing passes any more."""
        return self._left == 0

    def start(self) -> None:
        """Begin to copy."""
        directions: tuple[Direction, Direction] = ("asks", "answers")
        for direction in directions:
            threading.Thread(target=self._copy, args=(direction,), daemon=True).start()

    def abort(self) -> None:
        """Reset both ends."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)  # wakes up who reads; the reset is sent by `close`
            with suppress(OSError):
                end.close()

    def _copy(self, direction: Direction) -> None:
        ends = (self.client, self.server)
        source, sink = ends if direction == "asks" else ends[::-1]
        try:
            while data := source.recv(_PIECE_BYTES):
                if self._proxy.passes(self, direction, data):
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()
        finally:
            self._left -= 1
            if self.ended:
                for end in ends:
                    end.close()
