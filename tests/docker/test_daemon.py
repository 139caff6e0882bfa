"""What tests leave in Docker goes away, and nothing else does."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docker import daemon
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.daemon import Docker

_NOBODY = 4194304  # one more than the largest process id that Linux gives


def _dead(docker: Docker) -> Docker:
    """Give the daemon as a process saw it that ran here and is gone."""
    return dataclasses.replace(docker, run=f"{docker.run.split('-')[0]}-{_NOBODY}-1")


def _names(docker: Docker, kind: str) -> set[str]:
    form = "{{.Name}}" if kind != "container" else "{{.Names}}"
    every = ("--all",) if kind == "container" else ()
    return set(docker(kind, "ls", *every, "--format", form).stdout.split())


def test_a_sweep_takes_what_a_dead_run_made(docker: Docker, docker_image: str) -> None:
    """Containers, volumes and networks of a process that is gone are removed, by label or name."""
    dead = _dead(docker)
    container = dead.start(docker_image, "sleep", "60")
    labelled, named, network = dead.volume(), dead.name("bare"), dead.name("net")
    docker("volume", "create", named)
    docker("network", "create", network)
    docker("network", "connect", network, container)

    docker.sweep()

    assert container not in _names(docker, "container")
    assert not {labelled, named} & _names(docker, "volume")
    assert network not in _names(docker, "network")


def test_a_sweep_spares_others(docker: Docker) -> None:
    """What a living run made stays, or one out of sight, or who bears neither label nor name."""
    other = dataclasses.replace(docker, run=daemon.run_of(os.getppid()))
    elsewhere = dataclasses.replace(docker, run=f"00000000-{_NOBODY}-1")
    theirs, far, mine = other.volume(), elsewhere.volume(), docker.volume()
    foreign = f"not-of-{docker.name('tests')}"
    docker("volume", "create", foreign)

    try:
        _dead(docker).sweep()
        left = _names(docker, "volume")
    finally:
        docker("volume", "rm", theirs, far, foreign)

    assert {theirs, far, mine, foreign} <= left


def test_a_killed_run_is_swept_by_the_next(docker: Docker) -> None:
    """What a process made that was killed outright is found and removed by another one."""
    program = (
        "import os; from tests.docker import daemon; "
        "print(daemon.connect().volume(), flush=True); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    volume = killed.stdout.strip()
    assert volume in _names(docker, "volume")

    docker.sweep()

    assert volume not in _names(docker, "volume")


def test_no_daemon_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a command line or a daemon the reason is what a skipped test shows."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    reason = "no Docker daemon answers|no docker command"
    with pytest.raises(ToolchainError, match=reason):
        daemon.connect()

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="no docker command on PATH"):
        daemon.connect()
