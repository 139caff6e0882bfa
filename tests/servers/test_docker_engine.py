"""Questions to the Docker Engine over its socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.servers.docker import engine
from infra.servers.docker.engine import DockerError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.daemon import Docker


@pytest.fixture
def host(docker: Docker) -> engine.Docker:  # noqa: ARG001 - skips where there is no daemon
    """The engine of this machine."""
    found = engine.connect("")
    assert found is not None
    return found


def test_what_is_not_there_is_none(host: engine.Docker) -> None:
    """An image, a volume or a container of no such name is no failure."""
    assert host.image("groundwork.test/no-such:image") is None
    assert host.volume("groundwork-no-such-volume") is None
    assert host.container("groundwork-no-such-container") is None


def test_a_command_runs_to_its_end_and_leaves_nothing(
    host: engine.Docker, docker: Docker, docker_image: str
) -> None:
    """Its status and what it wrote, each stream by itself, and no container afterwards."""
    script = "echo out; echo Fehler: ä >&2; exit 3"
    description = {"Image": docker_image, "Entrypoint": ["sh", "-c", script]}

    done = host.run(description, mark=docker.run, seconds=60)

    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "Fehler: ä\n")
    assert host.containers(label=f"groundwork.trial={docker.run}") == []


def test_a_command_that_takes_too_long_is_ended(
    host: engine.Docker, docker: Docker, docker_image: str
) -> None:
    """The message says so, and its container is gone."""
    description = {"Image": docker_image, "Entrypoint": ["sleep", "600"]}

    with pytest.raises(DockerError, match="within 1 s"):
        host.run(description, mark=docker.run, seconds=1)
    assert host.containers(label=f"groundwork.trial={docker.run}") == []


def test_what_a_killed_run_left_is_removed_by_the_next(
    host: engine.Docker, docker: Docker, docker_image: str
) -> None:
    """Its container has ended by itself; one of another mark is none of our business."""
    marks = (f"{docker.run}-killed", f"{docker.run}-other")
    for mark in marks:
        label = f"--label=groundwork.trial={mark}"
        docker.ended(docker.start(docker_image, "true", options=(label,)))

    host.run({"Image": docker_image, "Entrypoint": ["true"]}, mark=marks[0], seconds=60)

    left = [len(host.containers(label=f"groundwork.trial={mark}")) for mark in marks]
    assert left == [0, 1]


def test_a_command_runs_in_a_container_that_runs(
    host: engine.Docker, docker: Docker, docker_image: str
) -> None:
    """Under the user that is named."""
    name = docker.start(docker_image, "sleep", "600")

    done = host.execute(name, "sh", "-c", "id -un; exit 5", user="postgres")

    assert (done.status, done.stdout) == (5, "postgres\n")
    docker("rm", "--force", "--volumes", name)
    with pytest.raises(DockerError, match="No such container"):
        host.execute(name, "true", user="postgres")


def test_nobody_at_the_socket_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Where it looked, why it failed, and how to start Docker."""
    nobody = engine.connect(f"unix://{tmp_path}/docker.sock")
    assert nobody is not None

    with pytest.raises(DockerError, match=r"No such file or directory.*Start Docker"):
        nobody.containers()


def test_ways_that_the_plugin_alone_goes_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over SSH or with certificates nothing is asked; the setting wins over DOCKER_HOST."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://somewhere")
    assert engine.connect("") is None
    assert engine.connect("unix:///x") == engine.Docker(address="unix:///x")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert engine.connect("tcp://somewhere:2376") is None
