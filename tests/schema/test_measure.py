"""What is seen of a run from beside it: statements, locks, WAL, tables written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import apply, history, plan
from infra.schema.errors import LateError, MigrationError
from infra.schema.model import History, Live, Policy, Script
from infra.schema.rehearsing.measure import Measure
from tests.schema.applying import Lab, autocommit, database, revision, script, together
from tests.schema.histories.project import bare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.schema.review import Rehearsed
    from tests.conftest import PostgresServer

_TABLES = """
CREATE SCHEMA "o'dd";
CREATE TABLE big (id int PRIMARY KEY, note text);
CREATE TABLE "o'dd"."Ta ble" (id int PRIMARY KEY);
INSERT INTO big SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g
"""


@pytest.fixture
def lab(postgres_server: PostgresServer) -> Iterator[Lab]:
    """A database with two tables, and a history that is filled by each test."""
    with database(postgres_server) as place:
        place.execute(_TABLES)
        yield Lab(place=place, history=History(revisions=(), heads=(), digest=""))


def _measure(lab: Lab, server: PostgresServer) -> Measure:
    connect = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "database": lab.place.database,
        "ssl": False,
    }
    rows = {"public.big": 5000}
    return Measure(connect, version_table="public.alembic_version", rows=rows, sizes={})


def _run(lab: Lab, server: PostgresServer, up: Script, **more: Any) -> Rehearsed:
    lab.history = History(revisions=(revision("a1", up, **more),), heads=("a1",), digest="")
    measure = _measure(lab, server)
    lab.run(lab.plan("a1"), watch=measure)
    (seen,) = measure.steps
    return seen


def _locks(seen: Rehearsed) -> list[tuple[str, str]]:
    return [(lock.mode, lock.relation) for lock in seen.locks]


def test_a_rewrite_names_its_lock_and_the_table(lab: Lab, postgres_server: PostgresServer) -> None:
    """A change of type takes AccessExclusiveLock, writes the table anew and its index too."""
    seen = _run(lab, postgres_server, script("ALTER TABLE big ALTER COLUMN id TYPE bigint"))

    assert ("AccessExclusiveLock", "public.big") in _locks(seen)
    assert [(each.relation, each.rows) for each in seen.rewritten] == [("public.big", 5000)]
    assert [each.index for each in seen.built] == ["public.big_pkey"]
    assert seen.emptied == ()
    assert seen.wal > 500_000


def test_a_rewrite_that_drops_a_column_is_a_rewrite(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """What loses a column is not taken for what is emptied."""
    up = script("ALTER TABLE big DROP COLUMN note, ALTER COLUMN id TYPE bigint")
    seen = _run(lab, postgres_server, up)

    assert [each.relation for each in seen.rewritten] == ["public.big"]
    assert seen.emptied == ()


def test_a_lock_is_held_to_the_end_of_the_transaction(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """The first statement's lock is held while the second one works; each has its own time."""
    up = script("ALTER TABLE big ADD COLUMN more int", "SELECT pg_sleep(0.3)", "SELECT 1")
    seen = _run(lab, postgres_server, up)

    held = {lock.mode: lock for lock in seen.locks if lock.relation == "public.big"}
    assert 0.3 <= held["AccessExclusiveLock"].seconds < 2
    assert held["AccessExclusiveLock"].statement == 1
    assert [each.sql for each in seen.sent] == list(up.statements)
    assert 0.3 <= seen.sent[1].seconds < 1
    assert seen.sent[2].seconds < 0.1
    assert seen.seconds >= 0.3


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY big_note ON big (note)",
        "DROP INDEX CONCURRENTLY big_plain",
        "REINDEX INDEX CONCURRENTLY big_plain",
        'CREATE INDEX CONCURRENTLY "odd \'one" ON "o\'dd"."Ta ble" (id)',
    ],
)
def test_concurrently_takes_no_access_exclusive_lock_on_a_table(
    lab: Lab, postgres_server: PostgresServer, statement: str
) -> None:
    """What runs beside others is seen with ShareUpdateExclusiveLock on its table."""
    lab.place.execute("CREATE INDEX big_plain ON big (note)")
    seen = _run(lab, postgres_server, script(autocommit(statement)))

    table = '"o\'dd"."Ta ble"' if "odd" in statement else "public.big"
    assert ("ShareUpdateExclusiveLock", table) in _locks(seen)
    assert {lock.by for lock in seen.locks} == {"pg_locks"}
    assert "AccessExclusiveLock" not in {mode for mode, _ in _locks(seen)}
    assert [each.sql for each in seen.sent] == [statement]
    assert seen.rewritten == ()
    assert len(seen.built) == (0 if statement.startswith("DROP") else 1)


def test_an_emptied_table_is_no_rewrite(lab: Lab, postgres_server: PostgresServer) -> None:
    """TRUNCATE gives a table a new file, and is told by its own name."""
    seen = _run(lab, postgres_server, script('TRUNCATE "o\'dd"."Ta ble"'))

    assert seen.emptied == ('"o\'dd"."Ta ble"',)
    assert seen.rewritten == ()


def test_what_is_emptied_along_is_no_rewrite_either(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """Partitions, and tables that refer to it, go with a table, whatever it is called by then."""
    lab.place.execute(
        "CREATE TABLE refers (big_id int REFERENCES big (id))",
        "CREATE TABLE whole (id int) PARTITION BY LIST (id)",
        "CREATE TABLE piece PARTITION OF whole DEFAULT",
    )
    up = script("TRUNCATE whole", "ALTER TABLE big RENAME TO large", "TRUNCATE large CASCADE")
    seen = _run(lab, postgres_server, up)

    assert seen.emptied == ("public.big", "public.piece", "public.refers")
    assert seen.rewritten == ()


def test_tables_of_one_name_are_told_apart(lab: Lab, postgres_server: PostgresServer) -> None:
    """What happens to one of another schema hides nothing of its namesake."""
    lab.place.execute("CREATE SCHEMA a", "CREATE TABLE a.big (id int)")
    up = script("TRUNCATE a.big", "ALTER TABLE big ALTER COLUMN id TYPE bigint")
    seen = _run(lab, postgres_server, up)

    assert seen.emptied == ("a.big",)
    assert [each.relation for each in seen.rewritten] == ["public.big"]


def test_a_statement_alone_is_seen(lab: Lab, postgres_server: PostgresServer) -> None:
    """VACUUM FULL locks the table that it names, and no namesake of it."""
    lab.place.execute(
        "CREATE SCHEMA a",
        "CREATE TABLE a.big (id int)",
        # It builds this index again, for half a second: a shorter lock may be missed.
        "CREATE FUNCTION slow() RETURNS int IMMUTABLE LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN 1; END $$",
        "INSERT INTO big (id) VALUES (-1)",
        "CREATE INDEX slowly ON big ((id + slow())) WHERE id = -1",
    )
    seen = _run(lab, postgres_server, script(autocommit("VACUUM FULL big")))

    (lock,) = [lock for lock in seen.locks if lock.mode == "AccessExclusiveLock"]
    assert (lock.relation, lock.by) == ("public.big", "pg_locks")
    assert 0 < lock.seconds <= seen.seconds


def test_a_lock_that_a_savepoint_gives_back_is_gone(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """It is not held to the end of the transaction."""
    up = script(
        "SAVEPOINT one",
        "LOCK TABLE big IN SHARE MODE",
        "ROLLBACK TO SAVEPOINT one",
        "SELECT pg_sleep(0.5)",
    )
    seen = _run(lab, postgres_server, up)

    (lock,) = seen.locks
    assert (lock.mode, lock.statement) == ("ShareLock", 2)
    assert lock.seconds < 0.4


def test_a_statement_alone_that_fails_has_no_figures(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """As in a transaction, what did not come to its end has neither a time nor WAL."""
    measure = _measure(lab, postgres_server)
    files = (revision("a1", script(autocommit("CREATE INDEX CONCURRENTLY i ON big (nothing)"))),)
    lab.history = History(revisions=files, heads=("a1",), digest="")
    with pytest.raises(MigrationError):
        lab.run(lab.plan("a1"), watch=measure)

    (seen,) = measure.steps
    assert seen.sent == ()


def test_what_the_revision_makes_is_locked_for_nobody(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """Only relations that were there before are listed; a foreign key locks what it refers to."""
    up = script("CREATE TABLE fresh (id int PRIMARY KEY, big_id int REFERENCES big (id))")
    seen = _run(lab, postgres_server, up)

    assert {relation for _, relation in _locks(seen)} == {"public.big"}
    assert _locks(seen)[0] == ("ShareRowExclusiveLock", "public.big")
    assert [(each.index, each.fresh) for each in seen.built] == [("public.fresh_pkey", True)]


def test_a_failing_step_is_seen_up_to_its_failure(
    lab: Lab, postgres_server: PostgresServer
) -> None:
    """The statements before the one that fails are told, and what they locked."""
    lab.history = History(
        revisions=(revision("a1", script("ALTER TABLE big ADD COLUMN x int", "SELECT 1/0")),),
        heads=("a1",),
        digest="",
    )
    measure = _measure(lab, postgres_server)
    with pytest.raises(MigrationError):
        lab.run(lab.plan("a1"), watch=measure)

    (seen,) = measure.steps
    assert [each.sql for each in seen.sent] == ["ALTER TABLE big ADD COLUMN x int"]
    assert ("AccessExclusiveLock", "public.big") in _locks(seen)


@pytest.mark.parametrize(
    ("part", "work"), [(together, "CLUSTER big USING big_pkey"), (autocommit, "VACUUM FULL big")]
)
def test_a_revision_may_end_all_other_sessions(
    lab: Lab, postgres_server: PostgresServer, part: Any, work: str
) -> None:
    """Those that look on too: they come back, and tell what has changed."""
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    seen = _run(lab, postgres_server, script(part(kill, work)))

    assert [each.relation for each in seen.rewritten] == ["public.big"]
    assert ("AccessExclusiveLock", "public.big") in _locks(seen)
    assert len(seen.sent) == 2


def test_a_dropped_table_is_named(lab: Lab, postgres_server: PostgresServer) -> None:
    """The lock on what is gone afterwards has its name all the same."""
    seen = _run(lab, postgres_server, script("DROP TABLE big"))

    assert ("AccessExclusiveLock", "public.big") in _locks(seen)


def test_a_deadline_ends_a_statement_that_does_not_end(lab: Lab) -> None:
    """The run is over soon after its deadline, and says where it was; nothing is left at work."""
    lab.history = History(
        revisions=(revision("a1", script("SELECT 1", "SELECT pg_sleep(600)")),),
        heads=("a1",),
        digest="",
    )
    with pytest.raises(LateError, match=r"revision a1, statement 2: SELECT pg_sleep\(600\)"):
        lab.run(lab.plan("a1"), deadline=1.0)

    assert (
        lab.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)%'"
            " AND pid <> pg_backend_pid() AND state = 'active'"
            " AND datname = current_database()"
        )
        == 0
    )


_LIVE = """
connection = op.get_bind()
rows = connection.execute(sa.text("SELECT count(*) FROM big")).scalar()
op.execute("ALTER TABLE big ALTER COLUMN id TYPE bigint")
connection.execute(sa.text("UPDATE big SET note = :note WHERE id = :id"), {"note": "n", "id": 7})
with op.get_context().autocommit_block():
    op.execute("CREATE INDEX CONCURRENTLY big_note ON big (note)")
"""


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A project with one revision that needs the database."""
    project = bare(tmp_path)
    project.revision("a1", None, _LIVE)
    return tmp_path


def test_what_a_live_revision_sends_is_recorded(
    lab: Lab, postgres_server: PostgresServer, live: Path
) -> None:
    """Its statements with their values, its locks, and what it wrote anew; not Alembic's own."""
    files = history.read(live)
    made = plan.make(files, Live(), Policy())
    measure = _measure(lab, postgres_server)
    apply.run(made, files, apply.Terms(url=lab.url, folder=live), watch=measure)

    (seen,) = measure.steps
    sent = [each.sql for each in seen.sent]
    assert sent[0] == "SELECT count(*) FROM big"
    assert sent[2].startswith("UPDATE big SET note = ")
    assert "'n'" in sent[2].rpartition("-- with ")[2]
    assert sent[3].startswith("CREATE INDEX CONCURRENTLY")
    assert not any("alembic_version" in sql or "schema_ledger" in sql for sql in sent)
    assert ("AccessExclusiveLock", "public.big") in _locks(seen)
    assert [each.relation for each in seen.rewritten] == ["public.big"]
    assert {each.index for each in seen.built} == {"public.big_pkey", "public.big_note"}


def test_statements_of_a_live_revision_have_one_number(
    lab: Lab, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A lock is of the statement that is listed under that number, behind commits too."""
    body = """
connection = op.get_bind()
connection.execute(sa.text("SELECT count(*) FROM big"))
with op.get_context().autocommit_block():
    op.execute("CREATE INDEX CONCURRENTLY big_note ON big (note)")
    op.execute("CREATE INDEX CONCURRENTLY big_both ON big (id, note)")
op.execute("ALTER TABLE big ADD COLUMN more int")
"""
    bare(tmp_path).revision("a1", None, body)
    files = history.read(tmp_path)
    made = plan.make(files, Live(), Policy())
    measure = _measure(lab, postgres_server)
    apply.run(made, files, apply.Terms(url=lab.url, folder=tmp_path), watch=measure)

    (seen,) = measure.steps
    at = {lock.mode: lock.statement for lock in seen.locks if lock.relation == "public.big"}
    listed = [each.sql for each in seen.sent]
    assert "ADD COLUMN more" in listed[at["AccessExclusiveLock"] - 1]
    assert "CONCURRENTLY" in listed[at["ShareUpdateExclusiveLock"] - 1]


_SAVEPOINTS = """
connection = op.get_bind()
try:
    with connection.begin_nested():
        connection.execute(sa.text("INSERT INTO nothing VALUES (1)"))
except sa.exc.DBAPIError:
    op.execute("SAVEPOINT again")
try:
    op.execute("SELECT 1/0")
except sa.exc.DBAPIError:
    op.execute("ROLLBACK TO SAVEPOINT again")
op.execute("UPDATE big SET note = 'kept' WHERE id = 1")
"""


def test_a_live_revision_may_fail_and_go_on(
    lab: Lab, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Nothing is asked inside of a transaction that a failed statement has closed."""
    bare(tmp_path).revision("a1", None, _SAVEPOINTS)
    made = plan.make(history.read(tmp_path), Live(), Policy())
    measure = _measure(lab, postgres_server)
    terms = apply.Terms(url=lab.url, folder=tmp_path)
    apply.run(made, history.read(tmp_path), terms, watch=measure)

    (seen,) = measure.steps
    assert [each.sql.split(" sa_")[0] for each in seen.sent] == [
        "SAVEPOINT",
        "INSERT INTO nothing VALUES (1)",
        "ROLLBACK TO SAVEPOINT",
        "SAVEPOINT again",
        "SELECT 1/0",
        "ROLLBACK TO SAVEPOINT again",
        "UPDATE big SET note = 'kept' WHERE id = 1",
    ]
    assert all(each.seconds < 1 for each in seen.sent)
    assert lab.ask("SELECT note FROM big WHERE id = 1") == "kept"
