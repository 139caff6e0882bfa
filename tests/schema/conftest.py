"""What several tests of the schema node share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.servers.throwaway import throwaway
from tests.forking.fixtures import forked, real_processes
from tests.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.servers.throwaway import Throwaway

__all__ = ["forked", "real_processes", "target"]


@pytest.fixture(scope="session")
def target() -> Iterator[Throwaway]:
    """Where databases are remade, one after the other."""
    with throwaway(settings=("autovacuum=off",), parent=memory_folder()) as server:
        yield server
