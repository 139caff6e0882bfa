"""Applying while something goes wrong: killed, cut off, locked out, in a race."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from infra.schema import dsn, live
from infra.schema.errors import LiveError, LockedError, MigrationError
from infra.schema.model import History, Part
from infra.schema.running import lock
from infra.schema.running.compose import MARK
from infra.schema.running.progress import line
from tests.schema.applying import (
    Lab,
    autocommit,
    database,
    process,
    revision,
    script,
    together,
)
from tests.schema.proxy import Proxy
from tests.waiting import wait_until, wait_until_async

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

pytestmark = pytest.mark.long


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        yield place


def _lab(place: Place, *revisions: object, **more: object) -> Lab:
    return Lab(
        place,
        History(revisions=revisions, heads=(), digest="", **more),  # type: ignore[arg-type]  # as the names say
    )


_AT_WORK = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND application_name LIKE 'groundwork%' AND query LIKE '%pg_sleep%' AND state = 'active'
AND pid <> pg_backend_pid()
"""
_SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
AND application_name LIKE 'groundwork%' AND pid <> pg_backend_pid()
"""
_LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM"
_LOCKS += " pg_database WHERE datname = current_database())"


def test_a_killed_run_leaves_nothing_of_its_revision_and_the_next_one_goes_on(
    place: Place,
) -> None:
    """A kill -9: the server undoes it within seconds, and lets go of the lock."""
    sleeps = (
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM marks) THEN PERFORM pg_sleep(60); END IF; END $$"
    )
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE marks (id int)")),
        revision("bbbb", script(together("CREATE TABLE two (id int)", sleeps)), "aaaa"),
        revision("cccc", script("CREATE TABLE three (id int)"), "bbbb"),
    )

    with process(lab, lab.plan("aaaa", "bbbb", "cccc")) as run:
        wait_until(lambda: lab.ask(_AT_WORK))
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: lab.ask(_LOCKS) == 0)

    assert lab.heads() == ("aaaa",)
    wait_until(lambda: lab.ask("SELECT to_regclass('two')") is None)
    place.execute("INSERT INTO marks VALUES (1)")
    assert lab.up("bbbb", "cccc").heads == ("cccc",)


def test_a_terminated_backend_is_come_back_from(place: Place) -> None:
    """The revision is undone, and tried again on a new connection, under the same lock."""
    sleeps = "SELECT CASE WHEN (SELECT count(*) FROM marks) = 0 THEN pg_sleep(60) END"
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE marks (id int)")),
        revision("bbbb", script(together("CREATE TABLE two (id int)", sleeps)), "aaaa"),
    )

    with process(lab, lab.plan("aaaa", "bbbb")) as run:
        pid = wait_until(lambda: lab.ask(_AT_WORK))
        place.execute("INSERT INTO marks VALUES (1)")
        place.execute(f"SELECT pg_terminate_backend({pid})")
        said = run.communicate()[0]

    assert run.returncode == 0, said
    assert "terminating connection due to administrator command; try 2 of 5" in said
    assert lab.heads() == ("bbbb",)
    assert lab.events() == [("aaaa", "up", "done"), ("bbbb", "up", "done")]


def test_a_lock_that_was_lost_is_taken_again_before_the_next_revision(place: Place) -> None:
    """Nobody else has moved the database meanwhile, or the run would stop."""
    holder = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ExclusiveLock' AND"
    holder += " locktype = 'advisory' AND "
    holder += "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    lab = _lab(
        place,
        revision("aaaa", script(f"DO $$ BEGIN PERFORM ({holder}); PERFORM pg_sleep(0.5); END $$")),
        revision("bbbb", script("SELECT 1"), "aaaa"),
    )

    assert lab.up("aaaa", "bbbb").heads == ("bbbb",)


def test_two_runs_at_once_apply_once(place: Place) -> None:
    """The one waits for the other, says for whom, and finds the database moved."""
    lab = _lab(place, revision("aaaa", script("CREATE TABLE one (id int); SELECT pg_sleep(2)")))

    with process(lab, lab.plan("aaaa")) as first:
        wait_until(lambda: lab.ask(_AT_WORK))
        with process(lab, lab.plan("aaaa")) as second:
            told = second.communicate()[0]
        said = first.communicate()[0]

    assert (first.returncode, second.returncode) == (0, 1), said + told
    assert told.startswith("waiting: process ")
    assert f"of {place.user}, 'groundwork dev " in told
    assert "MovedError" in told
    assert lab.events() == [("aaaa", "up", "done")]


def test_whoever_holds_the_lock_is_named(place: Place) -> None:
    """After the wait the error says who, from where and since when, and nothing was changed."""
    lab = _lab(place, revision("aaaa", script("SELECT 1")))
    first, second = lock.lock_key("public.alembic_version")

    async def hold() -> None:
        connection = await asyncpg.connect(lab.url, server_settings={"application_name": "me"})
        await connection.execute(f"SELECT pg_advisory_lock({first}, {second})")
        try:
            with pytest.raises(LockedError, match=r"of .*, 'me' from 127\.0\.0\.1, since 20"):
                await asyncio.to_thread(lab.up, "aaaa", lock_wait=0.5)
        finally:
            await connection.close()

    asyncio.run(hold())
    waits = [line(told) for told in lab.told if told.state == "waiting"]
    assert len(waits) == 1
    assert waits[0].startswith("waiting: process ")
    assert lab.up("aaaa").heads == ("aaaa",)


@contextmanager
def _stranger(place: Place, lab: Lab, *, grant: str = "") -> Iterator[Callable[[], None]]:
    """Hold the advisory lock as a role that may connect; gives what lets go of it."""
    name = f"stranger {os.urandom(4).hex()}"
    first, second = lock.lock_key("public.alembic_version")
    place.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{place.password}'")
    if grant:
        place.execute(f'GRANT {grant} TO "{name}"')
    ready, done = threading.Event(), threading.Event()

    async def hold() -> None:
        arguments = dsn.arguments(lab.url) | {"user": name}
        connection = await asyncpg.connect(**arguments)
        await connection.execute(f"SELECT pg_advisory_lock({first}, {second})")
        ready.set()
        await asyncio.to_thread(done.wait)
        await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    assert ready.wait(20)

    def leave() -> None:
        done.set()
        thread.join()

    try:
        yield leave
    finally:
        leave()
        place.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


def test_a_role_without_rights_on_the_schema_holds_up_nothing(place: Place) -> None:
    """It is named and passed by; CREATE INDEX CONCURRENTLY doesn't wait for the other lock."""
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script(autocommit("CREATE INDEX CONCURRENTLY i ON one (id)")), "aaaa"),
    )

    with _stranger(place, lab):
        assert lab.up("aaaa", "bbbb", lock_wait=0.5).heads == ("bbbb",)

    waits = [line(told) for told in lab.told if told.state == "waiting"]
    assert len(waits) == 1
    assert "of stranger " in waits[0]
    assert "has no rights on schema public" in waits[0]


def test_a_migrator_without_statistics_passes_a_stranger_by(place: Place) -> None:
    """PostgreSQL hides the kind of a session, and since when it is, from others than its role."""
    migrator = f"migrator {os.urandom(4).hex()}"
    place.execute(
        f"CREATE ROLE \"{migrator}\" LOGIN PASSWORD '{place.password}'",
        f'ALTER DATABASE "{place.database}" OWNER TO "{migrator}"',
    )
    lab = _lab(
        place.as_user(migrator, place.password),
        revision("aaaa", script("CREATE TABLE one (id int)")),
    )
    try:
        with _stranger(place, lab):
            assert lab.up("aaaa", lock_wait=0.5).heads == ("aaaa",)
        with (
            _stranger(place, lab, grant="CREATE ON SCHEMA public"),
            pytest.raises(LockedError, match="of stranger "),
        ):
            lab.up("aaaa", lock_wait=0.5)
    finally:
        place.execute(
            f'REASSIGN OWNED BY "{migrator}" TO "{place.user}"',
            f'DROP OWNED BY "{migrator}"; DROP ROLE "{migrator}"',
        )

    assert "has no rights on schema public" in next(
        line(told) for told in lab.told if told.state == "waiting"
    )


def test_a_prepared_transaction_is_passed_by_or_named(place: Place) -> None:
    """It has no process, and may hold the lock for ever: its role decides."""
    first, second = lock.lock_key("public.alembic_version")
    name = f"stranger {os.urandom(4).hex()}"
    gid = f"left over {os.urandom(4).hex()}"
    place.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{place.password}'")
    lab = _lab(place, revision("aaaa", script("SELECT 1")), revision("bbbb", script(""), "aaaa"))

    def prepare(by: Place) -> None:
        by.execute(
            f"BEGIN; SELECT pg_advisory_xact_lock({first}, {second}); PREPARE TRANSACTION '{gid}'"
        )

    try:
        prepare(place.as_user(name, place.password))
        assert lab.up("aaaa", lock_wait=0.5).heads == ("aaaa",)
        place.execute(f"ROLLBACK PREPARED '{gid}'")
        prepare(place)
        with pytest.raises(LockedError, match=f"the prepared transaction '{gid}' of "):
            lab.up("bbbb", lock_wait=0.5)
    finally:
        place.execute(f"ROLLBACK PREPARED '{gid}'", f'DROP ROLE "{name}"')

    waits = [line(told) for told in lab.told if told.state == "waiting"]
    assert f"the prepared transaction '{gid}' of {name}, since " in waits[0]


def test_a_role_with_rights_on_the_schema_is_waited_for(place: Place) -> None:
    """It may be a run of a former version, which knows the advisory lock alone."""
    lab = _lab(place, revision("aaaa", script("SELECT 1")))

    with (
        _stranger(place, lab, grant="CREATE ON SCHEMA public"),
        pytest.raises(LockedError, match="of stranger "),
    ):
        lab.up("aaaa", lock_wait=0.5)


def test_two_runs_that_pass_a_stranger_by_apply_once(place: Place) -> None:
    """The second waits for the first by the lock on the ledger, and names it."""
    lab = _lab(place, revision("aaaa", script("CREATE TABLE one (id int); SELECT pg_sleep(2)")))

    with _stranger(place, lab), process(lab, lab.plan("aaaa")) as first:
        wait_until(lambda: lab.ask(_AT_WORK))
        with process(lab, lab.plan("aaaa")) as second:
            told = second.communicate()[0]
        said = first.communicate()[0]

    assert (first.returncode, second.returncode) == (0, 1), said + told
    assert f"of {place.user}, 'groundwork dev " in told
    assert lab.events() == [("aaaa", "up", "done")]


def test_a_run_sees_one_that_passed_a_stranger_by(place: Place) -> None:
    """Although it gets the advisory lock, since the stranger is gone meanwhile."""
    lab = _lab(place, revision("aaaa", script("CREATE TABLE one (id int); SELECT pg_sleep(3)")))

    with _stranger(place, lab) as leave, process(lab, lab.plan("aaaa")) as first:
        wait_until(lambda: lab.ask(_AT_WORK))
        leave()
        with process(lab, lab.plan("aaaa")) as second:
            told = second.communicate()[0]
        said = first.communicate()[0]

    assert (first.returncode, second.returncode) == (0, 1), said + told
    assert lab.events() == [("aaaa", "up", "done")]


@contextmanager
def _locked(lab: Lab, table: str) -> Iterator[Callable[[], None]]:
    """Hold a table in another session; gives what lets go of it."""
    ready, done = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(lab.url)
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table}")
            ready.set()
            await asyncio.to_thread(done.wait)
        await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    ready.wait()
    try:
        yield done.set
    finally:
        done.set()
        thread.join()


def test_a_lock_timeout_is_tried_again(place: Place) -> None:
    """The whole revision, from its beginning, once whoever held the lock has let go."""
    place.execute("CREATE TABLE busy (id int)")
    lab = _lab(
        place,
        revision(
            "aaaa", script(together("CREATE TABLE one (id int)", "ALTER TABLE busy ADD x int"))
        ),
    )

    with _locked(lab, "busy") as let_go:

        class Told(list[Any]):
            def append(self, told: Any) -> None:
                super().append(told)
                if told.state == "again":
                    let_go()

        lab.told = Told()
        assert lab.up("aaaa", lock_timeout="200ms", pause=0.3).heads == ("aaaa",)

    notes = [line(told) for told in lab.told if told.state == "again"]
    assert notes[0].startswith(
        "1/1 aaaa: canceling statement due to lock timeout; try 2 of 5 in 0."
    )
    assert lab.events() == [("aaaa", "up", "done")]


def test_a_lock_that_nobody_lets_go_of_ends_the_run(place: Place) -> None:
    """After the last try the statement is named, and what to do."""
    place.execute("CREATE TABLE busy (id int)")
    lab = _lab(
        place,
        revision(
            "aaaa", script(together("CREATE TABLE one (id int)", "ALTER TABLE busy ADD x int"))
        ),
    )

    with _locked(lab, "busy"), pytest.raises(MigrationError) as caught:
        lab.up("aaaa", lock_timeout="100ms", tries=2)

    said = str(caught.value)
    assert "after 2 tries, statement 2 of 2: ALTER TABLE busy ADD x int" in said
    assert "end the long transactions" in said
    assert caught.value.sqlstate == "55P03"
    assert lab.ask("SELECT to_regclass('one')") is None


def test_a_version_table_in_use_is_waited_for(place: Place) -> None:
    """A plain `alembic upgrade` that is about to write keeps ours from comparing too early."""
    lab = _lab(
        place,
        revision("aaaa", script("SELECT 1")),
        revision("bbbb", script("SELECT 1"), "aaaa"),
    )
    lab.up("aaaa")

    with (
        _locked(lab, "alembic_version IN ROW EXCLUSIVE MODE"),
        pytest.raises(MigrationError, match=r"failed on .* after 2 tries\."),
    ):
        lab.up("bbbb", lock_timeout="100ms", tries=2)
    assert lab.up("bbbb").heads == ("bbbb",)


def test_a_deadlock_is_tried_again(place: Place) -> None:
    """Whichever side PostgreSQL ends, the revision gets there."""
    place.execute("CREATE TABLE a (id int)", "CREATE TABLE b (id int)")
    # PostgreSQL looks for a deadlock once, that long after a wait has begun: the other side has to
    # wait by then, and to look later.
    place.execute(f"ALTER DATABASE \"{place.database}\" SET deadlock_timeout = '2s'")
    lab = _lab(
        place,
        revision(
            "aaaa",
            script(together("LOCK TABLE a", "ALTER TABLE b ADD x int")),
        ),
    )

    taken = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'a'::regclass AND granted)"

    async def other() -> None:
        connection = await asyncpg.connect(lab.url)
        await connection.execute("SET deadlock_timeout = '1min'")
        async with connection.transaction():
            await connection.execute("LOCK TABLE b")
            run = asyncio.create_task(asyncio.to_thread(lab.up, "aaaa"))
            await wait_until_async(lambda: connection.fetchval(taken))
            await connection.execute("LOCK TABLE a")
        await run
        await connection.close()

    asyncio.run(other())
    assert any("deadlock detected" in line(told) for told in lab.told)
    assert lab.heads() == ("aaaa",)


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[Proxy]:
    """A wire to the server that can be cut."""
    proxy = Proxy(postgres_server.host, postgres_server.port)
    yield proxy
    proxy.close()


def test_a_cut_after_the_commit_is_seen_as_what_it_is(place: Place, proxy: Proxy) -> None:
    """The revision is there, by this run's own ledger row, and does not run twice."""
    lab = _lab(
        replace(place, port=proxy.port),
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("CREATE TABLE two (id int)"), "aaaa"),
        revision("cccc", script("CREATE TABLE three (id int)"), "bbbb"),
    )
    plan = lab.plan("aaaa", "bbbb", "cccc")
    commits = iter([False, True, False])
    proxy.watch = lambda data: b"COMMIT\0Z" in data and next(commits, False)

    assert lab.run(plan).applied == ("aaaa", "bbbb", "cccc")

    assert proxy.cuts == 1
    assert [event[0] for event in lab.events()] == ["aaaa", "bbbb", "cccc"]


def test_a_cut_before_the_commit_runs_the_revision_again(place: Place, proxy: Proxy) -> None:
    """What the server still does for the lost connection is ended first."""
    lab = _lab(
        replace(place, port=proxy.port),
        revision(
            "aaaa",
            script(together("CREATE TABLE one (id int)", "SELECT pg_sleep(0.3)", "SELECT 7 AS x")),
        ),
    )
    plan = lab.plan("aaaa")
    proxy.watch = lambda data: proxy.cuts == 0 and b"groundwork: next" in data

    assert lab.run(plan).applied == ("aaaa",)

    assert proxy.cuts == 1
    assert lab.events() == [("aaaa", "up", "done")]


def test_a_server_that_does_not_come_back_ends_the_run(place: Place, proxy: Proxy) -> None:
    """After the deadline, with what is kept."""
    lab = _lab(
        replace(place, port=proxy.port),
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("CREATE TABLE two (id int)"), "aaaa"),
    )
    plan = lab.plan("aaaa", "bbbb")
    commits = iter([False, True])

    def watch(data: bytes) -> bool:
        cut = b"COMMIT\0Z" in data and next(commits, False)
        proxy.refuse = proxy.refuse or cut
        return proxy.refuse

    proxy.watch = watch
    with pytest.raises(
        LiveError, match=r"was lost, and 1 s of trying .*Whether aaaa was finished is not known"
    ):
        lab.run(plan, reconnect=1.0)


def _index_lab(place: Place, *statements: str, after: tuple[Part | str, ...] = ()) -> Lab:
    place.execute("CREATE TABLE one (id int)", "INSERT INTO one SELECT generate_series(1, 100)")
    return _lab(
        place,
        revision(
            "aaaa",
            script("ALTER TABLE one ADD note text", autocommit(*statements), *after),
            message="index",
        ),
    )


def test_a_revision_in_autocommit_leaves_begun_and_done(place: Place) -> None:
    """What commits on its way is in the ledger with it."""
    lab = _index_lab(
        place,
        "CREATE INDEX CONCURRENTLY one_id ON one (id)",
        "UPDATE one SET note = 'x'",
        "VACUUM one",
        after=("ALTER TABLE one ADD more text",),
    )

    assert lab.up("aaaa").heads == ("aaaa",)

    assert lab.events()[0] == ("aaaa", "up", "begun")
    assert lab.events()[-1] == ("aaaa", "up", "done")
    assert sum(event[2] == "done" for event in lab.events()) == 1
    assert lab.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass")


@pytest.mark.parametrize(
    "name", ["one_id", '"One Id"', '"it\'s ""x"" 🐘"', '"' + "n" * 70 + '"', "ÄÖ"]
)
@pytest.mark.parametrize("tolerant", ["", "IF NOT EXISTS "])
def test_an_invalid_index_is_dropped_and_built_again(
    place: Place, name: str, tolerant: str
) -> None:
    """After a failure that leaves one, the next run builds it; whatever committed is not rerun."""
    statement = f"CREATE UNIQUE INDEX CONCURRENTLY {tolerant}{name}\n  ON public.one (id)"
    lab = _index_lab(place, statement)
    place.execute("INSERT INTO one VALUES (1)")
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"

    with pytest.raises(MigrationError, match="could not create unique index") as caught:
        lab.up("aaaa")
    assert "What it had committed is kept" in str(caught.value)
    assert "Nothing was changed" not in str(caught.value)
    assert lab.ask(invalid) == 1
    place.execute("DELETE FROM one WHERE ctid = (SELECT max(ctid) FROM one)")

    assert live.read(lab.url, catalog=False).applied["aaaa"].finished is False
    assert lab.up("aaaa").heads == ("aaaa",)
    assert lab.ask(invalid) == 0
    assert lab.ask("SELECT count(*) FROM pg_index WHERE indrelid = 'one'::regclass") == 1


def test_an_index_of_somebody_else_is_never_taken_for_ours(place: Place) -> None:
    """A valid one of that name is an error, each time, and stays."""
    lab = _index_lab(place, "CREATE INDEX CONCURRENTLY one_id ON one (id)")
    place.execute("CREATE INDEX one_id ON one ((id + 1))")

    for _ in range(2):
        with pytest.raises(MigrationError, match='"one_id" already exists'):
            lab.up("aaaa")

    assert "+ 1" in lab.ask("SELECT pg_get_indexdef('one_id'::regclass)")


def test_a_killed_build_is_taken_up_again(place: Place) -> None:
    """A kill -9 while the index waits for a transaction: dropped, built, finished."""
    place.execute("CREATE TABLE one (id int)")
    build = autocommit("CREATE INDEX CONCURRENTLY one_id ON one (id)")
    lab = _lab(place, revision("aaaa", script(build)))
    building = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'"
    building += " AND datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'"

    with _locked(lab, "one IN ROW EXCLUSIVE MODE"), process(lab, lab.plan("aaaa")) as run:
        wait_until(lambda: lab.ask("SELECT to_regclass('one_id')"))
        run.send_signal(signal.SIGKILL)
        run.wait()
        wait_until(lambda: not lab.ask(building))

    assert lab.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass") is False
    assert lab.up("aaaa").heads == ("aaaa",)
    assert lab.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass")


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("CREATE INDEX CONCURRENTLY one_id ON one (id)", "SELECT to_regclass('one_id')::text"),
        ("DROP INDEX CONCURRENTLY old", "SELECT coalesce(to_regclass('old')::text, 'gone')"),
        ("VACUUM one", "SELECT 'done'"),
    ],
)
def test_a_cut_after_a_statement_that_stands_alone(
    place: Place, proxy: Proxy, statement: str, check: str
) -> None:
    """It had finished unnoticed: it counts as done, or bears to run again."""
    lab = _index_lab(place, statement, "UPDATE one SET note = coalesce(note, '') || 'x'")
    place.execute("CREATE INDEX old ON one (id)")
    lab.place = replace(place, port=proxy.port)
    plan = lab.plan("aaaa")
    tag = " ".join(statement.split()[:2]) if "INDEX" in statement else "VACUUM"
    proxy.watch = lambda data: proxy.cuts == 0 and f"{tag}\0Z".encode() in data

    assert lab.run(plan).heads == ("aaaa",)

    assert proxy.cuts == 1
    assert lab.ask(check) in ("one_id", "gone", "done")
    assert lab.ask("SELECT DISTINCT note FROM one") == "x"


def test_every_commit_of_a_revision_in_autocommit_can_be_cut(place: Place, proxy: Proxy) -> None:
    """After each of them in turn, and in whatever part: each statement has run exactly once."""
    lab = _index_lab(
        place,
        "UPDATE one SET note = coalesce(note, '') || 'a'",
        "CREATE INDEX CONCURRENTLY one_id ON one (id)",
        "UPDATE one SET note = note || 'b'",
        after=(together("UPDATE one SET note = note || 'c'", "ALTER TABLE one ADD more text"),),
    )
    lab.place = replace(place, port=proxy.port)
    plan = lab.plan("aaaa")
    turns = itertools.cycle([True, False])  # every second one gets through: there is a way on
    proxy.watch = lambda data: b"COMMIT\0Z" in data and proxy.cuts < 9 and next(turns)

    assert lab.run(plan, tries=30).heads == ("aaaa",)

    assert proxy.cuts == 9
    assert lab.ask("SELECT DISTINCT note FROM one") == "abc"
    assert lab.events()[-1] == ("aaaa", "up", "done")


def test_a_wait_for_old_transactions_outlasts_the_lock_timeout(place: Place) -> None:
    """CREATE INDEX CONCURRENTLY keeps nobody waiting, so that it may wait itself."""
    place.execute("CREATE TABLE one (id int)")
    build = autocommit("CREATE INDEX CONCURRENTLY one_id ON one (id)")
    lab = _lab(
        place,
        revision("aaaa", script(build)),
        revision("bbbb", script(build), lock_timeout="100ms"),
    )

    with _locked(lab, "one IN ROW EXCLUSIVE MODE") as let_go:
        with pytest.raises(MigrationError, match="lock timeout"):
            lab.up("bbbb", tries=1)  # which has chosen otherwise
        threading.Timer(1.0, let_go).start()
        assert lab.up("aaaa", lock_timeout="200ms", tries=1).heads == ("aaaa",)


def test_an_edited_revision_begins_again_where_its_beginning_was_edited(place: Place) -> None:
    """And goes on where only what is still to come was."""
    lab = _index_lab(place, "CREATE INDEX CONCURRENTLY one_id ON nowhere (id)")
    with pytest.raises(MigrationError, match='"nowhere" does not exist'):
        lab.up("aaaa")

    fixed = revision(
        "aaaa",
        script(
            "ALTER TABLE one ADD note text", autocommit("CREATE INDEX CONCURRENTLY i ON one (id)")
        ),
    )
    other = revision("aaaa", script("ALTER TABLE one ADD note int", *fixed.upgrade.parts[1:]))
    lab.history = replace(lab.history, revisions=(other,))
    with pytest.raises(MigrationError, match='"note" of relation "one" already exists'):
        lab.up("aaaa")
    lab.history = replace(lab.history, revisions=(fixed,))
    with pytest.raises(MigrationError, match='"note" of relation "one" already exists'):
        lab.up("aaaa")


def test_the_password_is_in_no_error(place: Place) -> None:
    """Neither where the login fails nor where a revision quotes it."""
    lab = _lab(place, revision("aaaa", script("SELECT 1")))
    plan = lab.plan("aaaa")
    lab.place = replace(place, password="wr%ng-secret")  # noqa: S106 - looked for in the message

    with pytest.raises(LiveError, match="password authentication failed") as caught:
        lab.run(plan)
    assert "secret" not in str(caught.value)
    assert os.environ.get("PGPASSWORD") is None


def test_a_kill_at_every_boundary_is_made_good_by_the_next_run(
    postgres_server: PostgresServer, proxy: Proxy
) -> None:
    """Between any two statements of any revision: the same catalog as without, in one more run."""
    revisions = (
        revision(
            "aaaa", script(together("CREATE TABLE one (id int)", "CREATE TABLE two (id int)"))
        ),
        revision(
            "bbbb",
            script(
                together("ALTER TABLE one ADD a int", "ALTER TABLE two ADD b int"),
                autocommit(
                    "CREATE INDEX CONCURRENTLY one_a ON one (a)",
                    "INSERT INTO one VALUES (1, 1)",
                ),
                together("ALTER TABLE one ADD c int"),
            ),
            "aaaa",
        ),
    )
    boundaries, catalogs = 0, []
    while True:
        with database(postgres_server) as place:
            lab = _lab(replace(place, port=proxy.port), *revisions)
            killed = _killed_at(boundaries, lab, proxy)
            wait_until(partial(_unlocked, lab))
            lab.up(*(id_ for id_ in ("aaaa", "bbbb") if id_ not in lab.there()))
            catalogs.append(live.read(lab.url).catalog)
            assert lab.ask("SELECT count(*) FROM one") == 1
        if not killed:
            break
        boundaries += 1

    assert boundaries >= 15
    assert all(catalog == catalogs[-1] for catalog in catalogs)


def _unlocked(lab: Lab) -> bool:
    """Tell whether a killed run has no lock any more, and no session that goes on by itself."""
    return bool(lab.ask(_LOCKS) == 0 and lab.ask(_SESSIONS) == 0)


def _killed_at(boundary: int, lab: Lab, proxy: Proxy) -> bool:
    """Run everything, and kill the process when so many boundaries have gone by."""
    passed = itertools.count()
    started: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()

    def watch(data: bytes) -> bool:
        for _ in range(data.count(b"COMMIT\0Z") + data.count(MARK.encode())):
            if next(passed) == boundary:
                started.get().kill()
                return True
        return False

    plan = lab.plan("aaaa", "bbbb")
    proxy.watch = watch
    with process(lab, plan) as run:
        started.put(run)
        run.communicate()
    proxy.watch = lambda _: False
    return bool(run.returncode)
