"""Ends what an engine has started once the engine is gone, however it went.

The engine starts a language host, which starts the program, and a process for each provider. When
it is killed, it leaves them: the host looks for it every few minutes, the provider of dynamic
resources never does, and a migration goes on for no one. Each of our processes therefore looks for
the engine above it, and ends the others with itself. They are known by the engine's address, which
each of them has among its arguments, and by whose children the engine's death has made them: never
by a name.

As a program, `orphans.py PID PARENT` looks after a language host, of which nothing is ours.
"""

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["end_with_engine", "of_run"]

_ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):\d+")
_POLL = 0.5  # seconds between two looks
_ROUNDS = 4  # who is just being started is met the next time
_GENERATIONS = 8  # the program, its host, the engine; and what may stand between them


@dataclass(frozen=True, kw_only=True)
class _Process:
    """A process: its parent's id, and those of its arguments that are addresses."""

    pid: int
    parent: int
    addresses: frozenset[str]


def end_with_engine() -> None:
    """Let this process end with the engine above it, and with it all that the engine has started.

    In a process that no engine has started, nothing happens.
    """
    found = _below_engine(os.getpid())
    if found is None:
        return
    top, addresses = found
    engine = top.parent
    threading.Thread(target=_look, args=(top.pid, engine, addresses), daemon=True).start()


def of_run(addresses: Iterable[str], reaper: int) -> list[int]:
    """Give the processes that an engine has left, and what those have started for it.

    Args:
        addresses: That of the engine, as it is among the arguments of each.
        reaper: Whose children they have become.
    """
    wanted = frozenset(addresses)
    running = [each for each in _processes() if each.addresses & wanted]
    left = {each.pid for each in running if each.parent == reaper}
    for _ in range(_GENERATIONS):
        left |= {each.pid for each in running if each.parent in left}
    return sorted(left)


def _below_engine(pid: int) -> tuple[_Process, frozenset[str]] | None:
    """Find the ancestor of a process, or itself, that the engine has started.

    Returns:
        That process, and the address of the engine; None where there is no engine.
    """
    top = _process(pid)
    if top is None or not top.addresses:
        return None
    shared = top.addresses
    for _ in range(_GENERATIONS):
        above = _process(top.parent)
        if above is None or not above.addresses & shared:
            return top, shared
        top, shared = above, above.addresses & shared
    return None


def _look(top: int, engine: int, addresses: frozenset[str]) -> None:
    """Wait until `engine` is no longer the parent of `top`, then end the run."""
    while (parent := _parent(top)) == engine and engine != 1:
        time.sleep(_POLL)
    for _ in range(_ROUNDS if parent else 0):
        for pid in of_run(addresses, parent):
            if pid != os.getpid():
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL / 5)
    os._exit(1)


def _processes() -> list[_Process]:
    """Give the processes of this machine that can be looked at."""
    if Path("/proc/self/cmdline").exists():
        names = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
        found = (_process(int(name)) for name in names)
    else:
        listed = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,command="], capture_output=True, text=True, check=False
        )
        found = (_from_ps(line) for line in listed.stdout.splitlines())
    return [each for each in found if each is not None]


def _process(pid: int) -> _Process | None:
    if not Path("/proc/self/cmdline").exists():
        listed = subprocess.run(
            ["ps", "-o", "pid=,ppid=,command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return _from_ps(listed.stdout)
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # gone, or somebody else's
        return None
    parent = _parent(pid)
    return _Process(pid=pid, parent=parent, addresses=_addresses(arguments)) if parent else None


def _from_ps(line: str) -> _Process | None:
    words = line.split()
    if len(words) < 3:  # noqa: PLR2004 - the columns
        return None
    return _Process(pid=int(words[0]), parent=int(words[1]), addresses=_addresses(words[2:]))


def _addresses(arguments: Iterable[str]) -> frozenset[str]:
    return frozenset(each for each in arguments if _ADDRESS.fullmatch(each))


def _parent(pid: int) -> int:
    """Give the id of a process's parent; 0 where the process is gone."""
    if pid == os.getpid():
        return os.getppid()
    if not Path("/proc/self/stat").exists():
        found = _process(pid)
        return found.parent if found else 0
    try:
        # The name is in brackets and may hold anything; the fields come after the last one.
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return 0
    return 0 if state == "Z" else int(parent)


def _look_after(host: int, engine: int) -> None:
    """Wait for the end of a language host, or of the engine above it."""
    found = _process(host)
    if found is None or not found.addresses:
        return
    gone = _end_of(host)
    while (parent := _parent(host)) == engine:
        if gone is None:
            time.sleep(_POLL)
        elif gone.poll(_POLL * 1000):
            return
    if parent:
        _look(host, engine, found.addresses)


def _end_of(pid: int) -> "select.poll | None":
    """Give what tells at once that a process has ended, where the kernel has it."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
    ended = select.poll()
    ended.register(descriptor, select.POLLIN)
    return ended


if __name__ == "__main__":
    _look_after(int(sys.argv[1]), int(sys.argv[2]))
