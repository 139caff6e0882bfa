"""What a kill -9 leaves behind, and that the next start gets past it with every row."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.servers.local.cluster import Cluster
from infra.servers.local.configuration import FILE, Configuration
from infra.servers.ports import HOST
from tests.servers.running import PASSWORD, ask, kill_all, processes, query, start
from tests.waiting import wait_until_async

if TYPE_CHECKING:
    from pathlib import Path

    from infra.servers.local.binaries import Binaries

_ROWS = "SELECT count(*) FROM kept"


@pytest.fixture
def port(made: Cluster, binaries: Binaries) -> int:
    """The port of a server with a hundred rows, committed a moment ago."""
    port = start(made, binaries)
    query(port, "CREATE TABLE kept AS SELECT generate_series(1, 100)")
    return port


def _kill_postmaster(cluster: Cluster) -> None:
    pid = cluster.postmaster.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while cluster.postmaster.pid() is not None:
        time.sleep(0.01)


def test_all_processes_at_once(port: int, cluster: Cluster, binaries: Binaries) -> None:
    """As when the machine loses its power: the log is replayed."""
    kill_all(cluster.data)

    cluster.start(binaries, Configuration(port=port))

    ask(port)
    assert query(port, _ROWS) == 100
    query(port, "INSERT INTO kept VALUES (101)")


def test_the_postmaster_while_a_session_works(
    port: int, cluster: Cluster, binaries: Binaries
) -> None:
    """Its children don't stay in the way; what was not committed is gone, the rest is there."""

    def alone(pid: int) -> bool:
        return list(processes(cluster.data)) == [pid]

    async def outlive() -> None:
        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(
                host=HOST, port=port, user="postgres", password=PASSWORD, database="postgres"
            )

        busy, idle = await connect(), await connect()
        await busy.execute("SET client_connection_check_interval = 0")
        # It looks at no latch, and so doesn't notice that the postmaster is gone.
        endless = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"
        at_work = "SELECT query = $2 FROM pg_stat_activity WHERE pid = $1"
        pid = await busy.fetchval("SELECT pg_backend_pid()")
        working = asyncio.create_task(busy.execute(endless))
        await wait_until_async(lambda: idle.fetchval(at_work, pid, endless))
        await idle.execute("BEGIN; INSERT INTO kept VALUES (0)")
        await asyncio.to_thread(_kill_postmaster, cluster)
        await wait_until_async(partial(asyncio.to_thread, alone, pid))  # others go too
        await asyncio.to_thread(cluster.start, binaries, Configuration(port=port))
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await working
        idle.terminate()
        busy.terminate()

    asyncio.run(outlive())

    ask(port)
    assert query(port, _ROWS) == 100


def test_one_session_alone(port: int, cluster: Cluster) -> None:
    """PostgreSQL begins anew by itself, on the same port and as the same process."""
    pid = cluster.postmaster.pid()

    async def lose() -> None:
        session = await asyncpg.connect(
            host=HOST, port=port, user="postgres", password=PASSWORD, database="postgres"
        )
        os.kill(await session.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        session.terminate()

    asyncio.run(lose())

    ask(port)
    assert query(port, _ROWS) == 100
    assert cluster.postmaster.pid() == pid


def test_a_server_of_another_stack_with_the_old_process_id_is_in_nobodys_way(
    port: int, cluster: Cluster, binaries: Binaries, place: Path
) -> None:
    """After a reboot the number may be one's who runs under the very same account.

    PostgreSQL by itself takes that for the server and does not start.
    """
    other = Cluster(data=place / "other", owner=cluster.owner, account=cluster.account)
    other.make(binaries, PASSWORD)
    other_port = start(other, binaries)
    try:
        kill_all(cluster.data)
        lock = cluster.data / "postmaster.pid"
        _, *rest = lock.read_text().split("\n")
        lock.write_text("\n".join([str(other.postmaster.pid()), *rest]))

        assert cluster.postmaster.pid() is None
        cluster.start(binaries, Configuration(port=port))

        assert query(port, _ROWS) == 100
        ask(other_port)
    finally:
        other.stop()


def test_a_shell_in_the_data_directory_lives_on(
    port: int, cluster: Cluster, binaries: Binaries
) -> None:
    """Only PostgreSQL's own processes are ended before a start."""
    with subprocess.Popen(["sleep", "60"], cwd=cluster.data) as bystander:
        kill = [pid for pid in processes(cluster.data) if pid != bystander.pid]
        for pid in kill:
            os.kill(pid, signal.SIGKILL)
        while cluster.postmaster.pid() is not None:
            time.sleep(0.01)

        cluster.start(binaries, Configuration(port=port))

        assert bystander.poll() is None
        bystander.kill()


def test_a_start_that_was_killed_while_it_wrote(
    port: int, cluster: Cluster, binaries: Binaries
) -> None:
    """The configuration is the former or the new one as a whole; the half-written file goes."""
    kill_all(cluster.data)
    (cluster.data / f"{FILE}.new").write_text("port = ")

    cluster.start(binaries, Configuration(port=port))

    assert query(port, _ROWS) == 100
    assert not (cluster.data / f"{FILE}.new").exists()
