"""Settings of postgresql.conf, on a real server: tried first, reloaded, restarted where it must."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.servers.errors import ClusterError
from infra.servers.local.cluster import SUPERUSER, Cluster
from infra.servers.local.configuration import AUTO, FILE, MAIN, Configuration, parse, written
from infra.servers.local.service import Service, Wanted
from infra.servers.ports import HOST
from tests.servers.running import PASSWORD, cluster_in, copy_into, folder_in, kill_all, query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from infra.servers.local.binaries import Binaries

_UGLY = {
    "quote": "it's",
    "backslash": "C:\\new\\0",
    "lines": "a\nb\r\nc\tport = 1",
    "breakout": "x'\nport = 1\n#",
    "comment": "# nothing 'else",
    "emoji": "📚 é",
    "empty": "",
    "spaces": "  two  ",
    "octal": r"\061\'",
}


class _Running:
    """A server under a service, and what was said of it."""

    def __init__(self, cluster: Cluster, binaries: Binaries) -> None:
        self.said: list[str] = []
        self.cluster = cluster
        self.service = Service(cluster=cluster, binaries=binaries, say=self.said.append)
        self.wanted = Wanted(port=0, password=PASSWORD)
        self.port, _ = self.service.make(self.wanted)

    def bring(self, **parameters: str) -> list[str]:
        """Bring the server to other settings; give what was said."""
        self.said.clear()
        former, self.wanted = (
            self.wanted,
            replace(self.wanted, port=self.port, parameters=parameters),
        )
        self.service.bring(self.wanted, former=former)
        return self.said

    def show(self, name: str) -> Any:
        return query(self.port, f"SHOW {name}")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """Hold a session open."""
        connection = await asyncpg.connect(
            host=HOST, port=self.port, user=SUPERUSER, password=PASSWORD, database="postgres"
        )
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture
def running(made: Cluster, binaries: Binaries) -> _Running:
    """A server that runs with the project's own settings."""
    return _Running(made, binaries)


@pytest.fixture(scope="module")
def untouched(scratch: Path, binaries: Binaries, initialized: Cluster) -> Iterator[_Running]:
    """A server that all refusals leave as it is."""
    with folder_in(scratch) as place, cluster_in(place) as cluster:
        copy_into(cluster, initialized)
        yield _Running(cluster, binaries)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_][a-z0-9_]{0,9}\.[a-z_]{1,9}", fullmatch=True),
        st.text(st.characters(exclude_characters="\0", codec="utf-8")),
        max_size=4,
    )
)
def test_what_is_written_is_what_is_read(parameters: dict[str, str]) -> None:
    """Whatever the values hold, each stays in its line."""
    wanted = Configuration(port=5432, parameters=parameters)

    assert parse(wanted.render()) == wanted.settings()
    assert wanted.render().count("\n") == 1 + len(wanted.settings())


def test_values_reach_the_server_as_they_are(made: Cluster, binaries: Binaries) -> None:
    """Quotes, backslashes, line breaks and comments set nothing but their own setting."""
    parameters = {f"ugly.{name}": value for name, value in _UGLY.items()}
    service = Service(cluster=made, binaries=binaries, say=print)

    port, _ = service.make(Wanted(port=0, password=PASSWORD, parameters=parameters))

    for name, value in parameters.items():
        assert query(port, f"SHOW {name}") == value, name
    assert query(port, "SHOW port") == str(port)


@pytest.mark.parametrize(
    "name",
    ["port", "PORT", "listen_addresses", "hba_file", "include", "data_directory", "a b", "", "x\n"],
)
def test_what_is_the_projects_own_is_not_to_be_set(cluster: Cluster, name: str) -> None:
    """Neither is what is no name at all; the message has it and the key."""
    with pytest.raises(ClusterError, match="groundwork:parameters"):
        cluster.configure(Configuration(port=5432, parameters={name: "x"}))


def test_a_reload_ends_no_session(running: _Running) -> None:
    """A setting that PostgreSQL reads again is there at once, in sessions that are open, too."""

    async def change() -> tuple[str, list[str]]:
        async with running.session() as session:
            said = await asyncio.to_thread(running.bring, work_mem="9MB")
            return await session.fetchval("SHOW work_mem"), said

    shown, said = asyncio.run(change())

    assert shown == "9MB"
    assert said == ["the server has its new settings; no session was ended"]
    running.bring()
    assert running.show("work_mem") == "4MB"


def test_a_restart_is_done_where_it_must_and_said(running: _Running) -> None:
    """The message has the settings and the sessions that it cost; the port stays."""

    async def change() -> list[str]:
        async with running.session():
            return await asyncio.to_thread(running.bring, max_connections="44", work_mem="9MB")

    said = asyncio.run(change())

    assert said == ["the server was restarted for max_connections, which ended 1 session"]
    assert running.show("max_connections") == "44"
    assert running.show("work_mem") == "9MB"
    assert running.bring(work_mem="9MB") == [
        "the server was restarted for max_connections, which ended no sessions"
    ]
    assert running.show("max_connections") == "100"


def test_nothing_is_done_where_nothing_changed(running: _Running) -> None:
    """The same process goes on, and its files are as they were."""
    running.bring(work_mem="9MB")
    pid, time = running.cluster.postmaster.pid(), (running.cluster.data / FILE).stat().st_mtime_ns

    assert running.bring(work_mem="9MB") == []

    assert running.cluster.postmaster.pid() == pid
    assert (running.cluster.data / FILE).stat().st_mtime_ns == time


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"work_mem": "lots"}, r"work_mem = 'lots': invalid value for parameter"),
        ({"work_memm": "4MB"}, r"work_memm = '4MB': unrecognized configuration parameter"),
        ({"effective_io_concurrency": "5000"}, r"outside the valid range .* \(0 .. 1000\)"),
        ({"timezone": "Mars", "work_mem": "5MB"}, r"refuses timezone = 'Mars': invalid value"),
        ({"shared_buffers": "900TB"}, r"shared_buffers = '900TB': .* exceeds integer range"),
        ({"shared_buffers": "900GB"}, r"shared_buffers = '900GB': .*Cannot allocate memory"),
        ({"shared_preload_libraries": "nope"}, r"could not access file .nope."),
        ({"max_connections": "3"}, r"max_connections = '3': .superuser_reserved_connections"),
        ({"wal_level": "minimal"}, r"wal_level = 'minimal': WAL streaming"),
        (
            {"log_destination": "syslog", "logging_collector": "on", "work_mem": "x'y"},
            r"work_mem = \"x'y\"",
        ),
    ],
)
def test_what_postgresql_would_refuse_is_told_before_anything_happens(
    untouched: _Running, parameters: dict[str, str], said: str
) -> None:
    """The message has the setting, the value and PostgreSQL's words; the server runs on."""
    pid, text = untouched.cluster.postmaster.pid(), (untouched.cluster.data / FILE).read_text()
    beside = sorted(untouched.cluster.data.parent.iterdir())

    with pytest.raises(ClusterError, match=said) as failure:
        untouched.bring(**parameters)

    assert "Nothing was changed" in str(failure.value)
    assert "groundwork-trial" not in str(failure.value)
    assert untouched.cluster.postmaster.pid() == pid
    assert (untouched.cluster.data / FILE).read_text() == text
    assert sorted(untouched.cluster.data.parent.iterdir()) == beside


def test_a_restart_that_fails_is_taken_back(running: _Running) -> None:
    """What only the real start meets: the server runs again as it did before."""
    running.bring(work_mem="9MB")

    with pytest.raises(ClusterError, match="runs again with the settings that it had before"):
        running.bring(work_mem="8MB", logging_collector="on", log_directory="/proc/none")

    assert running.show("work_mem") == "9MB"
    assert running.show("logging_collector") == "off"


def test_a_restart_that_a_killed_run_left_out_is_made_up_for(running: _Running) -> None:
    """The file has the new value already, the server not yet."""
    running.cluster.configure(
        Configuration(port=running.port, parameters={"max_connections": "44"})
    )

    running.bring(max_connections="44")

    assert running.show("max_connections") == "44"


def test_what_somebody_else_put_there_is_seen_and_put_right(running: _Running) -> None:
    """By hand in the file or by ALTER SYSTEM; other settings of ALTER SYSTEM are theirs."""
    running.bring(work_mem="9MB", **{"app.name": "ours"})
    configuration = Configuration(port=running.port, parameters=running.wanted.parameters)
    assert configuration.is_kept(running.cluster.data)
    for change in ("work_mem = '1MB'", "app.name = 'theirs'", "maintenance_work_mem = '70MB'"):
        query(running.port, f"ALTER SYSTEM SET {change}")
    with (running.cluster.data / FILE).open("a") as file:
        file.write("geqo = off\n")

    assert not configuration.is_kept(running.cluster.data)
    assert configuration.on_disk(running.cluster.data) == {
        "work_mem": "1MB",
        "app.name": "theirs",
        "geqo": "off",
    }
    running.bring(**running.wanted.parameters)

    assert configuration.is_kept(running.cluster.data)
    names = ("work_mem", "app.name", "maintenance_work_mem", "geqo")
    assert [running.show(name) for name in names[:2]] == ["9MB", "ours"]
    assert running.show("geqo") == "on"
    query(running.port, "SELECT pg_reload_conf()")
    assert parse((running.cluster.data / AUTO).read_text()) == {"maintenance_work_mem": "70MB"}


def test_what_was_found_once_can_be_looked_for_again(running: _Running) -> None:
    """A refresh may have put what is the project's own among the parameters."""
    query(running.port, "ALTER SYSTEM SET port = 1")
    data = running.cluster.data

    found = Configuration(port=running.port).on_disk(data)
    assert found == {"port": "1"}
    assert Configuration(port=running.port, parameters=found).on_disk(data) == found

    running.bring()
    assert Configuration(port=running.port).is_kept(data)


def test_no_other_file_has_a_later_word(running: _Running) -> None:
    """Neither ALTER SYSTEM nor the end of postgresql.conf takes the server elsewhere."""
    query(running.port, "ALTER SYSTEM SET port = 1")
    query(running.port, "ALTER SYSTEM SET shared_buffers = '900GB'")
    with (running.cluster.data / MAIN).open("a") as main:
        main.write("listen_addresses = '0.0.0.0'\nport = 2\nwork_mem = '3MB'\n")
    kill_all(running.cluster.data)

    running.bring(shared_buffers="16MB")

    assert running.show("port") == str(running.port)
    assert running.show("listen_addresses") == HOST
    assert running.show("shared_buffers") == "16MB"
    assert running.show("work_mem") == "3MB"
    assert written(running.cluster.data)["port"] == str(running.port)


def test_files_that_an_administrator_includes_are_tried_along(running: _Running) -> None:
    """A path is relative to the file that has it, also where the trial reads it."""
    (running.cluster.data / "more.conf").write_text("superuser_reserved_connections = 9\n")
    running.cluster.account.own(running.cluster.data / "more.conf")
    with (running.cluster.data / MAIN).open("a") as main:
        main.write("include 'more.conf'\n")

    with pytest.raises(ClusterError, match=r"superuser_reserved_connections\W+\(9\)"):
        running.bring(max_connections="9")
    running.bring(max_connections="20")

    assert running.show("superuser_reserved_connections") == "9"


def test_a_server_that_was_down_comes_up_with_its_settings(running: _Running) -> None:
    """Killed, with another value in the configuration meanwhile."""
    pid = running.cluster.postmaster.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    running.bring(max_connections="44")

    assert running.show("max_connections") == "44"
