"""What all tests share: one throwaway PostgreSQL 17 for each worker, and Docker where there is."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from infra.servers.throwaway import Throwaway as PostgresServer
from infra.servers.throwaway import throwaway
from tests.docker.fixtures import docker, docker_image
from tests.memory import memory_folder
from tests.schedule import (
    pytest_collection_modifyitems,
    pytest_sessionstart,
    pytest_terminal_summary,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "PostgresServer",
    "docker",
    "docker_image",
    "pytest_collection_modifyitems",
    "pytest_sessionstart",
    "pytest_terminal_summary",
]

# Some machines ask for no bytecode. Hundreds of processes import this project here, and each would
# compile it again, for 0.7 s of a core; it is kept in ignored folders.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Few examples in every run, since each run has others; many of them in one that has the time:
# HYPOTHESIS_PROFILE=soak. No deadline, and no complaint of slowness: others use the machine too.
for _name, _examples in (("daily", 25), ("soak", 2000)):
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        derandomize=False,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "daily"))

# The text of a whole script, for tests that look for one at work.
_SETTINGS = (
    "max_connections=200",
    "max_prepared_transactions=8",
    "track_activity_query_size=16384",
)
_PASSWORD = "test-%-@-/"  # noqa: S105 - of a throwaway server; characters that URLs stumble on


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that the account of a server can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="groundwork-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL 17 with pgvector."""
    with throwaway(password=_PASSWORD, settings=_SETTINGS, parent=memory_folder()) as server:
        yield server
