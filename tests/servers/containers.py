"""A container with the start script, as the target `container` runs it, without the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.scram import scram_verifier
from infra.servers import container, probe
from infra.servers.docker.trial import DATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.docker.daemon import Docker

__all__ = ["Place"]

_SALT = b"0123456789abcdef"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A volume with data and one with files, and containers on them.

    Attributes:
        docker: The daemon.
        image: An image of PostgreSQL 17.
        data: The volume with data.
        files: The volume with the stack's files.
    """

    docker: Docker
    image: str
    data: str
    files: str

    @classmethod
    def make(cls, docker: Docker, image: str) -> Place:
        """Make both volumes, empty."""
        return cls(docker=docker, image=image, data=docker.volume(), files=docker.volume())

    def put(self, password: str, **files: str) -> None:
        """Put the verifier of a password, and more files, where the start script looks."""
        found = {"password": scram_verifier(password, salt=_SALT), **files}
        for name, content in found.items():
            write = f"umask 077; cat > /groundwork/{name}"
            self.sh(write, stdin=content, volumes={self.files: "/groundwork"})

    def sh(self, script: str, *, stdin: str = "", volumes: Mapping[str, str] | None = None) -> str:
        """Run a script as root in a container of its own; give what it wrote."""
        mounts = volumes or {self.data: DATA}
        options = [word for each, to in mounts.items() for word in ("--volume", f"{each}:{to}")]
        once = ("--rm", "--interactive", "--label", self.docker.label, "--entrypoint", "sh")
        return self.docker("run", *once, *options, self.image, "-c", script, stdin=stdin).stdout

    def start(self, *command: str, transport: str = "host") -> str:
        """Start a container with the script; give its name."""
        options = (
            "--read-only",
            "--cap-drop=ALL",
            *(f"--cap-add={each}" for each in container.CAPABILITIES),
            "--security-opt=no-new-privileges",
            *(f"--tmpfs={place}:{mode}" for place, mode in container.TMPFS.items()),
            f"--volume={self.data}:{DATA}",
            f"--volume={self.files}:/groundwork:ro",
            f"--env=GROUNDWORK_TRANSPORT={transport}",
            *(f"--env={each}" for each in container.ENVIRONMENT),
            "--publish=127.0.0.1::5432",
            "--entrypoint=sh",
        )
        words = ("-c", container.START, "groundwork", "postgres", *command)
        hba = ("-c", "hba_file=/run/groundwork/pg_hba.conf")
        return self.docker.start(self.image, *words, *hba, options=options)

    def ask(self, name: str, password: str) -> probe.Identity:
        """Wait for the server of a container and log in over TCP."""
        self.docker.ready(name)
        port = self.docker.port(name)
        return probe.wait(
            host="127.0.0.1", port=port, user="postgres", password=password, seconds=20
        )

    def stop(self, name: str) -> str:
        """Stop a container in order and remove it; give its log."""
        self.docker("stop", "--time", "60", name, timeout=90)
        log = self.docker.logs(name)
        self.docker("rm", "--volumes", name)
        return log
