"""What tests do with a cluster that runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from infra.servers import probe
from infra.servers.errors import ClusterError
from infra.servers.local.account import server_account
from infra.servers.local.cluster import SUPERUSER, Cluster
from infra.servers.local.configuration import Configuration
from infra.servers.ports import HOST, find_free
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.servers.local.binaries import Binaries

__all__ = [
    "OWNER",
    "PASSWORD",
    "ask",
    "cluster_in",
    "copy_into",
    "folder_in",
    "kill_all",
    "processes",
    "query",
    "start",
    "stop_server",
]

OWNER = "groundwork/test"
PASSWORD = "first"  # noqa: S105 - of a throwaway cluster


@contextmanager
def folder_in(scratch: Path) -> Iterator[Path]:
    """Give a new folder that the server's account can enter."""
    folder = scratch / f"cluster-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def cluster_in(place: Path) -> Iterator[Cluster]:
    """Give a cluster that is not made yet, and end its server."""
    data = place / "data"
    made = Cluster(data=data, owner=OWNER, account=server_account(data))
    yield made
    made.postmaster.clear()
    made.stop()


def copy_into(cluster: Cluster, made: Cluster) -> None:
    """Make a cluster of one that never ran, where initdb is not the subject: it takes a second."""
    subprocess.run(["cp", "-a", made.data, cluster.data], check=True)


def start(cluster: Cluster, binaries: Binaries, *, password: str = PASSWORD) -> int:
    """Start the cluster on a free port and wait for it."""
    for _ in range(5):
        port = find_free()
        try:
            cluster.start(binaries, Configuration(port=port))
        except ClusterError:
            continue  # another worker took that port meanwhile
        ask(port, password)
        return port
    pytest.fail("no port could be had")


def ask(port: int, password: str = PASSWORD) -> probe.Identity:
    """Ask the server who it is, as soon as it answers."""
    return probe.wait(host=HOST, port=port, user=SUPERUSER, password=password, seconds=20)


def query(port: int, sql: str, *, password: str = PASSWORD) -> Any:
    """Run SQL as the superuser, and give the first value."""

    async def run() -> Any:
        connection = await asyncpg.connect(
            host=HOST, port=port, user=SUPERUSER, password=password, database="postgres"
        )
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def processes(data: Path) -> Iterator[int]:
    """Give every process that works in a data directory."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve(strict=True) == data.resolve():
                yield int(process.name)


def kill_all(data: Path) -> None:
    """Kill all processes of a server at once, as a machine does that loses its power."""
    for pid in processes(data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(processes(data)):
        time.sleep(0.01)


def stop_server(data: Path) -> None:
    """End the server of a data directory at once, where one runs, and wait for its processes."""
    with suppress(OSError, ValueError):  # none was made, or it ends by itself
        postmaster = int((data / "postmaster.pid").read_text().split("\n")[0])
        if postmaster in processes(data):  # and no other process that has its number now
            os.kill(postmaster, signal.SIGQUIT)
    wait_until(lambda: not data.exists() or not any(processes(data)))
