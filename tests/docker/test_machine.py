"""`.ci/docker` says in one line what the machine has or lacks, and never fails for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.docker.daemon import Docker

_ROOT = Path(__file__).parents[2]


def _bring_up(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    program = str(_ROOT / ".ci" / "docker")
    return subprocess.run(
        [program, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | env,
        timeout=120,
    )


def _elsewhere(folder: Path) -> dict[str, str]:
    """Let the command line look for a daemon where none is, as it does on a bare machine."""
    place = folder / "contexts" / "meta" / "0"
    place.mkdir(parents=True)
    endpoint = f'{{"docker": {{"Host": "unix://{folder}/none.sock"}}}}'
    (place / "meta.json").write_text(f'{{"Name": "bare", "Endpoints": {endpoint}}}')
    (folder / "config.json").write_text('{"currentContext": "bare"}')
    return {"DOCKER_CONFIG": str(folder), "DOCKER_HOST": "", "DOCKER_CONTEXT": ""}


def test_an_engine_that_answers_is_used(docker: Docker, docker_image: str, tmp_path: Path) -> None:
    """Nothing is installed or started where an engine answers and an image is there."""
    done = _bring_up(tmp_path)

    version = docker("version", "--format", "{{.Server.Version}}").stdout.strip()
    assert done.stdout == f"docker: found Engine {version}; the tests run on {docker_image}\n"
    assert done.stderr == ""
    assert done.returncode == 0
    assert not (tmp_path / "dockerd.pid").exists()


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_an_engine_elsewhere_is_not_replaced(tmp_path: Path, variable: str) -> None:
    """Where the environment names an engine that doesn't answer, none is started here."""
    other = {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}

    done = _bring_up(tmp_path, **(other | {variable: f"unix://{tmp_path}/none.sock"}))

    assert "no Docker Engine answers where DOCKER_HOST or DOCKER_CONTEXT leads" in done.stderr
    assert done.stderr.endswith("the tests that need it will be skipped\n")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.usefixtures("docker")  # the command line, which it would install otherwise
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start an engine")
def test_an_engine_that_cant_run_is_said(tmp_path: Path) -> None:
    """A dockerd that ends at once is quoted, and leaves no process id behind to be ended."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dockerd").write_text("#!/bin/sh\necho 'no right to mount'; exit 1\n")
    (programs / "dockerd").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    done = _bring_up(tmp_path, PATH=path, **_elsewhere(tmp_path / "config"))

    assert "docker: dockerd doesn't run here: no right to mount; the tests" in done.stderr
    assert (done.returncode, done.stdout) == (0, "")
    assert not (tmp_path / "dockerd.pid").exists()
