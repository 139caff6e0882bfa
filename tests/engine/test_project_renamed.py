"""A project that bears another name reads its own keys, and keeps what its stacks have."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.engine.programs import SERVER_ALONE
from tests.engine.project import ROOT, Project
from tests.servers.running import stop_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def project(scratch: Path) -> Iterator[Project]:
    """A server that is up, of a project that is called shop since then, with its stack."""
    folder = scratch / f"shop-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    project = Project(folder, program=SERVER_ALONE)
    project.configure(passwordVersion="2")
    project.up()
    described = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    (folder / "Pulumi.yaml").unlink()
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(described | {"name": "shop"}))
    names = ("organization/groundwork/test", "organization/shop/test")
    project.pulumi("stack", "rename", "--stack", *names)
    yield project
    stop_server(project.data)
    shutil.rmtree(folder)


def test_keys_of_the_former_name_are_refused_with_what_to_write(project: Project) -> None:
    """All of them in one message: none is ignored."""
    refused = project.preview(check=False)

    assert refused.status != 0
    assert "groundwork:dataDir: is read by nothing here" in refused.text
    assert "write shop:dataDir" in refused.text
    assert "write shop:passwordVersion" in refused.text
    assert "pulumi config set shop:KEY VALUE" in refused.text


def test_its_own_keys_count_and_the_server_stays(project: Project) -> None:
    """The mark in the data directory follows; a provider's message names the project's key."""
    pid = project.pid()
    project.configure(
        **{
            "groundwork:dataDir": None,
            "groundwork:passwordVersion": None,
            "shop:dataDir": str(project.data),
            "docker:host": "unix:///nowhere.sock",
        }
    )
    assert {name for name, op in project.steps().items() if op != "same"} == {"server"}
    project.up()
    assert project.pid() == pid
    project.preview("--expect-no-changes")

    project.configure(**{"shop:dataDir": str(project.data) + "-2"})
    refused = project.preview(check=False)
    assert "To leave it where it is, set shop:dataDir to" in refused.text
    project.configure(**{"shop:dataDir": str(project.data)})


def test_an_unknown_key_of_its_own_is_refused(project: Project) -> None:
    """As in any project."""
    project.configure(**{"shop:nonsense": "1"})

    refused = project.preview(check=False)

    assert "shop:nonsense: no such key" in refused.text
    project.configure(**{"shop:nonsense": None})
    project.preview("--expect-no-changes")
