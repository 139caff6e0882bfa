"""Throwaway servers: there for a moment, and gone whatever becomes of who asked."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.servers import leftovers, ports, probe
from infra.servers.throwaway import throwaway

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[2]
_HOLD = """
import time
from infra.servers.throwaway import throwaway
with throwaway() as server:
    print(server.port, flush=True)
    time.sleep(600)
"""


def test_a_throwaway_server_answers_and_leaves_nothing(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a PostgreSQL 17; afterwards its port is free and its folder gone."""
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = set(scratch.iterdir())

    with throwaway(settings=("work_mem=5MB",)) as server:
        who = probe.ask(
            host=server.host, port=server.port, user=server.user, password=server.password
        )
        assert who.version.startswith("17")
        assert set(scratch.iterdir()) > before

    assert ports.is_free(server.port)
    assert set(scratch.iterdir()) == before


def test_a_throwaway_server_ends_with_a_failure_inside() -> None:
    """What goes wrong while it runs doesn't keep it."""
    with pytest.raises(ZeroDivisionError), throwaway() as server:
        _ = 1 / 0

    assert ports.is_free(server.port)


def test_a_throwaway_server_ends_with_a_killed_process(scratch: Path) -> None:
    """A kill -9 of the process that asked for it ends the server too."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD],
        cwd=_ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    port = int(holder.stdout.readline())
    assert not ports.is_free(port)

    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()

    assert _comes_true(lambda: ports.is_free(port))


def test_the_next_throwaway_server_removes_what_a_killed_one_has_left(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a killed process goes; that of a server that runs, and a stranger's, stay."""
    place = scratch / "of killed ones"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    stranger = place / "groundwork-throwaway-of-an-older-version"
    stranger.mkdir()
    killed = _hold(place)
    (left,) = set(place.iterdir()) - {stranger}
    holder = _hold(place)
    (held,) = set(place.iterdir()) - {stranger, left}
    killed.kill()
    killed.communicate()

    def removed() -> bool:
        with leftovers.folder("groundwork-throwaway-"):
            return not left.exists()

    try:
        assert _comes_true(removed)  # once its server has ended, too
        assert stranger.exists()
        assert (held / "data" / "postmaster.pid").exists()
    finally:
        holder.terminate()
        holder.communicate()
        assert _comes_true(lambda: _removed(place))  # its server may still be ending


def test_a_folder_that_was_taken_away_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that begin at once can't take each other's folder away."""
    lock, late = fcntl.flock, [True]

    def flock(descriptor: int, how: int) -> None:
        if late and late.pop():
            (stolen,) = tmp_path.iterdir()
            shutil.rmtree(stolen)
        lock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", flock)
    with leftovers.folder("groundwork-test-", parent=str(tmp_path)) as made:
        assert [path.name for path in made.path.iterdir()] == ["lock"]
        assert list(tmp_path.iterdir()) == [made.path]
    assert not list(tmp_path.iterdir())


def _hold(place: Path) -> subprocess.Popen[str]:
    """Run a process that has a throwaway server."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD],
        cwd=_ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline()
    return holder


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _comes_true(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()
