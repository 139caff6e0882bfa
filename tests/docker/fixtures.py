"""What a test needs that runs containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docker import daemon, image
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["docker", "docker_image"]


@pytest.fixture(scope="session")
def docker() -> Iterator[daemon.Docker]:
    """The Docker Engine of this machine; whatever bears the run's label or name goes at the end."""
    try:
        found = daemon.connect()
    except ToolchainError as exc:
        pytest.skip(f"no Docker: {exc}")
    found.sweep()  # what killed runs left
    yield found
    found.sweep()


@pytest.fixture(scope="session")
def docker_image(docker: daemon.Docker) -> str:
    """The name of an image of PostgreSQL 17 with pgvector, in the daemon."""
    try:
        return image.provide(docker)
    except ToolchainError as exc:
        pytest.skip(f"no image of PostgreSQL 17: {exc}")
