"""The processes of one run, found by a mark in their environment, which children inherit."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal

__all__ = ["VARIABLE", "find", "find_worker", "send"]

VARIABLE = "GROUNDWORK_FAULT_RUN"
_WORKER = "infra.schema.online"


def find(mark: str) -> dict[int, str]:
    """Give the command lines of the processes with a mark, by their ids; zombies are left out."""
    wanted = f"{VARIABLE}={mark}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                said = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                found[int(process.name)] = said
    return found


def find_worker(mark: str) -> list[int]:
    """Give the ids of the processes that run online revisions."""
    return [pid for pid, said in find(mark).items() if _WORKER in said]


def send(pids: list[int], what: signal.Signals) -> None:
    """Send a signal to processes, as far as they are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
