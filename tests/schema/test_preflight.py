"""What is in a plan's way at this moment, on a real server with real sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.schema import lint, live, plan
from infra.schema.model import Live, Policy
from infra.schema.options import parse
from infra.schema.preflight import disk, findings
from tests.schema.applying import database
from tests.schema.linted import chain, url_of
from tests.schema.sessions import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.linting.remark import Remark
    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_TAKEN = (
    "takes along constraint tasks_client_id_fkey on table tasks, materialized view many, view names"
)
_FULL = "public.far_id, which numbers public.far.id, is at 2,000,000,000 of 2,147,483,647 (93%)"
_PASSWORD = "long enough 1"  # noqa: S105 - of a role of the tests' own


@pytest.fixture(scope="module")
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database with tables that refer to each other."""
    with database(postgres_server) as made:
        made.execute(
            "CREATE TABLE clients (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)",
            "CREATE TABLE tasks (id serial PRIMARY KEY, client_id int REFERENCES clients)",
            "CREATE TABLE notes (id bigint, task_id int REFERENCES tasks)",
            "CREATE VIEW names AS SELECT name FROM clients",
            "CREATE MATERIALIZED VIEW many AS SELECT * FROM names",
            "CREATE TYPE mood AS ENUM ('good'); CREATE TABLE days (m mood, n int)",
            'CREATE SCHEMA "odd one"; CREATE TABLE "odd one"."T 1" (id int)',
            "CREATE TABLE parts (id int) PARTITION BY RANGE (id)",
            "CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (9)",
            "INSERT INTO clients (name) SELECT repeat('x', 100) FROM generate_series(1, 1000)",
            "VACUUM ANALYZE clients",
        )
        yield made


def _look(place: Place, *ups: str, **chosen: str) -> list[Remark]:
    files = chain(*ups)
    there = live.read_for(files, url_of(place))
    made = plan.make(files, Live(database=there.database), Policy())
    return list(findings.look(made, files, there, url_of(place), parse(chosen)))


def _said(place: Place, *ups: str, **chosen: str) -> list[tuple[str, str]]:
    found = _look(place, *ups, **chosen)
    return [(e.rule, e.message) for e in found if e.rule != "replication-slot-behind"]


def test_nothing_is_in_the_way_of_a_quiet_server(place: Place) -> None:
    """Without sessions, CASCADE and full sequences there is nothing to say."""
    assert _said(place, "ALTER TABLE tasks ADD x int") == []


def test_an_old_transaction_on_the_table_is_named(place: Place) -> None:
    """With process, role, application, lock, age and query, whose texts are left out."""
    query = "SELECT id, 'secret' FROM tasks WHERE 'a@b.c' <> ''"
    with session(place, query) as pid:
        ((rule, message),) = _said(place, "ALTER TABLE tasks ADD x int", longTransaction="0")
        other = _said(place, "ALTER TABLE notes ADD x int", longTransaction="0")
        young = _said(place, "ALTER TABLE tasks ADD x int", longTransaction="1h")

    assert rule == "long-transaction"
    assert message.startswith(
        f"process {pid} of {place.user} (shop) has held AccessShareLock on public.tasks for "
    )
    assert message.endswith(", idle in transaction: SELECT id, '…' FROM tasks WHERE '…' <> '…'")
    assert other == []
    assert young == []


def test_a_lock_on_a_partition_and_on_the_table_referred_to_counts(place: Place) -> None:
    """ALTER TABLE of the parent waits for it, and so does a new foreign key."""
    with session(place, "SELECT * FROM part1"):
        assert [
            rule for rule, _ in _said(place, "ALTER TABLE parts ADD x int", longTransaction="0")
        ] == ["long-transaction"]
    with session(place, "INSERT INTO clients (name) VALUES ('a')"):
        key = "ALTER TABLE notes ADD c int REFERENCES clients"
        assert [rule for rule, _ in _said(place, key, longTransaction="0")] == ["long-transaction"]


def test_a_snapshot_matters_only_where_something_is_concurrent(place: Place) -> None:
    """CONCURRENTLY waits for every older snapshot of the database, other statements don't."""
    begin = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1")
    with session(place, *begin):
        plain = _said(place, "CREATE INDEX i ON tasks (id)", longTransaction="0")
        ((rule, message),) = _said(
            place, "CREATE INDEX CONCURRENTLY i ON tasks (id)", longTransaction="0"
        )

    assert plain == []
    assert rule == "long-transaction"
    assert "which CONCURRENTLY waits for" in message


def test_a_dump_is_named_as_one(place: Place) -> None:
    """However young it is: it holds its locks to its end."""
    with session(place, "LOCK TABLE tasks IN ACCESS SHARE MODE", name="pg_dump"):
        assert [rule for rule, _ in _said(place, "DROP TABLE tasks")] == ["dump-or-vacuum-running"]


def test_a_role_that_may_not_see_ages_is_told_so(place: Place) -> None:
    """What is still there a second later is told with its process and its lock."""
    place.execute(
        "DROP ROLE IF EXISTS looks",
        f"CREATE ROLE looks LOGIN PASSWORD '{_PASSWORD}'",
    )
    login = replace(place, user="looks", password=_PASSWORD)
    with session(place, "SELECT * FROM tasks") as pid:
        ((rule, message),) = _said(login, "ALTER TABLE tasks ADD x int")
    place.execute("DROP ROLE looks")

    assert rule == "long-transaction"
    assert message.startswith(f"process {pid} of {place.user} (shop) has held AccessShareLock on")
    assert (
        "for at least 1 s; its age and query are shown to members of pg_read_all_stats" in message
    )


@pytest.mark.parametrize(
    ("sql", "reached"),
    [
        ("TRUNCATE clients CASCADE", "empties table notes, table tasks"),
        (
            "DROP TABLE clients CASCADE",
            _TAKEN,
        ),
        ("DROP TYPE mood CASCADE", "takes along column m of table days"),
        ('DROP SCHEMA "odd one" CASCADE', 'takes along table "odd one"."T 1"'),
        ("DROP TABLE parts CASCADE", "takes along table part1"),
    ],
)
def test_what_a_cascade_reaches_is_listed(place: Place, sql: str, reached: str) -> None:
    """Through foreign keys, views on views, columns of a type, partitions and schemas."""
    ((rule, message),) = _said(place, sql)
    assert rule == "cascade-reaches"
    assert message.endswith(reached)
    assert _said(place, sql.replace(" CASCADE", "")) == []


def test_a_sequence_near_its_end_is_told(place: Place) -> None:
    """Of an int column, although the sequence itself could go on; and of the plan's tables only."""
    place.execute(
        "CREATE TABLE far (id int NOT NULL, n int); CREATE SEQUENCE far_id OWNED BY far.id;"
        " SELECT setval('far_id', 2000000000)"
    )
    assert _said(place, "ALTER TABLE far ADD x int") == [
        ("sequence-nearly-used-up", _FULL),
    ]
    assert _said(place, "ALTER TABLE tasks ADD x int") == []


def test_a_slot_that_nobody_uses_is_told(place: Place) -> None:
    """With the WAL that it keeps."""
    place.execute("SELECT pg_create_physical_replication_slot('left_over', true)")
    try:
        found = _look(place, "ALTER TABLE tasks ADD x int")
    finally:
        place.execute("SELECT pg_drop_replication_slot('left_over')")

    assert [each.rule for each in found] == ["replication-slot-behind"]
    assert found[0].message.startswith("the replication slot left_over is inactive, and keeps")


def test_too_little_space_for_a_rewrite_is_an_error(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the data directory is on this machine; elsewhere nothing is said of it."""
    sql = "ALTER TABLE clients ALTER name TYPE bytea USING name::bytea"
    assert _said(place, sql) == []
    monkeypatch.setattr(disk, "free", lambda *_: 1000)
    ((rule, message),) = _said(place, sql)
    assert rule == "not-enough-space"
    assert "rewriting public.clients takes about" in message
    assert "and 1.0 kB are free" in message
    assert _said(place, "ALTER TABLE clients ALTER name TYPE text") == []


def test_free_space_is_that_of_the_servers_own_folder(place: Place) -> None:
    """Read from the process of our own session; nothing of a process that is no server."""
    with session(place, "SELECT 1") as pid:
        assert (disk.free(pid, "") or 0) > 0
    assert disk.free(1, "") is None


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("ALTER ROLE a PASSWORD 'x'", "ALTER ROLE a PASSWORD '…'"),
        ("SELECT E'a\\'b', $$c$$\n FROM t", "SELECT '…', '…' FROM t"),
        ("SELECT 'never ends", "SELECT …"),
        ("SELECT 1 FROM t WHERE card = 4111111111111111", "SELECT 1 FROM t WHERE card = …"),
        ("SELECT " + "a, " * 100, ("SELECT " + "a, " * 100)[:99] + "…"),
    ],
)
def test_queries_are_shown_without_their_texts(query: str, shown: str) -> None:
    """Passwords and people's data stay where they are."""
    assert findings.redacted(query) == shown


def test_levels_are_those_of_lint(place: Place) -> None:
    """The stack's lint_levels raise, lower or silence what is found; lint off looks at nothing."""
    found = _look(place, "TRUNCATE clients CASCADE")
    made = plan.make(chain("TRUNCATE clients CASCADE"), Live(), Policy())
    for level in ("error", "note"):
        options = parse({"lint_levels": f"cascade-reaches={level}"})
        (told,) = (e for e in lint.told(found, made, options) if e.rule == "cascade-reaches")
        assert (told.level, told.revision) == (level, "r1")
    off = parse({"lint_levels": "cascade-reaches=off"})
    assert not [e for e in lint.told(found, made, off) if e.rule == "cascade-reaches"]
