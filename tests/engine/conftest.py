"""Stacks of the real project for the tests of the whole."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.engine import histories
from tests.engine.node import Node, make_database
from tests.engine.project import Project
from tests.servers.running import stop_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer


@pytest.fixture(scope="module")
def make_project(scratch: Path) -> Iterator[Callable[[], Project]]:
    """Make projects; a server that still runs is stopped at the end, without the engine."""
    made: list[Project] = []

    def make() -> Project:
        folder = scratch / f"project-{os.urandom(4).hex()}"
        folder.mkdir(mode=0o755)
        made.append(Project(folder))
        return made[-1]

    yield make
    for project in made:
        stop_server(project.data)
        shutil.rmtree(project.folder)


@pytest.fixture(scope="session")
def make_node(
    scratch: Path, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Callable[..., Node]:
    """Make stacks of a node, each on a database of its own with three small revisions."""

    def make(*, migrations: Path | None = None) -> Node:
        tag = uuid.uuid4().hex[:8]
        folder = scratch / f"node-{tag}"
        folder.mkdir(mode=0o755)
        url = make_database(postgres_server, f"node {tag}")
        return Node(
            folder,
            url=url,
            migrations=migrations or histories.init_three(tmp_path_factory.mktemp("files") / tag),
        )

    return make
