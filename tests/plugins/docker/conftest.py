"""Docker, a small image, the plugin under test and a fresh stack."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.plugins.docker.machine import Machine, available
from tests.plugins.stack import Stack
from toolchain import offline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plugins.provider import Providers

PLUGIN_VARIABLE = "GROUNDWORK_DOCKER_PLUGIN"
"""A folder with the plugin to test; not set: the offline one of this checkout."""

PROGRAM = "pulumi-resource-docker"

_COMMANDS = ("sh", "sleep", "cat", "stat", "ls", "id", "true", "false", "touch", "test", "env")

MakeStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def offline_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the offline plugin, with its own packages, past a genuine one that is there."""
    folder = tmp_path_factory.mktemp("plugin")
    needed = [*offline.sources("docker"), offline.packages("docker")]
    wrapper = folder / PROGRAM
    wrapper.write_text(
        f'#!/bin/sh\nPYTHONPATH="{os.pathsep.join(map(str, needed))}" '
        f'exec "{sys.executable}" -P -S -m groundwork_docker "$@"\n'
    )
    wrapper.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def plugin(request: pytest.FixtureRequest) -> Path:
    """The folder of the plugin under test."""
    chosen = os.environ.get(PLUGIN_VARIABLE)
    if chosen:
        # Another one that PATH leads to must not be taken for it.
        assert shutil.which(PROGRAM, path=chosen), f"{PLUGIN_VARIABLE}: no {PROGRAM} in {chosen}"
        return Path(chosen).resolve()
    found: Path = request.getfixturevalue("offline_plugin")
    return found


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The machine's Docker; skips, and says why, where there is none."""
    if reason := available():
        pytest.skip(f"Docker is needed: {reason}")
    return Machine()


@pytest.fixture(scope="session")
def image(machine: Machine) -> Iterator[str]:
    """A local image with a shell and a few commands of this machine, and their libraries."""
    name = f"groundwork-conformance:{uuid.uuid4().hex[:12]}"
    machine.run("import", "--change", "ENV MADE_BY=image", "-", name, data=_root())
    yield name
    machine.run("rmi", "--force", name)


@pytest.fixture
def reached(machine: Machine) -> dict[str, str]:
    """Variables that lead the default provider to the machine's Docker."""
    del machine
    return {key: value for key, value in os.environ.items() if key.startswith("DOCKER_")}


@pytest.fixture
def package() -> str:
    """Whose plugin is under test."""
    return "docker"


@pytest.fixture
def make_stack(providers: Providers, plugin: Path, reached: dict[str, str]) -> MakeStack:
    """Makes stacks whose default provider reaches the machine's Docker."""

    def make(**environment: str) -> Stack:
        return Stack(
            providers, folder=plugin, package="docker", environment={**reached, **environment}
        )

    return make


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """A fresh stack."""
    return make_stack()


@pytest.fixture
def name(machine: Machine) -> Iterator[Callable[[str], str]]:
    """Gives names of this test; whatever has one of them is removed at its end."""
    run, given = f"conformance-{uuid.uuid4().hex[:8]}", set()

    def give(suffix: str) -> str:
        given.add(f"{run}-{suffix}")
        return f"{run}-{suffix}"

    yield give
    if not machine.has_any(given):
        return
    for kind, options in (("container", ["--all"]), ("volume", []), ("network", [])):
        force = ["--force"] if kind != "network" else []
        listed = ["ls", "--quiet", *options, "--filter", f"name={run}"]
        if found := machine.run(kind, *listed).split():
            machine.run(kind, "rm", *force, *found)


def _root() -> bytes:
    """A root file system with the commands, as a tar archive."""
    files = {f"bin/{command}": _program(command) for command in _COMMANDS}
    for program in list(files.values()):
        files |= {str(library).lstrip("/"): library for library in _libraries(program)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, source in sorted(files.items()):
            tar.add(source.resolve(), arcname=path)
        for folder in ("tmp", "proc", "sys", "dev", "etc"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(member)
    return packed.getvalue()


def _program(command: str) -> Path:
    found = shutil.which(command, path="/bin:/usr/bin")
    assert found, command
    return Path(found)


def _libraries(program: Path) -> list[Path]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = (word for line in listed.splitlines() for word in line.split())
    return [Path(word) for word in words if word.startswith("/")]
