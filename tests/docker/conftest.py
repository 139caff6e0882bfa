"""Containers for the tests of the image: started in a line, asked in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docker.daemon import Docker

PASSWORD = 'it\'s a "secret" $PATH %20'  # noqa: S105 - of a throwaway container
"""Whatever a shell, SQL or a connection string could stumble on."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A container of the image under test."""

    docker: Docker
    container: str

    def ready(self) -> Server:
        """Wait until PostgreSQL answers over TCP."""
        self.docker.ready(self.container)
        return self

    def shell(self, *command: str) -> str:
        """Run a program in the container and give what it prints."""
        return self.docker("exec", self.container, *command).stdout.strip()

    def sql(self, text: str, *, user: str = "postgres", database: str = "postgres") -> str:
        """Run SQL on the container's own socket and give the rows, '|' between columns."""
        return self.shell("psql", "-qAtX", "-U", user, "-d", database, "-c", text)

    def logs(self) -> str:
        """Give all that the container has written."""
        return self.docker.logs(self.container)

    def ended(self) -> int:
        """Wait for the container's end and give its exit status."""
        return self.docker.ended(self.container)


class Boot:
    """Starts containers of the image under test."""

    def __init__(self, docker: Docker, image: str) -> None:
        """Start them in `docker`, from `image`."""
        self._docker, self._image = docker, image
        self.made: list[str] = []

    def __call__(self, *command: str, options: tuple[str, ...] = (), **env: str) -> Server:
        """Start one with a password, unless `env` says otherwise.

        Args:
            command: what follows the image on the command line.
            options: more options of `docker run`.
            env: the container's environment; an empty text leaves a variable out.
        """
        told = {"POSTGRES_PASSWORD": PASSWORD, "POSTGRES_INITDB_ARGS": "--no-sync"} | env
        words = [word for key, value in told.items() if value for word in ("-e", f"{key}={value}")]
        container = self._docker.start(self._image, *command, options=(*words, *options))
        self.made.append(container)
        return Server(docker=self._docker, container=container)

    def remove(self) -> None:
        """Remove what was started so far, not its named volumes."""
        if self.made:
            self._docker("rm", "--force", "--volumes", *self.made)
            self.made.clear()


@pytest.fixture
def boot(docker: Docker, docker_image: str) -> Iterator[Boot]:
    """Start containers that go away with the test."""
    starter = Boot(docker, docker_image)
    yield starter
    starter.remove()


@pytest.fixture(scope="module")
def plain(docker: Docker, docker_image: str) -> Iterator[Server]:
    """A server as `docker run` gives it with a password alone, its port on this machine."""
    starter = Boot(docker, docker_image)
    yield starter(options=("--publish", "127.0.0.1::5432"), POSTGRES_INITDB_ARGS="").ready()
    starter.remove()
