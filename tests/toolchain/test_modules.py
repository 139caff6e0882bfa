"""Builds from Go modules, with a module of a few lines in the place of the engine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import CLOSED, executable
from toolchain import cache, golang, modules, run
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

_HELLO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello\\n") }\n'

# Builds the program in the folder named by its argument into the cache.
_BUILD = """
import sys
from functools import partial
from pathlib import Path
from toolchain import cache, modules

program = modules.Program(folder=Path(sys.argv[1]), package="example.invalid/hello", label="hello")
def build(place):
    modules.build(program, place / "hello", go=Path(sys.argv[2]))
cache.make("hello", build, doing="building hello")
"""


_ENVIRONMENT = dict(os.environ)  # before a test's own cache folder, where Go's would go as well


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's Go, with what it has compiled already."""
    try:
        found = golang.find(fetch=False)
    except ToolchainError as exc:
        pytest.skip(f"these tests compile Go: {exc}")
    kept = run.output([str(found), "env", "GOCACHE"], env=_ENVIRONMENT, timeout=30)
    monkeypatch.setenv("GOCACHE", kept)
    return found


def _program(folder: Path, *, requires: str = "") -> modules.Program:
    folder.mkdir()
    lines = f"module example.invalid/hello\n\ngo {golang.wanted()}\n{requires}"
    (folder / "go.mod").write_text(lines)
    (folder / "go.sum").write_text("")
    source = _HELLO
    if requires:
        source = source.replace('import "os"', 'import (\n"os"\n_ "example.invalid/other"\n)')
    (folder / "main.go").write_text(source)
    return modules.Program(folder=folder, package="example.invalid/hello", label="hello")


def _alive(text: str) -> list[str]:
    """List the running processes whose command line holds `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended meanwhile
                continue
            if text in line:
                found.append(line)
    return found


@pytest.mark.usefixtures("cache_home")
def test_built(go: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program is compiled from pinned modules, and it is told what is done."""
    modules.build(_program(tmp_path / "source"), tmp_path / "hello", go=go)
    assert run.output([str(tmp_path / "hello")], timeout=10) == "hello"
    assert "compiling hello: done in" in capsys.readouterr().err


@pytest.mark.usefixtures("cache_home")
def test_compile_error(go: Path, tmp_path: Path) -> None:
    """What doesn't compile is an error that shows the compiler's words."""
    program = _program(tmp_path / "source")
    (program.folder / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(ToolchainError, match=r"undefined: nonsense"):
        modules.build(program, tmp_path / "hello", go=go)


@pytest.mark.parametrize("proxy", [CLOSED, "off", f"{CLOSED},direct"])
def test_no_module_proxy(
    go: Path, tmp_path: Path, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no module proxy answers and modules are missing, the build gives up soon."""
    monkeypatch.setenv("GOPROXY", proxy)
    program = _program(tmp_path / "source", requires="\nrequire example.invalid/other v1.0.0\n")
    begin = time.monotonic()
    with pytest.raises(ToolchainError, match=r"(no Go module proxy|GOPROXY is 'off')"):
        modules.build(program, tmp_path / "hello", go=go)
    assert time.monotonic() - begin < 60


def test_no_secret_of_the_proxy(go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of a module proxy isn't shown when it can't be reached."""
    monkeypatch.setenv("GOPROXY", "http://me:s3cret@127.0.0.1:9")
    program = _program(tmp_path / "source", requires="\nrequire example.invalid/other v1.0.0\n")
    with pytest.raises(ToolchainError) as caught:
        modules.build(program, tmp_path / "hello", go=go)
    assert "s3cret" not in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at /proc")
@pytest.mark.usefixtures("cache_home")
def test_killed_in_the_middle(
    go: Path, tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """A build killed with -9 takes its compiler with it, and the next one finishes."""
    program = _program(tmp_path / "source")
    text = f'#!/bin/sh\ncase $1 in build) exec sleep 71.9731 ;; esac\nexec "{go}" "$@"\n'
    slow = executable(tmp_path / "slow go", text)
    killed = python(_BUILD, str(program.folder), str(slow))
    deadline = time.monotonic() + 30
    while not _alive("sleep 71.9731"):
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while _alive("sleep 71.9731"):
        assert time.monotonic() < deadline, "the compiler outlives the run that started it"
        time.sleep(0.05)
    assert not cache.folder("hello").exists()
    again = python(_BUILD, str(program.folder), str(go))
    assert again.wait(timeout=120) == 0, again.communicate()
    again.communicate()
    assert run.output([str(cache.folder("hello") / "hello")], timeout=10) == "hello"
    assert not list(cache.folder(".aside").iterdir())


def test_old_go_is_told(bare_path: Path) -> None:
    """A Go that is too old is named, with the version that is needed."""
    old = executable(bare_path / "go", "#!/bin/sh\necho go1.19.1\n")
    with pytest.raises(ToolchainError, match=rf"is go1\.19\.1; Go {golang.wanted()} or later"):
        golang.find(fetch=False)
    assert old.exists()


def test_environment_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings for cross-compiling don't make an engine that this machine can't run."""
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOARCH", "mips")
    env = golang.environment()
    assert not {"GOOS", "GOARCH"} & set(env)
    assert env["CGO_ENABLED"] == "0"
    assert env["PATH"] == os.environ["PATH"]
