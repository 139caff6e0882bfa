"""Every resource of a container and of what it needs is replaced in place, without a loss."""

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

_COUNT = "SELECT count(*) FROM skill_files"


@pytest.fixture(scope="module")
def stack(scratch: Path, docker: Docker, docker_image: str) -> Iterator[ContainerStack]:
    """A stack that is up, with a row."""
    folder = scratch / f"replaced-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    stack = ContainerStack(folder, docker=docker, image=docker_image)
    try:
        stack.up()
        stack.query(
            "INSERT INTO skill_files (name, version, effective_date, content)"
            " VALUES ('kept', '1', '2026-01-01', 'text') RETURNING name"
        )
        yield stack
    finally:
        stack.destroy(check=False)
        shutil.rmtree(folder)


def test_no_part_of_the_container_takes_the_rows_along(stack: ContainerStack) -> None:
    """What can't be replaced without a loss says so, also in a preview; the next `up` is clean."""
    parts = [
        each["urn"]
        for each in stack.resources()
        if each["urn"].rpartition("::")[2].startswith("server") and each.get("custom")
    ]
    assert len(parts) > 6
    for urn in parts:
        done = stack.up("--replace", urn, check=False)
        assert "Traceback" not in done.text
        if urn.endswith("::server-volume"):
            assert "would lose what is in it" in done.text
            assert "would lose" in stack.preview("--replace", urn, check=False).text
        if done.status:
            stack.up()
        assert stack.query(_COUNT) == [(1,)], f"{urn}:\n{done.text}"
    stack.up()
    stack.preview("--expect-no-changes")
