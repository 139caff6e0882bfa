"""Processes of this package that work for another one: their start, and what they owe it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["at", "command", "end_with", "whereabouts"]

_AT = "groundwork is at: "
_PR_SET_PDEATHSIG = 1  # prctl(2)


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


def at(what: str) -> None:
    """Note on standard error what this process turns to, in case that it never comes back."""
    sys.stderr.write(f"\n{_AT}{what}\n")
    sys.stderr.flush()


def whereabouts(said: bytes | None) -> tuple[str, str]:
    """Read what a process has left on standard error.

    Returns:
        The last that it turned to, and the last line that somebody else has written.
    """
    lines = (said or b"").decode(errors="replace").splitlines()
    turned = [line.removeprefix(_AT) for line in lines if line.startswith(_AT)]
    others = [line.strip() for line in lines if line.strip() and not line.startswith(_AT)]
    return turned[-1] if turned else "", others[-1] if others else ""
