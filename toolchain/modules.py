"""Builds programs from published Go modules that a go.mod and go.sum of ours pin."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import fetch, golang, progress, run
from toolchain.errors import ToolchainError

__all__ = ["Program", "build", "module_folder"]

_TRIES = 3
_PAUSE = 2.0  # seconds before a network command is tried again, doubled each time
_LOCAL = 120.0  # seconds that a look at what is on the disk may take


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program to build.

    Attributes:
        folder: holds go.mod and go.sum; not written to.
        package: the import path of its main package.
        label: what it is, in words.
        ldflags: flags for the linker.
        about: how long the first build takes, in words.
        env: the environment to build in.
    """

    folder: Path
    package: str
    label: str
    ldflags: str = "-s -w"
    about: str = ""
    env: dict[str, str] = field(default_factory=golang.environment)


def build(program: Program, target: Path, *, go: Path) -> None:
    """Fetch the modules that `program` needs, compile it, and write it to `target`.

    Raises:
        ToolchainError: when the modules can't be had, or don't compile.
    """
    packages = _packages(program, go)
    seen = _Compiling(len(packages), program.package)
    command = [str(go), "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"]
    command += ["-ldflags", program.ldflags, "-o", str(target), program.package]
    with progress.step(f"compiling {program.label}", about=program.about) as shown:
        run.stream(
            command,
            cwd=program.folder,
            env=program.env,
            on_line=seen.line,
            on_tick=lambda: shown.update(seen.state),
        )


def module_folder(program: Program, module: str, *, go: Path) -> Path:
    """Give the folder of the module cache that holds `module` as `program` pins it."""
    command = [str(go), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]
    found = run.output(command, cwd=program.folder, env=program.env, timeout=_LOCAL)
    if not found:
        raise ToolchainError(f"the module cache lacks {module}")
    return Path(found)


class _Compiling:
    """How far `go build -v` is: it names each package once it begins to compile it."""

    def __init__(self, total: int, main: str) -> None:
        self._total = total
        self._main = main
        self._done = 0
        self._linking = False

    @property
    def state(self) -> str:
        if self._linking:
            return "linking"
        if not self._done:
            return "looking for what is compiled already"
        return f"package {self._done} of {self._total}"

    def line(self, line: str) -> None:
        if line and " " not in line and not line.startswith("#"):
            self._done += 1
            self._linking = line == self._main  # it is compiled last


def _packages(program: Program, go: Path) -> list[str]:
    """List the packages of `program`, which fetches every module that they come from."""
    command = [str(go), "list", "-mod=readonly", "-deps", program.package]
    try:
        offline = program.env | {"GOPROXY": "off"}
        listing = run.output(command, cwd=program.folder, env=offline, timeout=_LOCAL)
        return listing.splitlines()
    except run.CommandError:
        _check_network(program, go)
    return _fetch(program, command)


def _fetch(program: Program, command: Sequence[str]) -> list[str]:
    pinned = (program.folder / "go.sum").read_text(encoding="utf-8")
    most = len(re.findall(r"^\S+ \S+(?<!/go\.mod) h1:", pinned, re.MULTILINE))
    with progress.step(f"fetching the Go modules of {program.label}") as shown:
        for attempt in range(_TRIES):
            seen = _Fetching(most)
            try:
                run.stream(
                    command,
                    cwd=program.folder,
                    env=program.env,
                    on_line=seen.line,
                    on_tick=lambda seen=seen: shown.update(seen.state),  # type: ignore[misc] # mypy can't infer a lambda with a default
                )
            except run.CommandError:
                if attempt + 1 == _TRIES:
                    raise
                time.sleep(_PAUSE * 2**attempt)
            else:
                return seen.packages
    raise AssertionError("the last try either returns or raises")


class _Fetching:
    """What `go list -deps` has said so far: modules that it fetches, then packages."""

    def __init__(self, most: int) -> None:
        self.packages: list[str] = []
        self._fetched = 0
        self._most = most

    @property
    def state(self) -> str:
        return f"{self._fetched} modules of at most {self._most}"

    def line(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self._fetched += 1
        elif not line.startswith("go: "):
            self.packages.append(line)


def _check_network(program: Program, go: Path) -> None:
    """Find out within one limit whether a module proxy answers.

    Go itself would wait for minutes where packets get lost. 'direct' can't be asked, so it
    is believed where it is the only entry.
    """
    setting = run.output([str(go), "env", "GOPROXY"], env=program.env, timeout=_LOCAL)
    entries = [entry.strip() for entry in re.split(r"[,|]", setting) if entry.strip()]
    proxies = [entry for entry in entries if entry.startswith(("http://", "https://"))]
    if not proxies:
        if entries == ["off"]:
            raise ToolchainError("GOPROXY is 'off' and the module cache lacks what is needed")
        return
    limit = fetch.LIMIT / len(proxies)
    reasons = [fetch.reachable(f"{proxy.rstrip('/')}/", limit=limit) for proxy in proxies]
    if all(reasons):
        raise ToolchainError("no Go module proxy: " + "; ".join(reasons))
