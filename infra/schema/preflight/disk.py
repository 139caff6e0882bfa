"""How much space is free where a server keeps its data, if that is on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["free"]


def free(pid: int, tablespace: str) -> int | None:
    """Give the free bytes of a tablespace's file system; None where the server is not at hand.

    Args:
        pid: Of the server process of our own session: the folder in which it works is the data
            directory.
        tablespace: Its folder; empty for the data directory.
    """
    process = Path("/proc") / str(pid)
    try:
        title = (process / "cmdline").read_bytes()
        folder = (process / "cwd").readlink()
    except OSError:  # another machine's, a container's, or another account's
        return None
    # A container's process has a number of its own there, which is another process's here.
    if not title.startswith(b"postgres: ") or not (folder / "global" / "pg_control").exists():
        return None
    try:
        return shutil.disk_usage(tablespace or folder).free
    except OSError:
        return None
