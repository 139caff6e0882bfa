"""Revisions that run through env.py and fail: whose fault it is, and what is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from infra.schema.errors import MigrationError
from tests.schema.applying import database
from tests.schema.histories.project import Project, bare
from tests.schema.online_runs import Way
from tests.schema.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_ONLINE = "op.get_bind().execute(sa.text('CREATE TABLE {} (id int)'))"
_BLOCK = "with op.get_context().autocommit_block(): op.execute('{}')"
_FIX = "Fix the revision and run again."


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        yield place


def _project(root: Path, *, before: str = "", after: str = "") -> Project:
    """A project whose env.py does something before it runs revisions online, or after."""
    project = bare(root)
    file = project.scripts / "env.py"
    text = file.read_text()
    text = text.replace("async def online():\n", f"async def online():\n    {before}\n")
    text = text.replace(
        "    await engine.dispose()\n", f"    await engine.dispose()\n    {after}\n"
    )
    file.write_text(text)
    return project


def _failure(way: Way) -> str:
    with pytest.raises(MigrationError) as caught:
        way.run()
    return str(caught.value)


@pytest.mark.parametrize(
    ("before", "said", "then"),
    [
        ("raise KeyError('formatters')", r"KeyError: 'formatters' \(env.py, line", "Fix env.py"),
        ("import no_such_module", "No module named 'no_such_module'", "Fix env.py"),
        ("raise SystemExit(3)", "SystemExit: 3", "Fix env.py"),
        ("open('/no/such/file')", "FileNotFoundError", "Fix env.py"),
        ("raise OSError(28, 'No space left on device')", "No space left", "Free space"),
        (
            "raise PermissionError(13, 'Permission denied')",
            "Permission denied",
            "permissions of the file",
        ),
        (
            "raise ConnectionRefusedError(111, 'refused')",
            "refused",
            "when the connection is stable",
        ),
        ("__import__('os')._exit(7)", "exit status 7", "Fix env.py"),
    ],
)
def test_what_env_py_does_before_a_revision_is_not_the_revisions_fault(
    tmp_path: Path, place: Place, before: str, said: str, then: str
) -> None:
    """Each has one message, which says what happened, and what to do about that."""
    project = _project(tmp_path, before=before)
    project.revision("aaaa", None, _ONLINE.format("one"))
    way = Way(project.root, place, apply="online")
    way.terms = {"pause": 0.01, "tries": 2}

    told = _failure(way)

    assert told.startswith("env.py failed on "), told
    assert re.search(said, told), told
    assert then in told
    assert _FIX not in told
    assert "autocommit" not in told
    assert way.ask("SELECT to_regclass('one')") is None


def test_what_env_py_does_after_a_revision_does_not_undo_it(tmp_path: Path, place: Place) -> None:
    """It is committed: the message says so, and the next run goes on behind it."""
    project = _project(tmp_path, after="raise RuntimeError('no mail server')")
    project.revision("aaaa", None, _ONLINE.format("one"), message="first")
    project.revision("bbbb", "aaaa", _ONLINE.format("two"))
    way = Way(project.root, place, apply="online")

    told = _failure(way)

    assert "after revision aaaa (first) was finished" in told
    assert "RuntimeError: no mail server (env.py, line" in told
    assert "One revision is finished and kept: the database is at aaaa." in told
    assert "undone" not in told
    assert _FIX not in told
    assert way.events() == [("aaaa", "up", "done")]
    assert "bbbb (made by a test) was finished" in _failure(way)
    assert way.run().applied == ()


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (f"{_ONLINE.format('two')}\nraise ValueError('no')", "It was undone. One revision"),
        (
            f"{_ONLINE.format('two')}\n{_BLOCK.format('SELECT 1')}\nraise OSError",
            "except for what it had committed in an autocommit block. One revision",
        ),
        (
            f"{_BLOCK.format('CREATE INDEX CONCURRENTLY ON one (id)')}\nraise ValueError('no')",
            "except for what it had committed in an autocommit block. One revision",
        ),
        (
            f"op.get_bind().scalar(sa.text('SELECT 1'))\n{_BLOCK.format('SELECT nonsense')}",
            "It was undone. One revision",
        ),
    ],
)
def test_an_autocommit_block_is_named_only_where_it_has_committed_something(
    tmp_path: Path, place: Place, body: str, kept: str
) -> None:
    """A revision that runs through env.py is undone as any other is."""
    project = bare(tmp_path)
    project.revision("aaaa", None, _ONLINE.format("one"))
    project.revision("bbbb", "aaaa", body)
    way = Way(project.root, place, apply="online")

    told = _failure(way)

    assert kept in told
    assert told.endswith(_FIX)


def test_a_lock_that_went_before_an_online_revision_is_taken_again(
    tmp_path: Path, place: Place
) -> None:
    """The revision is not blamed, and runs in the same run."""
    holder = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = ''advisory'' AND "
    holder += "mode = ''ExclusiveLock'' AND "
    holder += "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    project = bare(tmp_path)
    project.revision(
        "aaaa", None, f"op.execute('DO $$ BEGIN PERFORM ({holder}); END $$')".replace("''", "\\'")
    )
    project.revision("bbbb", "aaaa", _ONLINE.format("one"))
    project.revision("cccc", "bbbb", _ONLINE.format("two"))
    way = Way(project.root, place)

    assert way.run().heads == ("cccc",)


@pytest.mark.long
@pytest.mark.parametrize("piece", range(1, 40, 3))
def test_a_connection_that_goes_at_an_online_revision_is_come_back_from(
    tmp_path: Path, place: Place, piece: int
) -> None:
    """Wherever env.py or the lock loses it: the run converges, and blames nothing."""
    project = bare(tmp_path)
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    project.revision("bbbb", "aaaa", _ONLINE.format("one"))
    project.revision("cccc", "bbbb", _ONLINE.format("two"))
    proxy = Proxy(place.host, place.port)
    seen = 0

    def cut(data: bytes) -> bool:
        nonlocal seen
        seen += b"CREATE TABLE" in data or seen > 0 or b"aaaa" in data
        return seen == piece

    proxy.watch = cut
    try:
        way = Way(project.root, place, proxy=proxy)
        assert way.run().heads == ("cccc",)
    finally:
        proxy.close()
    assert [event for event in way.events() if event[2] == "done"] == [
        (id_, "up", "done") for id_ in ("aaaa", "bbbb", "cccc")
    ]
