"""Whether Docker can run a stack's server, seen before anything is made; and at which port."""

from __future__ import annotations

import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider
from infra.project import spelled
from infra.servers import ports
from infra.servers.docker import engine, labels
from infra.servers.docker.engine import DockerError
from infra.servers.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.servers.docker.labels import Stack
    from infra.settings import Settings

__all__ = ["HOST_TYPE", "ContainerHost", "ContainerHostProvider"]

HOST_TYPE = "pulumi-python:dynamic/groundwork:ContainerHost"

_PORTS = range(15432, 16432)  # those of `ports`


class ContainerHost(dynamic.Resource, module="groundwork", name="ContainerHost"):
    """The machine that a container is to run on: Docker answers, and the port is free.

    Attributes:
        port: The configured port, or one that was free when it was chosen and is kept.
    """

    port: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        stack: Stack,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare what the stack's configuration asks of the machine.

        Args:
            name: Of the resource.
            settings: Of the stack.
            stack: Whose server it is.
            opts: The engine's.
        """
        inputs = {
            **asdict(stack),
            "requested_port": settings.port,
            "volume": settings.volume,
            "port": None,
        }
        super().__init__(ContainerHostProvider(), name, inputs, opts)


class ContainerHostProvider(Provider):
    """Looks and chooses in `check`, so that previews already have the answer and the port."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Give the inputs with the port.

        Raises:
            DockerError: Docker doesn't run, the port is taken, another server has the volume.
        """
        host = engine.connect(news["docker_host"])
        present = [] if host is None else host.containers()
        running = [each for each in present if each["State"] in ("running", "restarting")]
        ours = [each for each in running if olds and labels.belongs(each, news["owner"])]
        others = [each for each in running if each not in ours]
        _refuse_second_server(news["volume"], others)
        port = int(news["requested_port"] or olds.get("port") or _choose(news["owner"], running))
        if not any(port in _published(each) for each in ours):
            _refuse_taken(port, others)
        return dynamic.CheckResult({**news, "port": port}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare the inputs."""
        return dynamic.DiffResult(changes=any(olds.get(key) != news[key] for key in news))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Remember the port."""
        return dynamic.CreateResult(props["owner"], props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Remember the port."""
        return dynamic.UpdateResult(news)


def _choose(owner: str, running: Sequence[dict[str, Any]]) -> int:
    """Choose a free port; the same one as long as it is free, as a preview has promised it.

    Each stack of each checkout begins elsewhere: two that start at once don't meet.
    """
    taken = {port for each in running for port in _published(each)}
    first = zlib.crc32(f"{owner} {Path.cwd()}".encode())
    for step in range(len(_PORTS)):
        port = _PORTS[(first + step) % len(_PORTS)]
        if port not in taken and ports.is_free(port):
            return port
    msg = f"No port from {_PORTS[0]} to {_PORTS[-1]} is free. Name one with {spelled('port')}."
    raise DockerError(msg)


def _refuse_taken(port: int, others: Sequence[dict[str, Any]]) -> None:
    for each in others:
        if port in _published(each):
            raise DockerError(_taken(port, f"the container {_name(each)}"))
    if not ports.is_free(port):
        raise DockerError(_taken(port, "another program"))


def _taken(port: int, who: str) -> str:
    return (
        f"Port {port} on {HOST} is taken by {who}. Nothing was changed. End it, or set"
        f" {spelled('port')} to another port (0 takes a free one for a new stack)."
    )


def _refuse_second_server(volume: str, others: Sequence[dict[str, Any]]) -> None:
    """Two servers on one volume would destroy it."""
    for each in others:
        if volume and any(mount.get("Name") == volume for mount in each["Mounts"]):
            msg = (
                f"The container {_name(each)} runs on the volume {volume}, and this stack's state"
                " doesn't know it. Nothing was changed. Where it is what a lost state has left,"
                f" remove it (docker stop {_name(each)}; docker rm {_name(each)}): its rows stay in"
                f" the volume. Otherwise set {spelled('volume')} to another name."
            )
            raise DockerError(msg)


def _published(container: dict[str, Any]) -> set[int]:
    return {port["PublicPort"] for port in container["Ports"] or () if "PublicPort" in port}


def _name(container: dict[str, Any]) -> str:
    return str(container["Names"][0]).removeprefix("/")
