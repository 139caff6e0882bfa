"""A run that is killed while it makes the server: the next one ends where it should have."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from infra.servers.local.configuration import FILE, written
from infra.servers.local.mark import Mark
from tests.engine.test_make import Checkout
from tests.servers.running import kill_all, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.long

# By what is done: what a folder looks like then, and whether the server is killed along.
_MOMENTS: dict[str, tuple[Callable[[Path], object], bool]] = {
    "while initdb runs": (lambda data: any(data.parent.glob("data.new-*/base")), True),
    "between initdb and the first start": (lambda data: (data / FILE).exists(), False),
    "while the server starts": (written, True),
    "before anybody noted that it runs": (lambda data: (data / "postmaster.pid").exists(), False),
    "when all is there but the tables": (lambda data: Mark.read(data).roles, True),
}


@pytest.fixture
def checkout(scratch: Path) -> Iterator[Checkout]:
    """A checkout whose stack `dev` has a data directory that the test knows."""
    folder = scratch / f"killed-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    checkout = Checkout(folder)
    (folder / "Pulumi.dev.yaml").write_text(f"config:\n  groundwork:dataDir: {_data(checkout)}\n")
    yield checkout
    checkout.make("down")


def _data(checkout: Checkout) -> Path:
    return checkout.folder / "place" / "data"


def _kill_everything_of(folder: Path) -> None:
    """Kill the engine, its plugins and make: whoever has the checkout for a working directory."""
    killed = set()
    for _ in range(3):  # who is just being started is met the next time
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").resolve(strict=True).is_relative_to(folder):
                    os.kill(int(process.name), signal.SIGKILL)
                    killed.add(process)
    deadline = time.monotonic() + 20
    while any(process.exists() for process in killed) and time.monotonic() < deadline:
        time.sleep(0.05)  # until somebody has reaped them


@pytest.mark.parametrize("moment", _MOMENTS)
def test_the_next_up_converges(checkout: Checkout, moment: str) -> None:
    """Without a command in between, whether the server was killed along or not."""
    data = _data(checkout)
    is_now, machine = _MOMENTS[moment]
    run = checkout.start("up")
    deadline = time.monotonic() + 200
    while not is_now(data):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.001)

    reaping = Thread(target=run.communicate)
    reaping.start()
    _kill_everything_of(checkout.folder)
    reaping.join()
    if machine:
        kill_all(data)

    text = checkout.make("up")
    assert "is ready" in text
    assert "Traceback" not in text
    assert [path.name for path in data.parent.iterdir()] == ["data"]
    assert len([pid for pid in processes(data) if pid == _postmaster(data)]) == 1
    assert "unchanged" in checkout.make("up")


def _postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split("\n")[0])
