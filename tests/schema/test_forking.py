"""The forks that tests start are like the processes that they stand for."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from infra.schema import child, history
from tests.forking import servers
from tests.migrations.place import MIGRATIONS
from tests.waiting import wait_until

_ECHO = """
import os, sys
print(sys.argv[1:], os.environ["WORD"], os.getcwd(), sys.stdin.read(), __name__)
print("noise", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
_SLEEP = """
import os, subprocess, sys, time
sleeper = subprocess.Popen(["sleep", "600"])
print(os.getpid(), sleeper.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Where the text of a program goes."""
    return tmp_path / "program.py"


@pytest.mark.usefixtures("real_processes")
def test_a_fork_renders_what_a_process_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own history, digests included."""
    as_process = history.read(MIGRATIONS, keep=False)
    monkeypatch.setattr(child, "command", servers.command)

    assert history.read(MIGRATIONS, keep=False) == as_process


def test_a_fork_has_what_it_is_given(script: Path, tmp_path: Path) -> None:
    """Arguments, environment, folder, the three descriptors and an exit status."""
    script.write_text(_ECHO)
    done = subprocess.run(
        [*servers.command(str(script)), "7", "b c"],
        cwd=tmp_path,
        env={"WORD": "a word"},
        input="told",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == f"['7', 'b c'] a word {tmp_path} told __main__\n"
    assert (done.returncode, done.stderr) == (7, "noise\n")


def test_a_fork_that_is_killed_is_told_by_its_signal(script: Path) -> None:
    """The caller sees the same status as of a process of its own."""
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")

    assert subprocess.run(servers.command(str(script)), check=False).returncode == -signal.SIGKILL


def test_a_fork_ends_with_its_client(script: Path) -> None:
    """With all of its group, where it leads one."""
    script.write_text(_SLEEP)
    command = servers.command(str(script))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as client:
        assert client.stdout is not None
        begun = [int(word) for word in client.stdout.readline().split()]
        client.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in begun))

    assert len(begun) == 2
