"""Clusters of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.servers.local.account import server_account
from infra.servers.local.binaries import Binaries, locate
from tests.servers.running import PASSWORD, cluster_in, copy_into, folder_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.servers.local.cluster import Cluster


@pytest.fixture(scope="session")
def binaries(scratch: Path) -> Binaries:
    """The programs that a user's stack would take."""
    return locate(configured="", account=server_account(scratch / "none"))


@pytest.fixture(scope="session")
def initialized(scratch: Path, binaries: Binaries) -> Iterator[Cluster]:
    """A cluster to be copied, which never runs."""
    with folder_in(scratch) as folder, cluster_in(folder) as cluster:
        cluster.make(binaries, PASSWORD)
        yield cluster


@pytest.fixture
def place(scratch: Path) -> Iterator[Path]:
    """A folder of the test's own that the server's account can enter."""
    with folder_in(scratch) as folder:
        yield folder


@pytest.fixture
def cluster(place: Path) -> Iterator[Cluster]:
    """A cluster that is not made yet."""
    with cluster_in(place) as made:
        yield made


@pytest.fixture
def made(cluster: Cluster, initialized: Cluster) -> Cluster:
    """A cluster that did not run yet, with the system identifier of all such."""
    copy_into(cluster, initialized)
    return cluster
