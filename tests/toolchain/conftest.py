"""A cache of its own for each test, a web server, and stand-ins for published archives."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from toolchain import checksums, engine, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLOSED = "http://127.0.0.1:9"
"""Nobody listens on the discard port: a network that isn't there, at once."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the servers of these tests without the proxy that the machine may have."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty XDG_CACHE_HOME."""
    home = tmp_path / "a cache"
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with the system's tools, without pulumi and Go, and a first folder to fill."""
    first = tmp_path / "first on path"
    first.mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sleep", "cat", "readlink", "dirname", "sed", "head", "env"):
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", f"{first}{os.pathsep}{tools}")
    return first


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of pinned checksums of the test's own, without any."""
    path = tmp_path / "checksums.txt"
    path.write_text("# pinned\n")
    monkeypatch.setattr(checksums, "FILE", path)
    return path


@dataclass(kw_only=True)
class Site:
    """A web server on loopback that serves what a test puts into it.

    Attributes:
        url: its address.
        files: path to content; anything else is a 404.
        types: path to content type, where one matters.
        asked: the paths that were asked for, in order.
        wait: seconds before the first byte of each answer.
        drip: seconds between the eight pieces of each answer.
        cut: whether an answer ends after its first piece.
        closing: set at the end, so that nobody goes on waiting.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    wait: float = 0
    drip: float = 0
    cut: bool = False
    closing: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on a free port of loopback."""
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.closing.wait(state.wait)
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", state.types.get(self.path, "application/gzip"))
            self.end_headers()
            size = max(1, -(-len(content) // 8))
            with contextlib.suppress(ConnectionError):  # the other side may have given up
                for start in range(0, len(content), size):
                    self.wfile.write(content[start : start + size])
                    if state.cut:
                        return
                    state.closing.wait(state.drip)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Be silent where the other side gave up, which is what many tests are about."""
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type] # typed by a private alias

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    state.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def archive(files: dict[str, str]) -> bytes:
    """Make a .tar.gz of executables, as the engine and plugins are published."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


def engine_scripts(version: str) -> dict[str, str]:
    """Give shell scripts that stand in for the programs of an engine of that version."""
    scripts = dict.fromkeys(engine.PROGRAMS, "#!/bin/sh\n")
    return scripts | {"pulumi": f"#!/bin/sh\necho v{version}\n"}


def publish(site: Site, *, version: str = "", archive_bytes: bytes = b"") -> None:
    """Put an engine and the list of its checksums on the site, for any machine, and pin them."""
    scripts = engine_scripts(version or versions.engine())
    files = {f"pulumi/{name}": text for name, text in scripts.items()}
    content = archive_bytes or archive(files | {"pulumi/pulumi-language-nodejs": "#!/bin/sh\n"})
    digest = hashlib.sha256(content).hexdigest()
    lines = []
    for system in ("linux", "darwin"):
        for machine in ("x64", "arm64"):
            name = f"pulumi-v{versions.engine()}-{system}-{machine}.tar.gz"
            site.files[f"/{name}"] = content
            lines.append(f"{digest}  {name}\n")
    site.files[f"/pulumi-{versions.engine()}-checksums.txt"] = "".join(lines).encode()
    pin(lines)


def pin(lines: list[str]) -> None:
    """Pin checksums, in the file of a test that has asked for `pins`."""
    assert checksums.FILE.parent != versions.ROOT / "toolchain"
    with checksums.FILE.open("a", encoding="utf-8") as file:
        file.writelines(lines)


def executable(path: Path, text: str) -> Path:
    """Write a script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def pulumi() -> Path:
    """The machine's real engine."""
    try:
        return engine.locate()
    except ToolchainError as exc:
        pytest.fail(f"these tests drive the real engine: {exc}")


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a Python process that can import the toolchain, with its output in pipes."""

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(versions.ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
