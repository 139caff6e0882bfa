"""Stacks whose server is a container, for the tests of the target `container`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.engine.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.daemon import Docker

__all__ = ["ContainerStack"]

_CONTAINER = "docker:index/container:Container::server-container"
_VOLUME = "docker:index/volume:Volume::server-volume"


class ContainerStack(Project):
    """A stack of the target `container`.

    Attributes:
        docker: The daemon.
        image: The image that it begins with.
    """

    def __init__(self, folder: Path, *, docker: Docker, image: str, program: str = "") -> None:
        """Lay it out."""
        super().__init__(folder, program=program)
        self.docker, self.image = docker, image
        self.configure(dataDir=None, target="container", image=image)

    def described(self) -> dict[str, Any]:
        """Give all that Docker says of the server's container."""
        name = self.container()
        described: dict[str, Any] = json.loads(self.docker("inspect", name).stdout)[0]
        return described

    def container(self) -> str:
        """Give the name of the server's container as the state has it."""
        return str(self.resource("server-container")["outputs"]["name"])

    def volume(self) -> str:
        """Give the name of the volume with the data as the state has it."""
        return str(self.resource("server-volume")["outputs"]["name"])

    def resource(self, name: str) -> dict[str, Any]:
        """Give a resource out of the state."""
        resources = json.loads(self.state())["checkpoint"]["latest"]["resources"]
        return next(each for each in resources if each["urn"].endswith(f"::{name}"))

    def things(self) -> set[str]:
        """Name all that the state has of Docker and that Docker really has."""
        named = {
            each["outputs"]["name"]
            for each in json.loads(self.state())["checkpoint"]["latest"].get("resources", ())
            if each["type"].startswith("docker:") and "RemoteImage" not in each["type"]
        }
        return named & self.everything()

    def everything(self) -> set[str]:
        """Name every container, volume and network in Docker."""
        listings = (
            ("ps", "--all", "--format", "{{.Names}}"),
            ("volume", "ls", "--format", "{{.Name}}"),
            ("network", "ls", "--format", "{{.Name}}"),
        )
        return {line for each in listings for line in self.docker(*each).stdout.split()}

    def look(self, *, volume: bool = False) -> None:
        """Refresh the container alone, or the volume with it, as messages advise."""
        kinds = [_CONTAINER, *([_VOLUME] if volume else [])]
        targets = [word for kind in kinds for word in ("--target", f"{_URN}{kind}")]
        self.refresh(*targets)


_URN = "urn:pulumi:test::groundwork::"
