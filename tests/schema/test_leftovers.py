"""Statements with CONCURRENTLY that were killed: the next run makes good what they left."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.schema import cli
from infra.schema.model import History
from infra.schema.running import indexes, leftovers
from tests.schema.applying import Lab, autocommit, database, process, revision, script
from tests.schema.histories.project import bare
from tests.schema.online_runs import Way
from tests.schema.sessions import session
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
_INDEXES = "SELECT count(*) FROM pg_index WHERE indrelid = 'one'::regclass"
_PENDING = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
_AT_IT = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
AND query ~ '^(CREATE|REINDEX|ALTER)' AND pid <> pg_backend_pid()
"""
_TABLES = """
CREATE TABLE one (id int, note text);
INSERT INTO one SELECT n, n::text FROM generate_series(1, 10) n;
CREATE INDEX one_note ON one (note);
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1);
"""
# A statement, and what is there when a kill has left something of it.
_STATEMENTS = [
    ("CREATE INDEX CONCURRENTLY ON one (lower(note), id) WHERE id > 3", _INVALID),
    ('create unique index concurrently on only public."one" using btree (id) ;', _INVALID),
    ("REINDEX TABLE CONCURRENTLY one", _INVALID),
    ("REINDEX (CONCURRENTLY) INDEX one_note", _INVALID),
    ("REINDEX (VERBOSE) SCHEMA CONCURRENTLY public", _INVALID),
    ("ALTER TABLE public.parts DETACH PARTITION part_1 CONCURRENTLY", _PENDING),
]


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        place.execute(_TABLES)
        yield place


@pytest.mark.long
@pytest.mark.parametrize(("statement", "left"), _STATEMENTS)
def test_a_killed_statement_is_made_good(place: Place, statement: str, left: str) -> None:
    """While it waits for an old transaction: rendered, nothing broken is left, and it is done."""
    lab = Lab(
        place,
        History(revisions=(revision("aaaa", script(autocommit(statement))),), heads=(), digest=""),
    )
    lock = "parts" if "parts" in statement else "one"
    with session(place, f"LOCK TABLE {lock} IN ROW EXCLUSIVE MODE"):
        with process(lab, lab.plan("aaaa")) as run:
            wait_until(lambda: lab.ask(left) or run.poll() is not None)
            assert run.poll() is None, run.communicate()[0]
            run.send_signal(signal.SIGKILL)
            run.wait()
        wait_until(lambda: not lab.ask(_AT_IT))
        assert lab.ask(left)

    before = lab.ask(_INDEXES)
    assert lab.up("aaaa").heads == ("aaaa",)
    assert lab.ask(_INVALID) == 0
    assert lab.ask(_PENDING) == 0
    if "CREATE" in statement.upper():
        assert lab.ask(_INDEXES) == before
    if "DETACH" in statement:
        assert lab.ask("SELECT count(*) FROM pg_inherits") == 0
    assert lab.ask("SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'") == 0


@pytest.mark.long
@pytest.mark.parametrize(("statement", "left"), _STATEMENTS)
def test_a_revision_through_env_py_makes_it_good_too(
    tmp_path: Path, place: Place, statement: str, left: str
) -> None:
    """What another run has left is made as a kill would leave it: a session that was ended."""
    project = bare(tmp_path)
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    body = f"with op.get_context().autocommit_block():\n    op.execute({statement!r})"
    project.revision("bbbb", "aaaa", f"op.get_bind()\n{body}")
    way = Way(project.root, place, apply="online")
    way.run("aaaa")
    lock = "parts" if "parts" in statement else "one"
    with session(place, f"LOCK TABLE {lock} IN ROW EXCLUSIVE MODE"):

        async def leave() -> None:
            connection = await asyncpg.connect(way.url)
            pid = connection.get_server_pid()
            task = asyncio.create_task(connection.execute(statement))
            await asyncio.to_thread(wait_until, lambda: way.ask(left))
            await asyncio.to_thread(place.execute, f"SELECT pg_terminate_backend({pid})")
            with pytest.raises(asyncpg.PostgresError):
                await task

        asyncio.run(leave())
        wait_until(lambda: not way.ask(_AT_IT))
        assert way.ask(left)

    assert way.run().heads == ("bbbb",)
    assert way.ask(_INVALID) == 0
    assert way.ask(_PENDING) == 0
    assert way.ask("SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'") == 0


def test_an_index_that_somebody_else_left_broken_stays(place: Place) -> None:
    """One of another definition is none of this statement's."""
    place.execute("CREATE INDEX other ON one (note, id)")
    place.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'other'::regclass")
    statement = "CREATE INDEX CONCURRENTLY ON one (id, note)"
    lab = Lab(
        place,
        History(revisions=(revision("aaaa", script(autocommit(statement))),), heads=(), digest=""),
    )

    lab.up("aaaa")

    assert lab.ask("SELECT count(*) FROM pg_index WHERE indexrelid = 'other'::regclass") == 1
    assert lab.ask("SELECT to_regclass('one_id_note_idx')") is not None


@pytest.mark.parametrize(
    ("statement", "rebuilds", "detaches"),
    [
        *((each, "DETACH" not in each, "DETACH" in each) for each, _ in _STATEMENTS),
        ("CREATE INDEX CONCURRENTLY named ON one (id)", False, False),
        ("CREATE INDEX ON one (id)", False, False),
        ("REINDEX TABLE one", False, False),
        ("REINDEX (VERBOSE) TABLE one", False, False),
        ("ALTER TABLE parts DETACH PARTITION part_1", False, False),
        ("ALTER TABLE parts DETACH PARTITION part_1 FINALIZE", False, False),
        ('/* x */ reindex -- y\n index concurrently "o n e".i', True, False),
    ],
)
def test_statements_are_told_apart(statement: str, rebuilds: bool, detaches: bool) -> None:  # noqa: FBT001 - a table
    """In any case and with comments; what has a name is looked for by that."""
    assert (leftovers.rebuild(statement) is not None) == rebuilds
    assert (leftovers.detachment(statement) is not None) == detaches
    assert indexes.concurrently(statement) == (rebuilds or detaches or "CONCURRENTLY" in statement)


def test_a_broken_index_is_told_at_head_too(
    tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never "nothing to do" over one, and status 2; one of a partitioned table may be to come."""
    project = bare(tmp_path)
    project.revision("aaaa", None, "op.execute('CREATE INDEX two ON one (id)')")
    way = Way(project.root, place)
    way.run()
    place.execute("CREATE INDEX later ON ONLY parts (id)")
    arguments = ["check", "--migrations", str(project.root), "--url", way.url, "--drift-ignore"]
    arguments += ["index public.*"]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == "at aaaa, nothing to do\n"

    place.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'two'::regclass")

    assert cli.main(arguments) == 2
    assert capsys.readouterr().out == "INVALID index public.two; then at aaaa\n"
    arguments[0] = "plan"
    assert cli.main(arguments) == 2
    assert "DROP INDEX CONCURRENTLY public.two, then build it again" in capsys.readouterr().out
