"""The whole project on a container: what changes where its stack is renamed, or a setting is."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.engine.container import ContainerStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docker.daemon import Docker

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stack(scratch: Path, docker: Docker, docker_image: str) -> Iterator[ContainerStack]:
    """A stack that is up; its volume has the name that Docker gave it."""
    folder = scratch / f"renamed-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    stack = ContainerStack(folder, docker=docker, image=docker_image)
    try:
        stack.up()
        yield stack
    finally:
        stack.destroy(check=False)
        shutil.rmtree(folder)


def _changed(stack: ContainerStack) -> set[str]:
    return {name for name, op in stack.steps().items() if op not in ("same", "read")}


def test_a_setting_replaces_the_container_and_changes_nothing_in_the_server(
    stack: ContainerStack,
) -> None:
    """Host, port, user and cluster of a server that stays are known in the preview."""
    stack.up("--expect-no-changes")
    stack.configure(**{"parameters.work_mem": "9MB"})

    assert _changed(stack) <= {"server-trial", "server-container", "server"}
    assert "not known" not in stack.preview().text
    stack.up()
    assert stack.query("SHOW work_mem") == [("9MB",)]


def test_a_stopped_container_changes_nothing_in_the_server(stack: ContainerStack) -> None:
    """It is started; the schema alone can't be looked at until then."""
    stack.docker("stop", "--time", "60", stack.container(), timeout=90)

    assert _changed(stack) == {"server", "schema"}
    stack.up()
    stack.preview("--expect-no-changes")


def test_a_renamed_stack_keeps_volume_and_container(stack: ContainerStack) -> None:
    """Their labels have the name that it had when it made them: another would replace them."""
    before = stack.things()
    assert len(before) > 1
    stack.pulumi("stack", "rename", "renamed")
    stack.environment["PULUMI_STACK"] = "renamed"
    try:
        assert _changed(stack) <= {"schema"}
        stack.up()
        stack.preview("--expect-no-changes")
    finally:
        stack.pulumi("stack", "rename", "test")
        stack.environment["PULUMI_STACK"] = "test"
    assert stack.things() == before
    stack.up()
    assert stack.query("SELECT count(*) FROM clients") == [(0,)]
