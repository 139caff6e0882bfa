"""Runs other programs: their output read line by line, their end tied to ours."""

import os
import selectors
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from toolchain.errors import ToolchainError

__all__ = ["CommandError", "output", "stream"]

_TICK = 0.5  # seconds between two calls of `on_tick`
_TAIL = 15  # lines of a failed program's output that its error shows

# Where the kernel can, it kills the child when this process dies, however it dies: a
# killed run must not leave a build behind that burns both cores and writes to a folder
# that the next run removes. Set in the child before exec, in a process of its own, since
# preexec_fn isn't safe with threads.
_TIED = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class CommandError(ToolchainError):
    """A program failed; `tail` holds the last lines that it wrote."""

    def __init__(self, command: Sequence[str], reason: str, tail: Sequence[str]) -> None:
        """Tell which command failed, how, and what it said last."""
        self.tail = list(tail)
        said = "".join(f"\n    {line}" for line in tail)
        super().__init__(f"`{shlex.join(command[:4])}` {reason}{':' if said else ''}{said}")


def output(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float,
) -> str:
    """Run a short command and give its stdout, stripped.

    Args:
        command: the program and its arguments.
        env: the whole environment; this process's by default.
        cwd: the folder to run it in; this process's by default.
        timeout: seconds after which it is killed.

    Raises:
        CommandError: when it can't be started, fails, or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            timeout=timeout,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise CommandError(command, f"did not end within {timeout:g} s", []) from None
    except OSError as exc:
        raise CommandError(command, f"can't be started: {exc.strerror}", []) from exc
    if done.returncode:
        raise CommandError(command, _ending(done.returncode), _last(done.stderr or done.stdout))
    return done.stdout.strip()


def stream(
    command: Sequence[str],
    *,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None] = lambda: None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a long command and hand over each line of its output as it comes.

    The command is killed when this process dies (on Linux) or the call ends early.

    Args:
        command: the program and its arguments.
        on_line: gets each line of stdout and stderr, without its end.
        on_tick: called twice a second, whether lines come or not.
        env: the whole environment; this process's by default.
        cwd: the folder to run it in; this process's by default.

    Raises:
        CommandError: when it can't be started or fails.
    """
    tail: deque[str] = deque(maxlen=_TAIL)
    try:
        child = subprocess.Popen(
            _tied(command),
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as exc:
        raise CommandError(command, f"can't be started: {exc.strerror}", []) from exc
    with child:
        try:
            for line in _lines(child, on_tick):
                tail.append(line)
                on_line(line)
            status = child.wait()
        except BaseException:
            child.kill()
            raise
    if status:
        raise CommandError(command, _ending(status), tail)


def _lines(child: subprocess.Popen[bytes], on_tick: Callable[[], None]) -> Iterator[str]:
    if child.stdout is None:
        raise AssertionError("the child was started with a pipe")
    descriptor, rest, last = child.stdout.fileno(), b"", 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            ready = selector.select(_TICK)
            if time.monotonic() - last >= _TICK:
                last = time.monotonic()
                on_tick()
            if not ready:
                continue
            chunk = os.read(descriptor, 65536)
            *whole, rest = (rest + chunk).split(b"\n")
            if not chunk and rest:
                whole.append(rest)
            for line in whole:
                yield line.decode("utf-8", "replace").rstrip()
            if not chunk:
                return


def _tied(command: Sequence[str]) -> list[str]:
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-ISc", _TIED, str(os.getpid()), *command]


def _ending(status: int) -> str:
    return f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"


def _last(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line.strip()][-_TAIL:]
