"""What the suites share: the engine, and a stack to copy."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.plugins.stack import Stack


@pytest.fixture(scope="session")
def engine() -> Path:
    """The folder of the Pulumi engine."""
    found = shutil.which("pulumi")
    if found:
        return Path(found).parent
    from toolchain.engine import locate

    return locate().parent


@pytest.fixture(scope="session")
def empty_stack(tmp_path_factory: pytest.TempPathFactory, engine: Path) -> Path:
    """The folder of a stack without resources."""
    folder = tmp_path_factory.mktemp("template") / "stack"
    return Stack(
        folder, package="none", path=[engine, Path(sys.executable).parent], environment={}
    ).folder
