"""What is seen of Docker, an image and a volume before a stack makes anything."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.servers import Found, ports
from infra.servers.docker import labels
from infra.servers.docker.engine import DockerError
from infra.servers.docker.host import ContainerHostProvider
from infra.servers.docker.inside import found
from infra.servers.docker.labels import Stack
from infra.servers.docker.trial import ContainerTrialProvider
from infra.settings import parse

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.docker.daemon import Docker

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def stack(docker: Docker) -> Stack:
    """A stack that nobody else has."""
    return Stack(owner=f"groundwork/{docker.name('stack')}", docker_host="")


def _host(stack: Stack, olds: dict[str, Any] | None = None, **news: object) -> int:
    """Give the port that the check of a machine comes to."""
    asked = {"owner": stack.owner, "docker_host": "", "requested_port": 0, "volume": "", **news}
    return int(ContainerHostProvider().check(olds or {}, asked).inputs["port"])


def _try(image: str, volume: str = "", olds: dict[str, Any] | None = None, **news: object) -> None:
    """Try an image with a volume and settings."""
    asked = {"image": image, "image_id": image, "volume": volume, "owner": "groundwork/tests"}
    more = {"docker_host": "", "parameters": {}, "memory": 0, "shm_size": 256}
    ContainerTrialProvider().check(olds or {}, {**asked, **more, **news})


def _settings(image: str, volume: str, database: str) -> Settings:
    values = {"target": "container", "image": image, "volume": volume, "database": database}
    return parse(values, root=_ROOT)


def _running(docker: Docker, image: str, volume: str, *options: str) -> str:
    """Start the image's own server on a volume; give the container."""
    mount = f"--volume={volume}:/var/lib/postgresql/data"
    name = docker.start(image, options=(mount, "--env=POSTGRES_PASSWORD=any", *options))
    docker.ready(name)
    return name


def test_a_port_is_chosen_once(stack: Stack) -> None:
    """A preview and the run after it come to the same; what was chosen stays."""
    port = _host(stack)

    assert port == _host(stack)
    assert ports.is_free(port)
    other = port + 1 if ports.is_free(port + 1) else port - 1
    assert _host(stack, {"port": other}) == other


def test_a_port_of_another_program_is_refused(stack: Stack) -> None:
    """It is not chosen, and where it is wished for, the message says what to do."""
    with socket.socket() as taken:
        chosen = _host(stack)
        taken.bind(("127.0.0.1", chosen))
        taken.listen()

        assert _host(stack) != chosen
        with pytest.raises(DockerError, match=f"Port {chosen} .* is taken by another program"):
            _host(stack, requested_port=chosen)


def test_a_port_of_another_container_is_refused_by_its_name(
    stack: Stack, docker: Docker, docker_image: str
) -> None:
    """The stack's own container is no other, once the stack knows it."""
    port = ports.find_free()
    own = (f"--label={name}={value}" for name, value in labels.of(stack.owner).items())
    publish = f"--publish=127.0.0.1:{port}:5432"
    name = docker.start(docker_image, "sleep", "600", options=(publish, *own))

    with pytest.raises(DockerError, match=name):
        _host(stack, requested_port=port)
    assert _host(stack, {"port": port}, requested_port=port) == port


def test_a_volume_that_a_server_runs_on_is_refused(
    stack: Stack, docker: Docker, docker_image: str
) -> None:
    """What a lost state left, or somebody else's: two servers would destroy it."""
    volume = docker.volume()
    mount = f"--volume={volume}:/data"
    name = docker.start(docker_image, "sleep", "600", options=(mount,))

    with pytest.raises(DockerError, match=f"container {name} runs on the volume {volume}"):
        _host(stack, volume=volume)
    docker("rm", "--force", "--volumes", name)
    assert _host(stack, volume=volume)


def test_docker_that_does_not_run_is_told(stack: Stack) -> None:
    """Before anything is made."""
    with pytest.raises(DockerError, match=r"Docker can't be reached.*Nothing was changed"):
        _host(stack, docker_host="unix:///no-such.sock")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"shared_buffers": "x"}, 'invalid value for parameter "shared_buffers": "x"'),
        ({"no_such_setting": "1"}, 'unrecognized configuration parameter "no_such_setting"'),
    ],
)
def test_settings_that_postgresql_refuses_are_found_out(
    docker_image: str, parameters: dict[str, str], said: str
) -> None:
    """In PostgreSQL's words, before a server that runs is taken down for them."""
    with pytest.raises(DockerError, match=said):
        _try(docker_image, parameters=parameters)


def test_extensions_that_the_image_lacks_are_found_out(docker_image: str) -> None:
    """By their names; none at all are wanted of it where the stack asks for none."""
    with pytest.raises(DockerError, match=r"no extension 'no such', 'nor this'.*:extensions"):
        _try(docker_image, extensions=["vector", "no such", "nor this"])
    _try(docker_image, extensions=[])


def test_memory_that_is_too_little_is_found_out(docker_image: str) -> None:
    """The message counts what is needed."""
    with pytest.raises(DockerError, match=r"groundwork:memory is 200 MiB, and PostgreSQL needs"):
        _try(docker_image, memory=200)
    _try(docker_image, memory=300)


def test_settings_are_checked_with_each_other_where_there_is_a_cluster(
    docker: Docker, docker_image: str
) -> None:
    """And libraries are loaded, and memory is counted by PostgreSQL itself."""
    volume = docker.volume()
    name = _running(docker, docker_image, volume)

    with pytest.raises(DockerError, match="must be less than"):
        _try(docker_image, volume, parameters={"superuser_reserved_connections": "200"})
    with pytest.raises(DockerError, match='could not access file "nothing"'):
        _try(docker_image, volume, parameters={"shared_preload_libraries": "nothing"})
    _try(docker_image, volume, parameters={"shared_buffers": "256MB"}, memory=600)
    docker("rm", "--force", "--volumes", name)


def test_a_volume_of_another_major_version_is_found_out(docker: Docker, docker_image: str) -> None:
    """The message has both versions; nothing in the volume is touched."""
    volume = docker.volume()
    docker.pretend_major(volume, docker_image, 15)

    with pytest.raises(DockerError, match=r"belongs to PostgreSQL 15, and the image .* 17"):
        _try(docker_image, volume)


def test_what_is_known_to_go_together_is_not_tried_again() -> None:
    """A run without a change costs no container: not even the image is looked for."""
    olds = {"image_id": "gone", "volume": "", "parameters": {}, "memory": 0, "shm_size": 256}

    ContainerTrialProvider().check(olds, {**olds, "docker_host": "unix:///no-such.sock"})


def test_names_of_every_kind_are_found_in_a_volume(
    stack: Stack, docker: Docker, docker_image: str
) -> None:
    """Of a server that runs, and of one that is stopped."""
    volume, database = docker.volume(), 'My "Books"; 📚 it\'s'
    settings = _settings(docker_image, volume, database)
    assert found(settings, stack) == Found()  # an empty volume
    own = (f"--label={name}={value}" for name, value in labels.of(stack.owner).items())
    name = _running(docker, docker_image, volume, *own)
    quoted = '"' + database.replace('"', '""') + '"'
    owner = '"' + settings.access.roles.owner.replace('"', '""') + '"'
    sql = f"CREATE ROLE {owner}; CREATE ROLE other; CREATE DATABASE {quoted};"
    docker("exec", "-i", "-u", "postgres", name, "psql", stdin=sql)
    expected = Found(roles=frozenset({settings.access.roles.owner}), database=True)

    assert found(settings, stack) == expected
    docker("stop", name)
    assert found(settings, stack) == expected
    assert found(_settings(docker_image, docker.name("no-volume"), database), stack) == Found()


def test_a_volume_is_not_opened_while_another_server_has_it(
    stack: Stack, docker: Docker, docker_image: str
) -> None:
    """Neither by asking it nor beside it: that it is taken is told by the check of the machine."""
    volume = docker.volume()
    name = _running(docker, docker_image, volume)

    assert found(_settings(docker_image, volume, "books"), stack) == Found()
    docker("rm", "--force", "--volumes", name)
