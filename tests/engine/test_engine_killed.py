"""An engine that is killed in the middle of a migration leaves nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine import histories
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.node import Node

pytestmark = pytest.mark.long

_SECONDS = 10.0
"""After which nothing may be left."""

_MARK = "GROUNDWORK_TEST_RUN"


def _running(mark: str) -> list[str]:
    """Give the command lines of the processes that a run has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={mark}\0".encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [each for each in found if each]  # a dead one that is not reaped yet has none


@pytest.mark.parametrize("apply", ["rendered", "online"])
def test_no_process_and_no_session_is_left(
    make_node: Callable[..., Node], tmp_path: Path, apply: str
) -> None:
    """Language host, program, dynamic provider and worker end; the next `up` does the rest."""
    asleep = "op.execute('CREATE TABLE one (id int)')\nop.execute('SELECT pg_sleep(3600)')\n"
    if apply == "online":
        asleep = f"op.get_bind().execute(sa.text('SELECT 1')).scalar()\n{asleep}"
    files = histories.init(tmp_path / "files")
    path = histories.add(files, "aaa1", None, asleep)
    node = make_node(migrations=files)
    revision = node.migrations / path.relative_to(files)
    node.environment[_MARK] = mark = node.folder.name
    sleeping = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()"
    )

    run = node.start("up", "--yes", "--skip-preview")
    wait_until(lambda: node.database.run(sleeping))
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    wait_until(lambda: not _running(mark) and not node.database.run(sleeping), seconds=_SECONDS)

    locks = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM"
    assert node.database.run(f"{locks} pg_database WHERE datname = current_database())") == []
    revision.write_text(revision.read_text().replace("3600", "0"))
    node.pulumi("cancel", "--yes")
    node.up()
    assert node.database.run("SELECT count(*) FROM one") == [(0,)]
