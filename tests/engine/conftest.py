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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer


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


@pytest.fixture
def make_node(
    scratch: Path, tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[Callable[..., Node]]:
    """Make stacks of a node, each on a database of its own with three small revisions."""
    made: list[Node] = []

    def make(*, migrations: Path | None = None) -> Node:
        tag = uuid.uuid4().hex[:8]
        folder = scratch / f"node-{tag}"
        folder.mkdir(mode=0o755)
        url = make_database(postgres_server, f"node {tag}")
        node = Node(folder, url=url, migrations=migrations or _three(tmp_path / f"files-{tag}"))
        made.append(node)
        return node

    yield make
    for node in made:
        node.pulumi("destroy", "--yes", "--stack", "test", check=False)


def _three(folder: Path) -> Path:
    histories.init(folder)
    histories.add(
        folder,
        "aaa1",
        None,
        "op.execute('CREATE TABLE one (id int PRIMARY KEY)')",
        "op.execute('DROP TABLE one')",
    )
    histories.add(
        folder,
        "bbb2",
        "aaa1",
        "op.add_column('one', sa.Column('note', sa.Text()))",
        "op.drop_column('one', 'note')",
    )
    histories.add(
        folder,
        "ccc3",
        "bbb2",
        "op.create_index('ix_one_note', 'one', ['note'])",
        "op.drop_index('ix_one_note')",
    )
    return folder
