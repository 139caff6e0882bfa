"""Stacks of the real project for the tests of the whole."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.engine.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def make_project(scratch: Path) -> Iterator[Callable[[], Project]]:
    """Make projects; whatever is still up is taken down at the end."""
    made: list[Project] = []

    def make() -> Project:
        folder = scratch / f"project-{os.urandom(4).hex()}"
        folder.mkdir(mode=0o755)
        made.append(Project(folder))
        return made[-1]

    yield make
    for project in made:
        project.pulumi("destroy", "--yes", "--stack", "test", check=False)
        shutil.rmtree(project.folder)
