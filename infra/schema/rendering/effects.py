"""What a revision must not do while it is rendered, and how that is noticed."""

from __future__ import annotations

import builtins
import datetime as dt
import io
import os
import platform
import re
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema.rendering.recorder import NotRenderableError
from infra.schema.rendering.sources import is_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from infra.schema.rendering.recorder import Recorder

__all__ = ["Clock", "discard_scripts", "forbid", "notice_sleep"]

_PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn"}
_NETWORK = {"socket.connect", "socket.getaddrinfo"}
_CLOCKS = {"time", "time_ns", "localtime", "gmtime", "strftime", "ctime", "asctime"}
_DATES = {"now", "utcnow", "today"}
# What tells of this process or this machine; two renderings in one process may give the same.
_HERE = (id, os.getpid, os.getppid, os.uname, socket.gethostname, threading.get_ident)
_HERE_IN_PYTHON = (platform.node, platform.uname, platform.platform)
_NAMES = {*_CLOCKS, *_DATES, *(each.__name__ for each in (*_HERE[1:], *_HERE_IN_PYTHON))}
_MENTIONED = re.compile(rb"\b(?:%s)\b|\bid\b\s*[(,)]" % "|".join(_NAMES).encode())


def forbid(recorder: Recorder) -> None:
    """Let no revision run a program, talk to a network, write a file or wait: a preview must not.

    Whichever does is noted as one that needs its real run, and what it wanted is refused. The same
    holds for the online half of env.py, but for what env.py did when it rendered as well.
    """
    done: set[str] = set()

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        what = _effect(event, arguments)
        if not what:
            return
        if not recorder.rendering:
            done.add(f"{event} {arguments[:2]}")
            return
        if recorder.trying and event not in _NETWORK and f"{event} {arguments[:2]}" in done:
            return
        recorder.refuse(what)
        raise NotRenderableError(f"SQL is asked for, and a revision {what}")

    sys.addaudithook(heard)
    _end_in_order(recorder)
    _waiting.append(recorder)


def _effect(event: str, arguments: tuple[Any, ...]) -> str:
    """Say what an audit event does outside of this process; empty for nothing."""
    if event in _PROGRAMS:
        return "runs a program"
    if event in _NETWORK:
        return "uses the network"
    return "writes a file" if event == "open" and _writes(*arguments) else ""


def _end_in_order(recorder: Recorder) -> None:
    """Let `os._exit` in a revision, or in a trial of env.py, end that alone."""
    end = os._exit

    def leave(status: int) -> None:
        if recorder.rendering:
            raise SystemExit(status)
        end(status)

    os._exit = leave  # type: ignore[assignment]  # in this process alone


_waiting: list[Recorder] = []  # those that render in this process: one


def notice_sleep() -> None:
    """Let `time.sleep` refuse to wait while a revision is rendered, from before they are loaded.

    A file may take the function itself into its own names, so that later would be too late.
    """
    sleep = time.sleep

    def noted(seconds: Any) -> None:
        for recorder in _waiting:
            if recorder.rendering:
                recorder.refuse("sleeps")
                raise NotRenderableError("SQL is asked for, and a revision sleeps")
        sleep(seconds)

    time.sleep = noted


def discard_scripts(environment: str) -> None:
    """Let the SQL files that env.py writes in offline mode, one for each database, go nowhere.

    Args:
        environment: The file, env.py, that opens them.
    """
    opened = io.open

    def discarding(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if isinstance(file, str | os.PathLike) and "w" in mode and str(file).endswith(".sql"):
            frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to know who asks
            while frame is not None and "pathlib" in frame.f_code.co_filename:
                frame = frame.f_back
            if frame is not None and Path(frame.f_code.co_filename) == Path(environment):
                file = os.devnull
        return opened(file, mode, *args, **options)

    builtins.open = io.open = discarding


class Clock:
    """Notes revisions that ask the clock or the machine: SQL would tell when and where it was made.

    What a library asks, a logger for example, does not count. To look costs as much time again as
    to render, so that only code is looked at that speaks of time at all.
    """

    def __init__(self, recorder: Recorder, root: str) -> None:
        """Begin with the project's folder, absolute, and the modules that are loaded by now."""
        self._recorder = recorder
        self._root = root
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        self._everywhere = any(
            _mentions_clock(file) for file in files if file and is_project(file, root)
        )

    @contextmanager
    def watched(self, file: str) -> Iterator[None]:
        """Look at what a revision does that is declared in `file`."""
        if not (self._everywhere or _mentions_clock(file)):
            yield
            return
        sys.setprofile(self._heard)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _heard(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in {"c_call", "call"} or not self._recorder.rendering:
            return
        asker: FrameType | None = frame
        if event == "call":
            found = any(frame.f_code is each.__code__ for each in _HERE_IN_PYTHON)
            what, asker = "asks for this machine" if found else "", frame.f_back
        else:
            what = _asked(argument)
        if what and asker is not None and is_project(asker.f_code.co_filename, self._root):
            self._recorder.refuse(what)


def _mentions_clock(file: str) -> bool:
    try:
        return _MENTIONED.search(Path(file).read_bytes()) is not None
    except OSError:
        return False


def _asked(function: Any) -> str:
    """Say what a function of Python's own tells that another process would not hear of it."""
    if any(function is each for each in _HERE):
        return "asks for this process, this machine or an address"
    owner = getattr(function, "__self__", None)
    names = _CLOCKS if owner is time else ()
    if isinstance(owner, type) and issubclass(owner, dt.date):
        names = _DATES
    return "asks the clock" if getattr(function, "__name__", "") in names else ""


def _writes(path: object, mode: object, flags: object) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    name = os.fsdecode(path)
    if name.startswith("/dev/") or "__pycache__" in name:
        return False
    if isinstance(mode, str):
        return bool(set(mode).intersection("wax+"))
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
