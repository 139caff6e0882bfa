"""Throwaway servers: there for a moment, and gone whatever becomes of who asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.servers import ports, probe
from infra.servers.throwaway import throwaway

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

    deadline = time.monotonic() + 30
    while not ports.is_free(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ports.is_free(port)
