"""Looks into Docker, and changes it behind the stack's back, by its command line alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ADDRESS", "Machine", "available"]

ADDRESS = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
"""Where the tests' Docker answers."""

_LIMIT_SECONDS = 120


def available() -> str:
    """Why the tests cannot use Docker here; empty where they can."""
    if not shutil.which("docker"):
        return "there is no docker command"
    done = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_SECONDS,
    )
    return "" if done.returncode == 0 else f"no Docker Engine answers: {done.stderr.strip()}"


class Machine:
    """The Docker Engine of the machine; what a test makes has its label or its image."""

    def run(self, *arguments: str, data: bytes | None = None) -> str:
        """What a docker command prints."""
        done = subprocess.run(
            ["docker", *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def container(self, name: str) -> dict[str, Any] | None:
        """Docker's description of a container; None where there is none."""
        return self._described("container", name)

    def volume(self, name: str) -> dict[str, Any] | None:
        """Docker's description of a volume; None where there is none."""
        return self._described("volume", name)

    def network(self, name: str) -> dict[str, Any] | None:
        """Docker's description of a network; None where there is none."""
        return self._described("network", name)

    def image(self, name: str) -> dict[str, Any] | None:
        """Docker's description of a local image; None where there is none."""
        return self._described("image", name)

    def has_any(self, names: Iterable[str]) -> bool:
        """Whether there is a container, a network or a volume of one of the names."""
        done = subprocess.run(
            ["docker", "inspect", "--format", "found", *names],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        return b"found" in done.stdout

    def file(self, container: str, path: str) -> tuple[str, str, str]:
        """A file in a running container: its content, its mode, and its owner and group."""
        content = self.run("exec", container, "cat", path)
        mode, owner = self.run("exec", container, "stat", "-c", "%a %u:%g", path).split()
        return content, mode, owner

    def _described(self, kind: str, name: str) -> dict[str, Any] | None:
        done = subprocess.run(
            ["docker", kind, "inspect", name],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        found = json.loads(done.stdout or "[]")
        described: dict[str, Any] | None = found[0] if found else None
        return described
