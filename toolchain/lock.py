"""Spreads the pinned versions to the go.mod and go.sum files of what is built from Go modules."""

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain import actionlint, golang, progress, run, source, versions

__all__ = ["write"]

_HERE = Path(__file__).parent
_ENGINE_MODULE = "github.com/pulumi/pulumi/pkg/v3"
_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
_TRIES = 3
_PAUSE = 2.0  # seconds before a command is tried again


@dataclass(frozen=True, kw_only=True)
class _Module:
    """One go.mod to write.

    Attributes:
        name: its folder's name here.
        package: the program to build.
        version: that of the module which holds it.
        also: modules whose version is pinned too, as MODULE@VERSION.
        go: its `go` line.
        edits: its replacements, as options of `go mod edit`.
    """

    name: str
    package: str
    version: str
    go: str
    also: Sequence[str] = ()
    edits: Sequence[str] = ()


def write() -> None:
    """Write each go.mod and go.sum for the versions that are pinned now.

    All are made aside first, so that a failure leaves the old ones.

    Raises:
        ToolchainError: when there is no Go, or the modules can't be had.
    """
    go = golang.find()
    with tempfile.TemporaryDirectory() as scratch:
        folders = [_make(go, module, Path(scratch)) for module in _modules(go, Path(scratch))]
        for folder in folders:
            for file in ("go.mod", "go.sum"):
                shutil.copyfile(folder / file, _HERE / folder.name / file)


def _modules(go: Path, scratch: Path) -> list[_Module]:
    line, edits = _upstream(go, scratch)
    version = f"v{versions.engine()}"
    return [
        _Module(
            name="engine",
            package=source.ENGINE,
            version=version,
            go=line,
            also=[f"{_SDK_MODULE}@{version}"],
            edits=edits,
        ),
        _Module(name="host", package=source.HOST, version=f"v{versions.HOST}", go=line),
        _Module(
            name="actionlint",
            package=actionlint.PACKAGE,
            version=f"v{versions.ACTIONLINT}",
            go=line,
        ),
    ]


def _upstream(go: Path, scratch: Path) -> tuple[str, list[str]]:
    """Read the `go` line and the replacements by published modules from the engine's go.mod.

    Its replacements by folders name siblings in Pulumi's repository, which are published.
    """
    downloaded = _go(
        go, ["mod", "download", "-json", f"{_ENGINE_MODULE}@v{versions.engine()}"], scratch
    )
    parsed = json.loads(_go(go, ["mod", "edit", "-json", json.loads(downloaded)["GoMod"]], scratch))
    edits = [
        f"-replace={entry['Old']['Path']}={entry['New']['Path']}@{entry['New']['Version']}"
        for entry in parsed.get("Replace") or ()
        if entry["New"].get("Version")
    ]
    return parsed["Go"], edits


def _make(go: Path, module: _Module, scratch: Path) -> Path:
    folder = scratch / module.name
    folder.mkdir()
    with progress.step(f"locking the Go modules of the {module.name}"):
        _go(go, ["mod", "init", f"groundwork.invalid/{module.name}"], folder)
        _go(go, ["mod", "edit", f"-go={module.go}", *module.edits], folder)
        _go(go, ["get", "-tool", f"{module.package}@{module.version}"], folder)
        for also in module.also:
            _go(go, ["get", also], folder)
        # Reads every package that a build reads, on each system that is served, so that
        # go.sum has the sums of all modules that they come from.
        for system in ("linux", "darwin"):
            _go(go, ["list", "-deps", module.package], folder, GOOS=system)
    return folder


def _go(go: Path, arguments: Sequence[str], folder: Path, **extra: str) -> str:
    env = golang.environment() | extra
    for attempt in range(_TRIES):
        try:
            return run.output([str(go), *arguments], cwd=folder, env=env, timeout=1800)
        except run.CommandError:
            if attempt + 1 == _TRIES:
                raise
            time.sleep(_PAUSE * 2**attempt)
    raise AssertionError("the last try either returns or raises")
