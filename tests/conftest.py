"""What all tests share: one throwaway PostgreSQL 17 for each worker."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.servers import probe
from infra.servers.account import server_account
from infra.servers.binaries import Binaries, locate
from infra.servers.cluster import SUPERUSER, Cluster
from infra.servers.errors import ClusterError
from infra.servers.ports import HOST, find_free

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSWORD = "test-%-@-/"  # noqa: S105 - of a throwaway server; characters that URLs stumble on
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A throwaway server and its superuser.

    Attributes:
        host: 127.0.0.1.
        port: The port it listens on.
        user: The superuser.
        password: The superuser's password, with characters that must be escaped in a URL.
    """

    host: str
    port: int
    user: str
    password: str


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that the account of a server can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="groundwork-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server(scratch: Path) -> Iterator[PostgresServer]:
    """A real PostgreSQL 17 with pgvector, made as the embedded target makes one."""
    data = scratch / "postgres"
    account = server_account(data)
    binaries = locate(configured="", account=account)
    cluster = Cluster(data=data, owner="tests/tests", account=account)
    cluster.make(binaries, _PASSWORD)
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("fsync = off\nmax_connections = 200\n")
    port = _start(cluster, binaries)
    probe.wait(host=HOST, port=port, user=SUPERUSER, password=_PASSWORD, seconds=30)
    yield PostgresServer(host=HOST, port=port, user=SUPERUSER, password=_PASSWORD)
    cluster.stop()
    cluster.remove()


def _start(cluster: Cluster, binaries: Binaries) -> int:
    for _ in range(_TRIES):  # workers start at once and may find the same port free
        port = find_free()
        with suppress(ClusterError):
            cluster.start(binaries, port)
            return port
    msg = "no port could be had for the tests' server"
    raise RuntimeError(msg)
