"""The mechanics of the embedded server, on real data directories and real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.servers import probe
from infra.servers.errors import ClusterError
from infra.servers.local.account import AccountError, server_account
from infra.servers.local.binaries import Binaries, BinariesError, locate, refuse_missing
from infra.servers.local.cluster import SUPERUSER, Cluster
from infra.servers.local.configuration import Configuration
from infra.servers.ports import HOST, find_free
from tests.servers.running import OWNER, PASSWORD, ask, query, start

_ROOT = Path(__file__).parents[2]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who has other users")


def _tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_a_cluster_comes_and_goes_without_a_trace(
    cluster: Cluster, binaries: Binaries, place: Path
) -> None:
    """Made, started, stopped and removed, it leaves no process and no file."""
    cluster.make(binaries, PASSWORD)
    port = start(cluster, binaries)
    pid = cluster.postmaster.pid()
    assert pid is not None
    assert cluster.postmaster.port() == port

    cluster.stop()
    cluster.remove()

    assert list(place.iterdir()) == []
    with pytest.raises(probe.ProbeError):
        probe.ask(host=HOST, port=port, user=SUPERUSER, password=PASSWORD, seconds=1)
    assert cluster.postmaster.pid() is None


def test_a_cluster_is_made_as_promised(cluster: Cluster, binaries: Binaries) -> None:
    """PostgreSQL 17 on loopback alone: SCRAM, checksums, UTF-8 and a locale that never moves."""
    cluster.make(binaries, PASSWORD)
    port = start(cluster, binaries)

    assert ask(port).version.startswith("17.")
    assert ask(port).cluster == cluster.identifier()
    wanted = {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
        "server_encoding": "UTF8",
    }
    for name, value in wanted.items():
        assert query(port, f"SELECT current_setting('{name}')") == value, name
    locale = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'template0'"
    assert query(port, locale) == "bC.UTF-8"
    rules = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert query(port, rules) == "scram-sha-256"


def test_a_killed_server_recovers_with_its_rows(made: Cluster, binaries: Binaries) -> None:
    """After kill -9 the next start replays the log; what was committed is there."""
    port = start(made, binaries)
    query(port, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = made.postmaster.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while made.postmaster.pid() is not None:
        time.sleep(0.01)

    again = start(made, binaries)

    assert query(again, "SELECT answer FROM kept") == 42


def test_a_stranger_with_the_old_process_id_is_not_taken_for_the_server(made: Cluster) -> None:
    """After a reboot the number in the lock file may be anybody's; nobody is signalled."""
    (made.data / "postmaster.pid").write_text(f"{os.getpid()}\n{made.data}\n0\n15432\n")

    assert made.postmaster.pid() is None
    made.stop()  # would end this test if it believed the file
    (made.data / "postmaster.pid").unlink()


def test_the_server_carries_nothing_of_the_program_that_started_it(
    made: Cluster, binaries: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No secret of the caller's environment lives on in the server's."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "caller-secret")
    monkeypatch.setenv("PGPORT", "1")
    start(made, binaries)

    environment = Path(f"/proc/{made.postmaster.pid()}/environ").read_text()
    assert "caller-secret" not in environment
    assert "PGPORT" not in environment


def test_a_password_is_set_while_the_server_is_down(made: Cluster, binaries: Binaries) -> None:
    """The new one is let in, the old one is not, and neither is in the log."""
    new = 'it\'s; \\ "new" %41'
    with (made.data / "postgresql.conf").open("a") as conf:
        conf.write("log_statement = 'all'\n")

    made.set_password(binaries, new)
    port = start(made, binaries, password=new)

    with pytest.raises(probe.RefusedError, match="password authentication failed"):
        ask(port, PASSWORD)
    log = (made.data / "server.log").read_text()
    assert "new" not in log.replace("new connection", "")
    assert PASSWORD not in log


def test_a_taken_port_is_told_and_the_data_is_untouched(made: Cluster, binaries: Binaries) -> None:
    """The message names the port and the key to set."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        before = _tree(made.data)

        with pytest.raises(ClusterError, match=rf"Port {port} .* taken .* groundwork:port"):
            made.start(binaries, Configuration(port=port))

    assert _tree(made.data) == before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"PG_VERSION": "15\n"}, "belongs to PostgreSQL 15, and this is PostgreSQL 17"),
        ({"PG_VERSION": "17\n"}, "that groundwork/test did not make"),
        (
            {"PG_VERSION": "17\n", "groundwork.json": '{"owner": "groundwork/prod"}'},
            "groundwork/prod",
        ),
        ({"letters.txt": "dear"}, "not empty and not a PostgreSQL data directory"),
    ],
)
def test_what_is_not_ours_is_refused_and_kept(
    cluster: Cluster, binaries: Binaries, files: dict[str, str], said: str
) -> None:
    """Another major version, another stack's cluster, or no cluster at all."""
    cluster.data.mkdir()
    for name, text in files.items():
        (cluster.data / name).write_text(text)
    before = _tree(cluster.data)

    with pytest.raises(ClusterError, match=said):
        cluster.make(binaries, PASSWORD)
    with pytest.raises(ClusterError, match=said):
        cluster.remove()

    assert _tree(cluster.data) == before


def test_an_empty_folder_is_taken(cluster: Cluster, binaries: Binaries) -> None:
    """A folder that an administrator has prepared needs no other place."""
    cluster.data.mkdir()

    cluster.make(binaries, PASSWORD)

    assert cluster.exists


def test_leftovers_of_a_killed_run_are_in_nobodys_way(
    cluster: Cluster, binaries: Binaries, place: Path
) -> None:
    """A half-made directory beside the real one is replaced, and goes."""
    left = place / "data.new-0123abcd"
    left.mkdir()
    (left / "PG_VERSION").write_text("17\n")
    (place / "data.new-0123abcd.pw").write_text("secret\n")
    (place / "data.newer").mkdir()

    cluster.make(binaries, PASSWORD)

    assert sorted(path.name for path in place.iterdir()) == ["data", "data.newer"]


def test_two_runs_at_once_make_one_cluster(cluster: Cluster, binaries: Binaries) -> None:
    """The second waits and finds the first one's."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: cluster.make(binaries, PASSWORD), range(2)))

    start(cluster, binaries)


@needs_root
def test_a_full_disk_is_told_and_leaves_nothing(binaries: Binaries, place: Path) -> None:
    """Initdb runs out of space: its reason is in the message, its files are gone."""
    small = place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        small.chmod(0o755)
        data = small / "data"
        cluster = Cluster(data=data, owner=OWNER, account=server_account(data))
        with pytest.raises(ClusterError, match="No space left on device"):
            cluster.make(binaries, PASSWORD)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_place_that_cannot_be_written_is_told(binaries: Binaries) -> None:
    """The message names the place, the reason and the key to set."""
    data = Path("/proc/groundwork/data")
    cluster = Cluster(data=data, owner=OWNER, account=server_account(data))

    with pytest.raises(ClusterError, match=r"/proc/groundwork: .*groundwork:dataDir"):
        cluster.make(binaries, PASSWORD)


@needs_root
def test_a_folder_that_the_servers_account_cannot_enter_is_told(
    binaries: Binaries, place: Path
) -> None:
    """Root's own folders are closed to the user that runs the server."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    cluster = Cluster(data=data, owner=OWNER, account=server_account(data))

    with pytest.raises(ClusterError, match="may not enter"):
        cluster.make(binaries, PASSWORD)

    assert list(closed.iterdir()) == []


@needs_root
def test_root_runs_the_server_as_another_user(cluster: Cluster, binaries: Binaries) -> None:
    """Neither the process nor its files are root's."""
    cluster.make(binaries, PASSWORD)
    start(cluster, binaries)

    assert Path(f"/proc/{cluster.postmaster.pid()}").stat().st_uid == cluster.account.uid != 0
    assert cluster.data.stat().st_uid == cluster.account.uid
    assert server_account(cluster.data) == cluster.account


@needs_root
def test_a_normal_user_runs_the_server_as_themselves(binaries: Binaries, place: Path) -> None:
    """The same code, started by somebody who is not root."""
    python = Path("/usr/bin/python3")
    if not python.exists() or sys.version_info < (3, 11):
        pytest.skip("no /usr/bin/python3, which a normal user could start")
    home = place / "home"
    home.mkdir()
    shutil.chown(home, "nobody")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from infra.servers.local.account import server_account\n"
        "from infra.servers.local.binaries import Binaries\n"
        "from infra.servers.local.cluster import Cluster\n"
        "from infra.servers.local.configuration import Configuration\n"
        "from infra.servers.ports import find_free\n"
        "binaries = Binaries(folder=Path(sys.argv[2]))\n"
        "data = Path(sys.argv[3])\n"
        "cluster = Cluster(data=data, owner='p/s', account=server_account(data))\n"
        "cluster.make(binaries, 'secret')\n"
        "cluster.start(binaries, Configuration(port=find_free()))\n"
        "assert cluster.postmaster.pid(); cluster.stop(); cluster.remove(); print('done')\n"
    )
    copy = place / "code"
    for package in ("infra", "toolchain"):
        shutil.copytree(_ROOT / package, copy / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(_ROOT / "pyproject.toml", copy)

    done = subprocess.run(
        [python, "-c", script, copy, binaries.folder, home / "data"],
        user="nobody",
        group="nogroup",
        extra_groups=[],
        cwd="/",
        env={"PATH": os.defpath, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == "done", done.stderr


@needs_root
def test_roots_own_data_directory_is_refused(place: Path) -> None:
    """A directory of another user is run by that user or by root, and by nobody else."""
    data = place / "data"
    data.mkdir()
    code = (
        f"import sys, os; sys.path.insert(0, {str(_ROOT)!r})\n"
        "from pathlib import Path\n"
        "from infra.servers.local.account import server_account, AccountError\n"
        "os.setuid(65534)\n"
        f"try: server_account(Path({str(data)!r}))\n"
        "except AccountError as exc: print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert "belongs to the user 'root'" in done.stdout, done.stderr


@needs_root
def test_a_directory_from_another_machine_whose_account_is_unknown_is_told(place: Path) -> None:
    """The message has the number and the command that gives the directory to somebody."""
    data = place / "data"
    data.mkdir()
    os.chown(data, 54321, 54321)

    with pytest.raises(AccountError, match=r"user id 54321, .* chown -R postgres or nobody"):
        server_account(data)


def test_configured_programs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """An empty folder, and one whose PostgreSQL is another version, with the key to set."""
    account = server_account(tmp_path / "data")
    with pytest.raises(BinariesError, match=r"groundwork:postgresBin .* has no postgres"):
        locate(configured=str(tmp_path), account=account)

    for name in ("postgres", "initdb", "pg_ctl"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.9'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(BinariesError, match=r"is 15\.9, not 17"):
        locate(configured=str(tmp_path), account=account)


def test_extensions_that_the_programs_lack_are_refused(binaries: Binaries) -> None:
    """By their names, with the keys to set."""
    refuse_missing(binaries, ["plpgsql", "vector"])
    with pytest.raises(BinariesError, match=r"no extension 'no such'.*groundwork:extensions"):
        refuse_missing(binaries, ["vector", "no such"])


def test_the_probe_waits_for_a_late_server_and_gives_up_in_words() -> None:
    """Nobody listens: the message has the place and how long was waited."""
    port = find_free()
    begin = time.monotonic()
    with pytest.raises(probe.ProbeError, match=rf"{HOST}:{port} .*Waited 1 s"):
        probe.wait(host=HOST, port=port, user=SUPERUSER, password=PASSWORD, seconds=1)
    assert time.monotonic() - begin >= 1
