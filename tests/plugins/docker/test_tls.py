"""A Docker that is reached by TCP, with TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.plugins.docker.declare import resource
from tests.plugins.docker.machine import ADDRESS
from tests.plugins.run import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.plugins.docker.conftest import MakeStack
    from tests.plugins.docker.machine import Machine


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Docker's own client expects; one pair serves both sides."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    shutil.copyfile(folder / "cert.pem", folder / "ca.pem")
    return folder


@pytest.fixture
def front(certificates: Path, machine: Machine) -> Iterator[str]:
    """The address of a front of Docker that wants TLS, and a certificate of its clients."""
    del machine
    if not ADDRESS.startswith("unix://"):
        pytest.skip(f"the Docker at {ADDRESS} has no socket to put a front before")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening, context), daemon=True).start()
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


def _serve(listening: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):  # the end of the test closes the socket
        while True:
            plain, _ = listening.accept()
            threading.Thread(target=_forward, args=(plain, context), daemon=True).start()


def _forward(plain: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError), plain, socket.socket(socket.AF_UNIX) as docker:
        docker.connect(ADDRESS.removeprefix("unix://"))
        with context.wrap_socket(plain, server_side=True) as client:
            back = threading.Thread(target=_copy, args=(docker, client), daemon=True)
            back.start()
            _copy(client, docker)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_docker_behind_tls(
    make_stack: MakeStack,
    machine: Machine,
    front: str,
    certificates: Path,
    name: Callable[[str], str],
) -> None:
    """Docker's own variables lead there; without a certificate nothing is made."""
    reached = {"DOCKER_HOST": front, "DOCKER_TLS_VERIFY": "1"}
    # What other programs of the machine trust must not count here.
    reached["REQUESTS_CA_BUNDLE"] = str(certificates / "no such file")
    stack = make_stack(**reached, DOCKER_CERT_PATH=str(certificates))
    stack.up(volume=resource("Volume", name=name("volume")))
    assert machine.volume(name("volume")) is not None
    stack.destroy()
    assert machine.volume(name("volume")) is None
    with pytest.raises(RunError, match=r"127\.0\.0\.1"):
        make_stack(DOCKER_HOST=front).up(volume=resource("Volume", name=name("volume")))
    assert machine.volume(name("volume")) is None
