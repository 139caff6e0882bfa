"""Networks that swallow packets, sessions that are left, statements that wait."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.schema.errors import LiveError, MigrationError
from infra.schema.model import History
from infra.schema.running import lock
from infra.schema.running.progress import line
from tests.schema.applying import Lab, database, process, revision, script, together
from tests.schema.histories.project import bare
from tests.schema.online_runs import Way
from tests.schema.proxy import Proxy
from tests.schema.sessions import session
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

pytestmark = pytest.mark.long

_LOCKS = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_MAIN_LOCK = f"{_LOCKS} AND classid = {lock.lock_key('')[0]}"  # the other marks sessions
_AT_WORK = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        yield place


@pytest.fixture
def proxy(place: Place) -> Iterator[Proxy]:
    """A wire to its server."""
    proxy = Proxy(place.host, place.port)
    yield proxy
    proxy.close()


def _through(place: Place, proxy: Proxy) -> Place:
    return replace(place, host="127.0.0.1", port=proxy.port)


def _lab(place: Place, *revisions: object) -> Lab:
    return Lab(place, History(revisions=revisions, heads=(), digest=""))  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["asked", "answered", "both"])
def test_a_network_that_swallows_a_direction_ends_the_run_and_frees_the_lock(
    place: Place, proxy: Proxy, way: str
) -> None:
    """The client ends within a bound, the server lets go of the lock, and the next run goes on.

    The statement at work is ended by the next run where no connection comes through.
    """
    lab = _lab(
        place,
        revision("aaaa", script(together("CREATE TABLE one (id int)", "SELECT pg_sleep(100)"))),
    )
    plan = lab.plan("aaaa")
    behind = Lab(_through(place, proxy), lab.history)
    with process(behind, plan, reconnect=1, tries=2) as run:
        wait_until(lambda: lab.ask(_AT_WORK))
        proxy.swallow = {"asked": (True, False), "answered": (False, True), "both": (True, True)}[
            way
        ]
        begun = time.monotonic()
        wait_until(lambda: lab.ask(_MAIN_LOCK) == 0)
        assert time.monotonic() - begun < 20
        said = run.communicate(timeout=120)[0]

    assert run.returncode == 1, said
    assert "aaaa" in said
    assert "Fix the revision" not in said
    quick = _lab(place, revision("bbbb", script("CREATE TABLE one (id int)")))
    assert quick.up("bbbb").heads == ("bbbb",)
    assert lab.ask(_AT_WORK) is None


def test_an_answer_that_is_lost_alone_is_noticed(place: Place, proxy: Proxy) -> None:
    """Other connections go on: the session is asked for, and the revision is there."""
    lab = _lab(
        place, revision("aaaa", script(together("CREATE TABLE one (id int)", "SELECT pg_sleep(1)")))
    )
    behind = Lab(_through(place, proxy), lab.history)
    lost = False

    def lose(data: bytes) -> bool:
        nonlocal lost
        now = not lost and b"CREATE TABLE\x00" in data and b"INSERT 0 1\x00" not in data
        lost = lost or now
        return now

    proxy.lose = lose
    assert behind.up("aaaa").heads == ("aaaa",)
    assert lab.events() == [("aaaa", "up", "done")]


def test_an_online_revision_in_silence_ends_too(tmp_path: Path, place: Place, proxy: Proxy) -> None:
    """Its process is ended with the run's connections; the next run ends what it left."""
    project = bare(tmp_path)
    project.revision(
        "aaaa",
        None,
        "op.get_bind().execute(sa.text('CREATE TABLE one AS SELECT 1 AS a FROM pg_sleep(3)'))",
    )
    way = Way(project.root, place, proxy=proxy)
    way.terms = {"pause": 0.01, "reconnect": 1, "tries": 2}

    async def run() -> str:
        task = asyncio.create_task(asyncio.to_thread(way.run))
        await asyncio.to_thread(wait_until, lambda: way.ask(_AT_WORK))
        proxy.swallow = (True, True)
        with pytest.raises((LiveError, MigrationError)) as caught:
            await task
        return str(caught.value)

    said = asyncio.run(run())
    assert "Fix the revision" not in said
    proxy.swallow = (False, False)
    direct = Way(project.root, place)
    assert direct.run().heads == ("aaaa",)


def test_a_statement_that_waits_says_for_whom(place: Place) -> None:
    """While it waits, with each new try, and when it is given up; without the texts in queries."""
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("ALTER TABLE one ADD v int"), "aaaa"),
    )
    lab.up("aaaa")
    with (
        session(place, "INSERT INTO one VALUES (1)", "SELECT 'secret' FROM one") as pid,
        pytest.raises(MigrationError) as caught,
    ):
        lab.up("bbbb", lock_timeout="8s", tries=2)

    waits = [line(told) for told in lab.told if told.state == "waiting"]
    shown = "SELECT '…' FROM one"
    said = f"process {pid} of {place.user}, 'shop', idle in transaction: {shown}"
    assert waits == [f"waiting: a statement waits for {said}"]
    assert any(f"held by {said}; try 2 of 2" in line(told) for told in lab.told)
    assert f"It waited for {said}." in str(caught.value)


def test_an_online_statement_that_waits_says_for_whom(tmp_path: Path, place: Place) -> None:
    """Its session is one of the run too."""
    project = bare(tmp_path)
    project.revision("aaaa", None, "op.execute('CREATE TABLE one (id int)')")
    project.revision("bbbb", "aaaa", "op.get_bind().execute(sa.text('ALTER TABLE one ADD v int'))")
    way = Way(project.root, place)
    way.run("aaaa")
    way.terms |= {"lock_timeout": "8s", "tries": 1}
    with session(place, "LOCK TABLE one") as pid, pytest.raises(MigrationError):
        way.run()

    waits = [line(told) for told in way.told if told.state == "waiting"]
    said = f"process {pid} of {place.user}, 'shop', idle in transaction: LOCK TABLE one"
    assert waits == [f"waiting: a statement waits for {said}"]
