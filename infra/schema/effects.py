"""What a revision must not do while it is rendered, and how that is noticed."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from infra.schema.recorder import NotRenderableError
from infra.schema.sources import is_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from infra.schema.recorder import Recorder

__all__ = ["clock_watched", "forbid"]

_PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn"}
_NETWORK = {"socket.connect", "socket.getaddrinfo"}
_CLOCKS = {"time", "time_ns", "localtime", "gmtime", "strftime", "ctime", "asctime"}
_DATES = {"now", "utcnow", "today"}


def forbid(recorder: Recorder) -> None:
    """Let no revision run a program, talk to a network or write a file: a preview must not.

    Whichever does is noted as one that needs its real run, and what it wanted is refused.
    """

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if not recorder.rendering:
            return
        what = ""
        if event in _PROGRAMS:
            what = "runs a program"
        elif event in _NETWORK:
            what = "uses the network"
        elif event == "open" and _writes(*arguments):
            what = "writes a file"
        if what:
            recorder.refuse(what)
            raise NotRenderableError(f"SQL is asked for, and a revision {what}")

    sys.addaudithook(heard)


@contextmanager
def clock_watched(recorder: Recorder, root: str) -> Iterator[None]:
    """Note revisions that ask the clock: their SQL would tell when it was rendered.

    What a library asks, a logger for example, does not count.

    Args:
        recorder: Where it is noted.
        root: The project's folder, absolute.
    """
    project: dict[str, bool] = {}

    def heard(frame: FrameType, event: str, argument: Any) -> None:
        if event != "c_call" or not recorder.rendering or not _is_clock(argument):
            return
        file = frame.f_code.co_filename
        if file not in project:
            project[file] = is_project(file, root)
        if project[file]:
            recorder.refuse("asks the clock")

    sys.setprofile(heard)
    try:
        yield
    finally:
        sys.setprofile(None)


def _is_clock(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    if owner is time:
        return function.__name__ in _CLOCKS
    return isinstance(owner, type) and issubclass(owner, dt.date) and function.__name__ in _DATES


def _writes(path: object, mode: object, flags: object) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    name = os.fsdecode(path)
    if name.startswith("/dev/") or "__pycache__" in name:
        return False
    if isinstance(mode, str):
        return bool(set(mode).intersection("wax+"))
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
