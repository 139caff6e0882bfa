"""Processes of this package that work for another one: their start, their end, and their answer."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Answer", "at", "command", "converse", "end_with", "leave", "step_aside", "whereabouts"]

_AT = "groundwork is at: "
_PR_SET_PDEATHSIG = 1  # prctl(2)
_POLL_SECONDS = 0.1
_LEAVING_POLL_SECONDS = 0.01
_LEAVING_SECONDS = 2.0  # for functions that were registered with atexit, and threads
_PIECE_BYTES = 2**20


def command(module: str) -> list[str]:
    """Give the command that runs a module of this package in a process of its own."""
    return [sys.executable, "-m", module]


def end_with(parent: int) -> None:
    """Let the kernel end this process with the one that waits for it.

    PostgreSQL then undoes what was running, and the next run does not meet a migration that nobody
    knows of.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel knew
        sys.exit(1)


def step_aside() -> None:
    """Let `__main__` be nothing: processes that an application starts from nothing import it."""
    sys.modules["__main__"] = ModuleType("__main__")


def leave(status: int) -> None:
    """End this process soon, whatever threads it has: those of an application may never end.

    Functions that the application has registered with atexit have their time before.
    """

    def end() -> None:
        time.sleep(_LEAVING_SECONDS)
        os._exit(status)

    threading.Thread(target=end, daemon=True).start()


def at(what: str) -> None:
    """Note on standard error what this process turns to, in case that it never comes back."""
    sys.__stderr__.write(f"\n{_AT}{what}\n")  # type: ignore[union-attr]  # every process of ours has one
    sys.__stderr__.flush()  # type: ignore[union-attr]  # as above


def whereabouts(said: bytes | None) -> tuple[str, str]:
    """Read what a process has left on standard error.

    Returns:
        The last that it turned to, and the last line that somebody else has written.
    """
    lines = (said or b"").decode(errors="replace").splitlines()
    turned = [line.removeprefix(_AT) for line in lines if line.startswith(_AT)]
    others = [line.strip() for line in lines if line.strip() and not line.startswith(_AT)]
    return turned[-1] if turned else "", others[-1] if others else ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a process that was asked.

    Attributes:
        text: The line that it answered; empty where it ended or was ended without one.
        said: The last lines that it wrote on standard error.
        status: Its exit status, or a signal as a negative number; None where time was up.
    """

    text: bytes
    said: bytes
    status: int | None


def converse(
    command: list[str],
    task: Mapping[str, Any],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    turned: Callable[[str], None],
) -> Answer:
    """Start a process, give it a task, and take the line that it answers.

    It leads a group of its own, which ends with the answer: also what it has started and left, or
    what keeps its standard output open. Whatever ends the waiting, Ctrl-C for example, ends it.

    Args:
        command: What to start.
        task: Written to its standard input as JSON.
        folder: To start it in.
        environment: All of its environment variables.
        seconds: How long it may take.
        turned: Called now and then with what it turned to last, in this thread; may raise.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    ) as process:
        spoken = _Spoken(process, turned)
        late = False
        try:
            _tell(process, json.dumps(task).encode())
            late = not spoken.listen(seconds)
        finally:
            ended = process.poll()
            _end_group(process.pid)
        return Answer(text=spoken.answer, said=spoken.said, status=None if late else ended)


def _tell(process: subprocess.Popen[bytes], task: bytes) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as stream:
            stream.write(task)


def _end_group(leader: int) -> None:
    """End all that a process has started and left in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class _Spoken:
    """What a process says on standard output, one line, and on standard error.

    Both are read without waiting for their end: what the process has started may keep them open.

    Attributes:
        answer: The line; empty until it is whole.
        said: The last that it wrote on standard error.
    """

    def __init__(self, process: subprocess.Popen[bytes], turned: Callable[[str], None]) -> None:
        """Know whom to listen to, and whom to tell what it turned to last."""
        self.answer = b""
        self._process = process
        self._turned = turned
        self._at = b""
        self._pieces: list[bytes] = []
        self._rest = b""
        self._open = [each for each in (process.stdout, process.stderr) if each is not None]

    @property
    def said(self) -> bytes:
        """Where it was, and the last lines that others have written."""
        return b"\n".join((self._at, self._rest))

    def listen(self, seconds: float) -> bool:
        """Listen to the answer, and for a while after it; give whether there was time enough."""
        deadline = time.monotonic() + seconds
        while not self.answer and self._process.poll() is None:
            if time.monotonic() > deadline:
                return False
            self._turned(self._at.removeprefix(_AT.encode()).decode(errors="replace"))
            self._read(_POLL_SECONDS)
        deadline = time.monotonic() + _LEAVING_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            self._read(_LEAVING_POLL_SECONDS)
        while self._read(0):
            pass
        return True

    def _read(self, seconds: float) -> bool:
        """Read what comes within a time; give whether something came."""
        if not self._open:
            time.sleep(seconds)
            return False
        ready, _, _ = select.select(self._open, [], [], seconds)
        for stream in ready:
            piece = os.read(stream.fileno(), _PIECE_BYTES)
            if not piece:
                self._open.remove(stream)
            elif stream is self._process.stdout:
                self._pieces.append(piece)
                if piece.endswith(b"\n"):
                    self.answer = b"".join(self._pieces)
            else:
                self._hear(piece)
        return bool(ready)

    def _hear(self, piece: bytes) -> None:
        self._rest = (self._rest + piece)[-_PIECE_BYTES:]
        turned = self._rest.rfind(f"\n{_AT}".encode())
        end = self._rest.find(b"\n", turned + 1)
        if turned >= 0 and end >= 0:
            self._at, self._rest = self._rest[turned + 1 : end], self._rest[end + 1 :]
