"""The cache: complete or absent, one maker at a time, clear words when it can't be written."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest

from toolchain import cache
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

# Makes 'thing' once the file of its second argument is there, and writes a line to the log
# of its first argument for each time.
_SLOW = """
import sys, time
from pathlib import Path
from toolchain import cache

def build(place):
    with open(sys.argv[1], "a") as log:
        log.write("begun\\n")
    (place / "half").write_text("")
    deadline = time.monotonic() + 60
    while not Path(sys.argv[2]).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (place / "half").rename(place / "whole")

print(cache.make("thing", build, doing="making the thing"))
"""


def _until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _write(text: str) -> Callable[[Path], None]:
    def build(place: Path) -> None:
        (place / "content").write_text(text)

    return build


@pytest.mark.usefixtures("cache_home")
def test_made_once() -> None:
    """What is there is given as it is, without being made again."""
    first = cache.make("thing", _write("first"), doing="making it")
    second = cache.make("thing", _write("second"), doing="making it")
    assert first == second == cache.folder("thing")
    assert (first / "content").read_text() == "first"


@pytest.mark.usefixtures("cache_home")
def test_failure_leaves_nothing() -> None:
    """When making it fails, neither the folder nor what was made aside stays."""

    def build(place: Path) -> None:
        (place / "half").write_text("")
        raise ToolchainError("no")

    with pytest.raises(ToolchainError, match="no"):
        cache.make("thing", build, doing="making it")
    assert not cache.folder("thing").exists()
    assert not list(cache.folder(".aside").iterdir())


@pytest.mark.usefixtures("cache_home")
def test_full_disk_is_told_in_words() -> None:
    """An error of the file system while making becomes a ToolchainError with its reason."""

    def build(place: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place / "big"))

    with pytest.raises(ToolchainError, match=r"No space left on device.*None of it was kept"):
        cache.make("thing", build, doing="making it")


@pytest.mark.usefixtures("cache_home")
def test_damaged_is_replaced() -> None:
    """A folder that isn't what it should be is made anew, and the old one goes."""
    cache.make("thing", _write("old"), doing="making it")
    (cache.folder("thing") / "content").write_text("")

    def ready(place: Path) -> bool:
        content = place / "content"
        return content.is_file() and content.stat().st_size > 0

    place = cache.make("thing", _write("new"), doing="making it", ready=ready)
    assert (place / "content").read_text() == "new"
    assert not list(cache.folder(".aside").iterdir())


@pytest.mark.usefixtures("cache_home")
def test_two_at_once(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    """Of two runs at once one makes it; the other waits, says for whom, and finds it done."""
    log, release = tmp_path / "log", tmp_path / "release"
    first = python(_SLOW, str(log), str(release))
    _until(lambda: log.exists() and bool(log.read_text()))
    second = python(_SLOW, str(log), str(release))
    assert second.stderr
    waiting = second.stderr.readline()
    assert f"waiting for process {first.pid}, which is making the thing" in waiting
    release.touch()
    told = [process.communicate(timeout=30) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert log.read_text() == "begun\n"
    assert told[0][0] == told[1][0] == f"{cache.folder('thing')}\n"
    assert (cache.folder("thing") / "whole").exists()


@pytest.mark.usefixtures("cache_home")
def test_killed_halfway(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    """After a kill -9 the next run is not held up, removes the leftover and finishes."""
    log = tmp_path / "log"
    killed = python(_SLOW, str(log), str(tmp_path / "never"))
    _until(lambda: any(cache.folder(".aside").glob("thing.*/made/half")))
    killed.kill()
    killed.communicate(timeout=10)
    assert not cache.folder("thing").exists()
    assert cache.make("thing", _write("whole"), doing="making it").is_dir()
    assert not list(cache.folder(".aside").iterdir())


@pytest.mark.usefixtures("cache_home")
def test_leftovers_of_others_are_spared() -> None:
    """Removing what a killed run left of one name spares what another name is busy with."""
    with cache.temporary("thing-1.0.1") as busy:
        cache.make("thing-1.0", _write("whole"), doing="making it")
        assert busy.is_dir()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_unwritable(below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder that can't be made: one message that names the variable to set."""
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked / below))
    with pytest.raises(ToolchainError, match=r"can't be written.*Set XDG_CACHE_HOME") as caught:
        cache.make("thing", _write("whole"), doing="making it")
    assert "\n" not in str(caught.value)
    assert blocked.read_text() == ""


def test_relative_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative XDG_CACHE_HOME is ignored, as its specification asks for."""
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.root() == tmp_path / ".cache" / "groundwork"
