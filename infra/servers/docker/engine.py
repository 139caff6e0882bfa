"""Asks the Docker Engine of this machine what no resource of the graph tells: over its socket."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from infra.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Docker", "DockerError", "Run", "connect"]

_SOCKET = "unix:///var/run/docker.sock"
_SECONDS = 30.0
_MARK = "groundwork.trial"
_NOT_FOUND = 404
_REFUSALS = range(400, 600)
# A frame of a log or of a command's output: stream, three zero bytes, length (Engine API).
_FRAME = struct.Struct(">BxxxI")
_STDOUT = 1


class DockerError(GroundworkError):
    """Docker can't be reached, or refused."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command in a container did.

    Attributes:
        status: Its exit status.
        stdout: What it wrote there.
        stderr: What it wrote there.
    """

    status: int
    stdout: str
    stderr: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, kw_only=True)
class Docker:
    """A Docker Engine; every question is one connection.

    Attributes:
        address: As in DOCKER_HOST, unix:// or plain tcp://.
    """

    address: str

    # -- questions ----------------------------------------------------------------------

    def image(self, name: str) -> dict[str, Any] | None:
        """Describe an image by reference or id; None where it isn't on this machine."""
        return self._maybe(f"/images/{quote(name, safe='/:@')}/json")

    def volume(self, name: str) -> dict[str, Any] | None:
        """Describe a volume; None where there is none."""
        return self._maybe(f"/volumes/{quote(name, safe='')}")

    def container(self, name: str) -> dict[str, Any] | None:
        """Describe a container by name or id, running or not; None where there is none."""
        return self._maybe(f"/containers/{quote(name, safe='')}/json")

    def containers(self, **filters: str) -> list[dict[str, Any]]:
        """List containers, running or not, by Docker's filters (`label="a=b"`, `volume=...`)."""
        chosen = json.dumps({name: [value] for name, value in filters.items()})
        found = self._ask("GET", "/containers/json?" + urlencode({"all": "1", "filters": chosen}))
        return list(found or [])

    # -- commands -----------------------------------------------------------------------

    def start(self, container: str) -> None:
        """Start a container that is stopped.

        Raises:
            DockerError: Docker refused, or there is no such container.
        """
        self._ask("POST", f"/containers/{quote(container)}/start")

    def execute(self, container: str, *command: str, user: str) -> Run:
        """Run a command in a running container.

        Raises:
            DockerError: Docker refused, or there is no such container.
        """
        body = {"Cmd": command, "User": user, "AttachStdout": True, "AttachStderr": True}
        made = self._must("POST", f"/containers/{quote(container)}/exec", body)
        path = f"/exec/{made['Id']}"
        said = self._raw("POST", f"{path}/start", {"Detach": False, "Tty": False})
        status = self._must("GET", f"{path}/json")["ExitCode"]
        return _run(int(status), said)

    def run(self, description: Mapping[str, Any], *, mark: str, seconds: float) -> Run:
        """Run a container to its end and remove it, whatever happens.

        Where this process is killed, the next one with the same mark removes the container.

        Args:
            description: As the Engine's API takes it, without labels.
            mark: Whose container it is.
            seconds: How long it may take.

        Raises:
            DockerError: Docker refused, or it took longer.
        """
        self._sweep(mark)
        body = {**description, "Labels": {_MARK: mark}}
        identity = str(self._must("POST", "/containers/create", body)["Id"])
        path = f"/containers/{identity}"
        try:
            self._must("POST", f"{path}/start")
            ended = self._must("POST", f"{path}/wait", seconds=seconds)
            said = self._raw("GET", f"{path}/logs?stdout=1&stderr=1")
        finally:
            self._ask("DELETE", f"{path}?force=1&v=1")
        return _run(int(ended["StatusCode"]), said)

    def _sweep(self, mark: str) -> None:
        for each in self.containers(label=f"{_MARK}={mark}"):
            ended = each["State"] in ("exited", "dead")
            if ended or (each["State"] == "created" and time.time() - each["Created"] > _SECONDS):
                self._ask("DELETE", f"/containers/{each['Id']}?force=1&v=1")

    # -- the protocol -------------------------------------------------------------------

    def _must(
        self, method: str, path: str, body: object = None, *, seconds: float = _SECONDS
    ) -> dict[str, Any]:
        answer = self._ask(method, path, body, seconds=seconds)
        if answer is None:
            msg = f"Docker at {self.address} knows nothing of {path.partition('?')[0]}."
            raise DockerError(msg)
        return dict(answer)

    def _maybe(self, path: str) -> dict[str, Any] | None:
        answer = self._ask("GET", path)
        return None if answer is None else dict(answer)

    def _ask(
        self, method: str, path: str, body: object = None, *, seconds: float = _SECONDS
    ) -> Any:
        """Give the answer; None for what Docker doesn't have, {} for one without words."""
        status, said = self._send(method, path, body, seconds)
        if status == _NOT_FOUND and method != "POST":
            return None
        if status in _REFUSALS:
            raise DockerError(f"Docker at {self.address} refuses: {_reason(said)}.")
        return json.loads(said) if said.strip() else {}

    def _raw(self, method: str, path: str, body: object = None) -> bytes:
        status, said = self._send(method, path, body, _SECONDS)
        if status in _REFUSALS:
            raise DockerError(f"Docker at {self.address} refuses: {_reason(said)}.")
        return said

    def _send(self, method: str, path: str, body: object, seconds: float) -> tuple[int, bytes]:
        connection = self._connection(seconds)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except TimeoutError as exc:
            msg = f"Docker at {self.address} has not answered within {seconds:g} s."
            raise DockerError(msg) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise self._unreachable(exc) from exc
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, seconds)
        return http.client.HTTPConnection(parts.hostname or "", parts.port or 2375, timeout=seconds)

    def _unreachable(self, exc: Exception) -> DockerError:
        number = exc.errno if isinstance(exc, OSError) else None
        reason = os.strerror(number) if number else str(exc) or type(exc).__name__
        advice = "Start Docker (systemctl start docker, or Docker Desktop)"
        if isinstance(exc, PermissionError):
            advice = "Let this user into the group 'docker', or run as root"
        return DockerError(
            f"Docker can't be reached at {self.address}: {reason}. Nothing was changed. {advice},"
            " or name another address in DOCKER_HOST or in the setting docker:host."
        )


def connect(address: str) -> Docker | None:
    """Find the way to the Docker Engine that the provider `docker` uses.

    Args:
        address: Of the setting docker:host; "" takes DOCKER_HOST, or Docker's own socket.

    Returns:
        None where the way is one that only the plugin goes: over SSH, or with certificates.
    """
    chosen = address or os.environ.get("DOCKER_HOST") or _SOCKET
    scheme = urlsplit(chosen).scheme
    secured = os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH")
    if scheme == "unix" or (scheme == "tcp" and not secured):
        return Docker(address=chosen)
    return None


def _reason(said: bytes) -> str:
    try:
        return str(json.loads(said)["message"]).strip().rstrip(".")
    except (ValueError, KeyError, TypeError):
        return said.decode(errors="replace").strip() or "it doesn't say why"


def _run(status: int, said: bytes) -> Run:
    written = {True: b"", False: b""}
    for stream, content in _frames(said):
        written[stream == _STDOUT] += content
    return Run(
        status=status,
        stdout=written[True].decode(errors="replace"),
        stderr=written[False].decode(errors="replace"),
    )


def _frames(said: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + _FRAME.size <= len(said):
        stream, length = _FRAME.unpack_from(said, place)
        place += _FRAME.size
        yield stream, said[place : place + length]
        place += length
