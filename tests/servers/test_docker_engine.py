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
    label, value = docker.label.split("=")
    script = "echo out; echo Fehler: ä >&2; exit 3"
    before = len(host.containers(label=docker.label))
    description = {
        "Image": docker_image,
        "Entrypoint": ["sh", "-c", script],
        "Labels": {label: value},
    }

    done = host.run(description, seconds=60)

    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "Fehler: ä\n")
    assert len(host.containers(label=docker.label)) == before


def test_a_command_that_takes_too_long_is_ended(
    host: engine.Docker, docker: Docker, docker_image: str
) -> None:
    """The message says so, and its container is gone."""
    label, value = docker.label.split("=")
    description = {
        "Image": docker_image,
        "Entrypoint": ["sleep", "600"],
        "Labels": {label: value, "groundwork.tests.slow": value},
    }

    with pytest.raises(DockerError, match="within 1 s"):
        host.run(description, seconds=1)
    assert host.containers(label=f"groundwork.tests.slow={value}") == []


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
