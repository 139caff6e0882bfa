"""From nothing to a migrated PostgreSQL 17 in a container, and back with the rows."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.engine.container import ContainerStack
from tests.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docker.daemon import Docker

pytestmark = pytest.mark.long

_NAME = 'My "Books"; 📚 its + 1'
_INSERT = (
    "INSERT INTO skill_files (name, version, effective_date, content)"
    " VALUES ('kept', '1', '2026-01-01', 'text') RETURNING name"
)
_ROWS = "SELECT name FROM skill_files"


@pytest.fixture(scope="module")
def stack(scratch: Path, docker: Docker, docker_image: str) -> Iterator[ContainerStack]:
    """A stack that isn't up yet, whose database has an odd name, and whose volume is retained."""
    folder = scratch / f"container-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    stack = ContainerStack(folder, docker=docker, image=docker_image)
    try:
        stack.configure(database=_NAME, volume=docker.name("whole"), retain="true")
        yield stack
    finally:
        if stack.things():  # a test has failed
            stack.configure(retain="false")
            stack.up(check=False)
            stack.destroy(check=False)
        shutil.rmtree(folder)


def test_a_preview_of_nothing_makes_nothing(stack: ContainerStack) -> None:
    """Everything is to be created, and the port is known already."""
    volume = stack.configured("volume")

    previewed = stack.previewed()

    assert {step["op"] for step in previewed.values()} == {"create"}
    assert {"server", "server-container", "schema", "db-database"} <= set(previewed)
    assert previewed["server"]["newState"]["inputs"]["port"] >= 1024
    assert volume not in stack.everything()


def test_up_ends_with_the_schema_at_head(stack: ContainerStack) -> None:
    """All tables, the extension, the port of the preview; a second run changes nothing."""
    port = stack.previewed()["server"]["newState"]["inputs"]["port"]
    stack.up()
    outputs = stack.outputs()
    tables = stack.query(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'app' AND relkind = 'r'"
    )

    assert outputs["endpoint"] == f"127.0.0.1:{int(port)}"
    assert {name for (name,) in tables} == {*TABLES, "alembic_version"}
    assert stack.query("SELECT version_num FROM app.alembic_version") == [(outputs["revision"],)]
    assert stack.query("SELECT '[1,2]'::vector <-> '[1,3]'::vector") == [(1.0,)]
    stack.up("--expect-no-changes")


def test_a_stack_that_retains_gives_its_rows_to_the_next(stack: ContainerStack) -> None:
    """Destroy leaves the volume alone; `up` takes roles and database over, with new passwords."""
    assert stack.query(_INSERT) == [("kept",)]
    volume, former, made = stack.volume(), stack.outputs()["url"], stack.things()

    stack.destroy()
    left = made & stack.everything()
    stack.up()

    assert left == {volume}
    assert stack.query(_ROWS) == [("kept",)]
    assert stack.outputs()["url"] != former
    stack.preview("--expect-no-changes")


def test_a_lost_state_finds_its_rows_again(stack: ContainerStack) -> None:
    """A server that is left over is named with what to do; then `up` has the rows."""
    container, things = stack.container(), stack.things()
    (stack.folder / "state/.pulumi/stacks/groundwork/test.json").unlink()
    stack.pulumi("stack", "init", "test", "--no-select", check=False)

    refused = stack.preview(check=False)
    assert refused.status
    assert f"docker stop {container}; docker rm {container}" in refused.text
    stack.docker("stop", "--time", "60", container, timeout=90)
    stack.docker("rm", "--volumes", container)
    stack.up()

    assert stack.query(_ROWS) == [("kept",)]
    stack.preview("--expect-no-changes")
    for kind in ("container", "volume", "network"):  # what the lost state had made beside
        for each in things - stack.things() - {container}:
            stack.docker(kind, "rm", each, check=False)


def test_without_retain_nothing_is_left(stack: ContainerStack) -> None:
    """No container, no volume, no network, and no row."""
    stack.configure(retain="false")
    stack.up()
    made = stack.things()

    stack.destroy()

    assert len(made) == 5
    assert not made & stack.everything()
