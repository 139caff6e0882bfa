"""What the suites share: the engine, and the clients of plugins."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.plugins.engine import EngineStack
from tests.plugins.provider import Providers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def engine() -> Path:
    """The folder of the Pulumi engine."""
    found = shutil.which("pulumi")
    if found:
        return Path(found).parent
    from toolchain.engine import locate

    return locate().parent


@pytest.fixture(scope="session")
def providers() -> Iterator[Providers]:
    """The clients of this session's plugin processes."""
    clients = Providers()
    yield clients
    clients.close()


@pytest.fixture
def engine_stack(
    tmp_path: Path, engine: Path, plugin: Path, package: str, reached: dict[str, str]
) -> EngineStack:
    """A fresh stack on the engine."""
    return EngineStack(
        tmp_path / "stack",
        path=[plugin, engine, Path(sys.executable).parent],
        package=package,
        environment=reached,
    )
