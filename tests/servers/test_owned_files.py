"""A superuser of a database can put links into the data directory: root follows none of them."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.servers.errors import ClusterError
from infra.servers.local import owned_files, trial
from infra.servers.local.configuration import Configuration, written
from infra.servers.local.mark import Mark
from tests.servers.running import OWNER, query, start

if TYPE_CHECKING:
    from infra.servers.local.binaries import Binaries
    from infra.servers.local.cluster import Cluster

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who has other users")

_SECRET = "secret of root\n"  # noqa: S105 - no password
_WRITTEN = ("groundwork.json", "groundwork.conf", "postgresql.conf", "postgresql.auto.conf")
_READ = (*_WRITTEN, "PG_VERSION", "global/pg_control", "server.log", "postmaster.pid")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that root alone can read."""
    path = tmp_path / "shadow"
    path.write_text(_SECRET)
    path.chmod(0o600)
    return path


def _everything(cluster: Cluster, binaries: Binaries) -> None:
    """Do whatever root writes or reads in a data directory; what fails, fails in words."""
    wanted = Configuration(port=15432, parameters={"work_mem": "9MB"})
    for action in (
        lambda: cluster.note(Mark(owner=OWNER, roles=("one",))),
        lambda: cluster.configure(wanted),
        lambda: trial.refuse_unfit(binaries, cluster.account, cluster.data, wanted, {}),
        cluster.identifier,
        cluster.log_tail,
        cluster.postmaster.port,
        lambda: written(cluster.data),
        cluster.stop,
    ):
        with suppress(ClusterError, OSError):
            action()


def _shell(port: int, command: str) -> None:
    """Run a command as the server's account, the way that a superuser of a database has."""
    # What the server writes is read, so that the command's end does not break its pipe.
    quoted = f"{command}; cat >/dev/null".replace("'", "''")
    query(port, f"COPY (SELECT 1) TO PROGRAM '{quoted}'")


def _assert_untouched(target: Path, data: Path) -> None:
    found = target.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    assert target.read_text() == _SECRET
    for path in data.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError):  # of a server that is still running
                assert _SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("name", [*(f"{name}.new" for name in _WRITTEN), *_READ])
def test_a_link_at_a_name_that_root_uses_leads_nowhere(
    made: Cluster, binaries: Binaries, target: Path, name: str
) -> None:
    """The file of root keeps owner, mode and content, and what is in it comes to no other file."""
    port = start(made, binaries)
    _shell(port, f"ln -sfn {shlex.quote(str(target))} {name}")
    assert (made.data / name).is_symlink()

    _everything(made, binaries)

    _assert_untouched(target, made.data)


@pytest.mark.parametrize("name", _WRITTEN)
def test_a_fifo_in_the_place_of_a_file_holds_nobody_up(
    made: Cluster, binaries: Binaries, name: str
) -> None:
    """Root would wait for its other end for ever."""
    (made.data / name).unlink()
    os.mkfifo(made.data / name)
    os.chown(made.data / name, made.account.uid, made.account.gid)

    _everything(made, binaries)


def test_a_hard_link_to_a_file_of_somebody_else_is_not_read(made: Cluster, target: Path) -> None:
    """Where the kernel lets an account make one."""
    try:
        os.link(target, made.data / "linked")
    except OSError:
        pytest.skip("the test's folders are on two file systems")

    with pytest.raises(PermissionError):
        owned_files.read_bytes(made.data, "linked")


def test_a_link_of_an_administrator_is_read_with_the_owners_rights(
    made: Cluster, place: Path
) -> None:
    """To a file that the account can read; and replaced, not followed, by what is written."""
    elsewhere = place / "elsewhere.conf"
    elsewhere.write_text("work_mem = '7MB'\n")
    elsewhere.chmod(0o644)
    (made.data / "groundwork.conf").unlink()
    (made.data / "groundwork.conf").symlink_to(elsewhere)

    assert written(made.data) == {"work_mem": "7MB"}
    owned_files.write_text(made.data, "groundwork.conf", "work_mem = '8MB'\n")

    assert elsewhere.read_text() == "work_mem = '7MB'\n"
    assert written(made.data) == {"work_mem": "8MB"}
    assert (made.data / "groundwork.conf").stat().st_uid == made.account.uid


def test_a_process_of_root_in_the_data_directory_is_not_taken_for_the_server(
    made: Cluster,
) -> None:
    """The account writes the number in the lock file: a stop would end that process."""
    (made.data / "postmaster.pid").write_text(f"{os.getpid()}\n{made.data}\n0\n15432\n")
    before = Path.cwd()
    os.chdir(made.data)
    try:
        assert made.postmaster.pid() is None
    finally:
        os.chdir(before)
        (made.data / "postmaster.pid").unlink()


def test_a_new_file_takes_no_name_that_is_there(made: Cluster, target: Path) -> None:
    """A log for example: a link there is an error, not a way."""
    (made.data / "server.log").symlink_to(target)
    folder = os.open(made.data, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError):
            owned_files.create(folder, "server.log")
    finally:
        os.close(folder)

    assert target.read_text() == _SECRET
