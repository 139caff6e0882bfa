"""What an engine has started ends with it, however the engine went."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import executable
from tests.waiting import wait_until
from toolchain import offline, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECONDS = 10.0
"""After which nothing may be left."""

_ENGINE = f"127.0.0.1:{49152 + os.getpid() % 16384}"
"""The address of an engine that is a shell script; nothing answers there."""


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _commands() -> dict[str, str]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if _ENGINE in words and _is_running(int(path.parent.name)):
            found[path.parent.name] = " ".join(words)
    return found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start an engine: a process that starts others, and waits until it is killed."""

    def start(*programs: list[str | Path]) -> subprocess.Popen[str]:
        lines = [" ".join(f"'{word}'" for word in program) + " &\n" for program in programs]
        script = executable(tmp_path / "engine", f"#!/bin/sh\n{''.join(lines)}wait\n")
        started.append(subprocess.Popen([script], cwd=tmp_path, text=True, stdout=subprocess.PIPE))
        return started[-1]

    started: list[subprocess.Popen[str]] = []
    yield start
    for each in started:
        each.kill()
        each.wait()
        assert each.stdout is not None
        each.stdout.close()
    for pid in _commands():
        os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """What looks for no engine, behind a shell of its own, as the process of dynamic resources."""
    asleep = f'"{sys.executable}" -c "import time; time.sleep(600)" "$@"\ntrue\n'
    return executable(tmp_path / "sleeper", f"#!/bin/sh\n{asleep}")


def test_a_plugin_takes_the_others_along(
    engine: Callable[..., subprocess.Popen[str]], sleeper: Path
) -> None:
    """The one that looks for the engine ends what does not; what is of another engine goes on."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", _ENGINE])
    launcher = offline.folder("postgresql") / "pulumi-resource-postgresql"
    offline.packages("postgresql")
    process = engine([sleeper, _ENGINE], [launcher, _ENGINE])
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit(), "the plugin's port"
    assert len(_commands()) == 4, _commands()

    process.kill()
    wait_until(lambda: len(_commands()) == 1, seconds=_SECONDS)

    assert _is_running(other.pid)
    other.kill()
    other.wait()


def test_a_language_host_ends_with_the_engine(
    tmp_path: Path, engine: Callable[..., subprocess.Popen[str]], sleeper: Path
) -> None:
    """Also where nothing of ours runs yet; the launcher's look at it ends with the host."""
    place = tmp_path / "engine dir"
    host = executable(place / "libexec" / "pulumi-language-python", "#!/bin/sh\nexec sleep 600\n")
    host.write_text(sleeper.read_text())
    launcher = place / "bin" / "pulumi-language-python"
    launcher.parent.mkdir()
    shutil.copy(versions.ROOT / "toolchain" / "languagehost.sh", launcher)
    launcher.chmod(0o755)
    shutil.copy(versions.ROOT / "toolchain" / "orphans.py", place / "libexec")
    process = engine([launcher, _ENGINE], [sleeper, _ENGINE])
    wait_until(lambda: len(_commands()) == 4 and _lookouts(place))

    process.kill()
    wait_until(lambda: not _commands() and not _lookouts(place), seconds=_SECONDS)


def test_the_look_at_a_language_host_ends_with_it(tmp_path: Path) -> None:
    """The engine ends the host, and goes on."""
    host = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", _ENGINE])
    script = versions.ROOT / "toolchain" / "orphans.py"
    lookout = subprocess.Popen(
        [sys.executable, "-IS", script, str(host.pid), str(os.getpid())], cwd=tmp_path
    )
    host.send_signal(signal.SIGKILL)
    host.wait()

    assert lookout.wait(timeout=_SECONDS) == 0


def _lookouts(place: Path) -> list[str]:
    script = str(place / "bin" / ".." / "libexec" / "orphans.py").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if script in words:
            found.append(path.parent.name)
    return found
