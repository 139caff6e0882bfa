"""The server process of a data directory: which one it is, and how it ends."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.servers.errors import ClusterError
from infra.servers.local import owned_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Postmaster"]

_LOCK = "postmaster.pid"
# Of the lock file, as PostgreSQL's miscadmin.h lays it out; counted from 0.
_PID_LINE = 0
_PORT_LINE = 3
_STOP_SECONDS = 60
_GRACE_SECONDS = 5
_PAUSE = 0.05
_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Postmaster:
    """The server of a data directory, whether it runs or not.

    Attributes:
        data: The data directory.
    """

    data: Path

    def pid(self) -> int | None:
        """Give the process id of the running server, None where none runs."""
        pid = self._noted(_PID_LINE)
        return pid if pid is not None and self._is_alive(pid) else None

    def port(self) -> int | None:
        """Give the port of the running server, None where none runs."""
        return None if self.pid() is None else self._noted(_PORT_LINE)

    def _noted(self, line: int) -> int | None:
        """Give a number from the lock file of a server that runs, or has run until it died."""
        try:
            return int(owned_files.read_text(self.data, _LOCK).split("\n")[line])
        except (OSError, ValueError, IndexError):
            return None  # none, or one on its way up or down

    def _is_alive(self, pid: int) -> bool:
        """Tell our server from a stranger that got its number after a crash or a reboot."""
        try:
            os.kill(pid, 0)
            return self._lives_in(_PROC / str(pid))
        except ProcessLookupError:
            return False
        except OSError:
            # Dead and not reaped yet; or no procfs on this system: then believe the file.
            return not (_PROC / "self").exists()

    def _lives_in(self, process: Path) -> bool:
        """Tell whether a process of the data directory's owner works there.

        The owner writes the lock file: with the number of a process of root, for example.
        """
        uid = process.joinpath("status").read_text().partition("\nUid:")[2].split()[0]
        here = (process / "cwd").resolve(strict=True) == self.data.resolve()
        return here and int(uid) == self.data.stat().st_uid

    def stop(self) -> None:
        """Stop the server: first ending sessions in order, then at once if that takes too long.

        Raises:
            ClusterError: It still runs after both.
        """
        pid = self.pid()
        if pid is None:
            return
        # SIGINT is 'fast', SIGQUIT is 'immediate' (recovery at the next start); asked by
        # signal, so that a server whose programs have been removed can be stopped too.
        for number in (signal.SIGINT, signal.SIGQUIT):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if _until(lambda: not self._is_alive(pid), seconds=_STOP_SECONDS):
                return
        msg = f"The server in {self.data} (process {pid}) did not stop; its data was kept."
        raise ClusterError(msg)

    def clear(self) -> None:
        """Take away what a server that was killed has left in the way of the next one.

        Its children first: one in the midst of a long statement goes on, and PostgreSQL does
        not start as long as it does. What it has not committed is lost with the server anyway.
        Then the lock file: where its number is a stranger's by now, perhaps another stack's
        server under the same account, PostgreSQL would take that for the server.

        Raises:
            ClusterError: A child could not be ended.
        """
        if self.pid() is not None:
            return
        for number in (None, signal.SIGQUIT, signal.SIGKILL):
            if number is not None:
                _send(number, self._orphans())
            if _until(lambda: not self._orphans(), seconds=_GRACE_SECONDS):
                break
        else:
            left = ", ".join(map(str, self._orphans()))
            msg = (
                f"The server in {self.data} was killed, and its children (processes {left}) can't"
                " be ended; its data was kept. End them, or restart the machine."
            )
            raise ClusterError(msg)
        # A killed postmaster is a zombie until somebody reaps it; a container without an init
        # process has nobody who does.
        _until(lambda: not self._is_zombie(), seconds=_GRACE_SECONDS)
        if (_PROC / "self").exists():  # elsewhere the file is all there is to go by
            (self.data / _LOCK).unlink(missing_ok=True)

    def _orphans(self) -> list[int]:
        """Find the processes of PostgreSQL that work in the data directory."""
        found = []
        for process in _PROC.glob("[0-9]*"):
            with suppress(OSError):  # it has just ended, or is another user's
                # A program that has been removed meanwhile is marked behind its name.
                program = Path((process / "exe").readlink()).name.split(" ")[0]
                if program == "postgres" and self._lives_in(process):
                    found.append(int(process.name))
        return found

    def _is_zombie(self) -> bool:
        try:
            # proc(5): the state follows the command, which stands in brackets.
            stat = (_PROC / str(self._noted(_PID_LINE)) / "stat").read_text()
            return stat.rpartition(")")[2].split()[0] == "Z"
        except (OSError, IndexError):
            return False


def _send(number: signal.Signals, processes: Iterable[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
