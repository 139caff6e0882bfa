"""What the live rows say of statements that depend on them: real rows, read-only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.schema import live, plan
from infra.schema.data_checks import live_rows
from infra.schema.model import Live, Policy, Revision
from infra.schema.options import parse
from tests.schema.applying import database, script
from tests.schema.linted import chain, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.data_checks.live_rows import Checked
    from infra.schema.review import DataCheck
    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_PASSWORD = "long enough 1"  # noqa: S105 - of a role of the test's own
_ROWS = """
CREATE TABLE clients (id bigint PRIMARY KEY, name text, vat text, parent bigint);
INSERT INTO clients SELECT g, 'client ' || g % 1000, 'DE' || g FROM generate_series(1, 2000) g;
CREATE TABLE tasks (id bigint PRIMARY KEY, client_id bigint, due_at timestamptz, state text,
    amount numeric, "from" date, "Odd ""name" text);
INSERT INTO tasks (id, client_id, state, amount)
    SELECT g, g, CASE WHEN g % 2 = 0 THEN 'open' ELSE 'done' END, g FROM generate_series(1, 2000) g;
CREATE INDEX by_state ON tasks (state);
CREATE TABLE nothing (id bigint, due_at date);
ANALYZE clients, tasks, nothing;
"""


@pytest.fixture(scope="module")
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database with rows that no test here changes."""
    with database(postgres_server) as made:
        made.execute(_ROWS)
        yield made


def checked(
    place: Place, *ups: str, down: str = "", options: Mapping[str, str] | None = None
) -> Checked:
    """Ask what the rows say of a plan of these upgrades, the last with a downgrade."""
    revisions = [Revision(id="", parents=(), upgrade=script(up)) for up in ups]
    if down:
        revisions[-1] = Revision(id="", parents=(), upgrade=script(ups[-1]), downgrade=script(down))
    files = chain(*revisions)
    there = live.read_for(files, url_of(place))
    made = plan.make(files, Live(database=there.database), Policy())
    return live_rows.check(made, files, there, url_of(place), parse(options or {}))


def said(place: Place, *ups: str) -> list[tuple[str, str]]:
    """Give outcome and text of each answer, those of the upgrades alone."""
    return [(c.outcome, c.text) for c in checked(place, *ups).checks if not c.undo]


def one(place: Place, *ups: str) -> DataCheck:
    """Give the one answer."""
    (found,) = checked(place, *ups).checks
    return found


def test_a_column_without_values_fails(place: Place) -> None:
    """SET NOT NULL over rows that are NULL is told in words, with the table's number of rows."""
    found = one(place, "ALTER TABLE tasks ALTER COLUMN due_at SET NOT NULL")

    assert found.outcome == "violated"
    assert found.text == "at least one of about 2,000 rows has no due_at: this will fail"
    assert found.live == ("public", "tasks")


_FAILS = {
    "ALTER TABLE tasks ADD due date NOT NULL": "would have no due",
    "ALTER TABLE tasks ADD due date DEFAULT NULL NOT NULL": "would have no due",
    "ALTER TABLE tasks ADD code int DEFAULT 0 UNIQUE": "has the same code as another",
    "ALTER TABLE tasks ADD CONSTRAINT few CHECK (amount < 100)": "violates the check few",
    "ALTER TABLE public.tasks ADD CHECK (tasks.state <> 'done')": "violates CHECK (",
    "ALTER TABLE tasks ADD FOREIGN KEY (id) REFERENCES clients (parent)": "that clients lacks",
    "ALTER TABLE clients ADD UNIQUE (name)": "has the same name as another",
    "ALTER TABLE tasks ADD PRIMARY KEY (due_at)": "has no due_at",
    "CREATE UNIQUE INDEX CONCURRENTLY i ON clients (lower(name)) WHERE id > 5": "lower(name)",
    "CREATE UNIQUE INDEX i ON clients USING btree ((name || '') COLLATE \"C\" DESC)": "another",
    "CREATE UNIQUE INDEX i ON tasks (due_at) NULLS NOT DISTINCT": "has the same due_at as another",
    "ALTER TABLE tasks ADD CONSTRAINT e EXCLUDE USING hash (state WITH =)": "the exclusion e",
    "ALTER TABLE clients ALTER vat TYPE int USING vat::int": "a value in vat that int can't take",
    "ALTER TABLE clients ALTER COLUMN vat TYPE varchar(3)": "in vat that varchar(3) can't take",
    "ALTER TABLE tasks ALTER amount SET DATA TYPE smallint USING (amount * 1000)": "smallint",
    'ALTER TABLE tasks ALTER "from" SET NOT NULL': "has no from",
    'ALTER TABLE tasks ALTER "Odd ""name" SET NOT NULL': 'has no "Odd ""name"',
    "CREATE TYPE s AS ENUM ('open'); ALTER TABLE tasks ALTER state TYPE s USING state::s": "new s",
    "ALTER TABLE clients ALTER id TYPE int USING id / 2": "the same id as another once id is int",
    "CREATE INDEX i ON clients ((1 / (id - 5)))": "values of which 1 / (id - 5) can't be computed",
    "ALTER TABLE tasks ADD x int GENERATED ALWAYS AS (1 / (id - 5)) STORED": "x can't be computed",
    "CREATE TYPE s AS ENUM ('open'); ALTER TABLE tasks ALTER state TYPE s"
    " USING (CAST(state::text AS s))": "new s lacks",
}


@pytest.mark.parametrize("sql", _FAILS)
def test_what_rows_violate_fails(place: Place, sql: str) -> None:
    """Each kind of statement is asked of the rows, and the first that violates it is enough."""
    found = checked(place, sql).checks

    assert [each.outcome for each in found if each.outcome != "holds"] == ["violated"]
    assert any(_FAILS[sql] in each.text for each in found)
    assert all("DE1" not in each.text for each in found)
    with pytest.raises(Exception, match=r".+"):  # PostgreSQL agrees
        place.execute("BEGIN; SET search_path = public;" + sql.replace("CONCURRENTLY", ""))


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE tasks ALTER client_id SET NOT NULL",
        "ALTER TABLE tasks ADD CONSTRAINT c CHECK (amount > 0 AND due_at IS NULL)",
        "ALTER TABLE tasks ADD CHECK (due_at > now())",
        "ALTER TABLE tasks ADD FOREIGN KEY (client_id) REFERENCES clients",
        "ALTER TABLE clients ADD FOREIGN KEY (parent) REFERENCES tasks (id) MATCH FULL",
        "ALTER TABLE clients ADD UNIQUE (vat)",
        "CREATE UNIQUE INDEX i ON tasks (due_at)",
        "CREATE UNIQUE INDEX i ON clients (name) WHERE id <= 1000",
        "ALTER TABLE tasks ADD EXCLUDE USING hash (id WITH =) WHERE (id < 50)",
        "ALTER TABLE clients ALTER vat TYPE varchar(6)",
        "ALTER TABLE clients ALTER vat TYPE int USING substr(vat, 3)::int",
        (
            "CREATE TYPE s AS ENUM ('open', 'done'); ALTER TABLE tasks ALTER state TYPE s"
            " USING state::text::s"
        ),
        "ALTER TABLE nothing ADD x int NOT NULL",
        "ALTER TABLE nothing ALTER due_at SET NOT NULL",
        (
            "ALTER TABLE tasks RENAME client_id TO customer; ALTER TABLE tasks RENAME TO jobs;"
            " ALTER TABLE jobs ALTER customer SET NOT NULL"
        ),
        "ALTER TABLE tasks RENAME amount TO cost; ALTER TABLE tasks ADD CHECK (cost > 0)",
        "UPDATE tasks SET state = 'open'; ALTER TABLE tasks ALTER client_id SET NOT NULL",
    ],
)
def test_what_no_row_violates_is_said(place: Place, sql: str) -> None:
    """A statement that the rows allow is told to be so, also where the plan renames first."""
    assert {(c.outcome, c.text) for c in checked(place, sql).checks} == {
        ("holds", "no row violates it")
    }
    place.execute(f"BEGIN; SET search_path = public; {sql}; ROLLBACK")


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE tasks ADD CONSTRAINT c CHECK (amount < 0) NOT VALID",
        "ALTER TABLE tasks ADD x int NOT NULL DEFAULT 0",
        "ALTER TABLE tasks ADD x int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE tasks ADD x bigserial NOT NULL",
        (
            "CREATE TABLE new (id int PRIMARY KEY, x int NOT NULL CHECK (x > 0)); "
            "ALTER TABLE new ALTER id SET NOT NULL"
        ),
        (
            "ALTER TABLE tasks ADD x int; ALTER TABLE tasks ADD UNIQUE (x);"
            " ALTER TABLE tasks ADD FOREIGN KEY (x) REFERENCES clients"
        ),
        "CREATE INDEX i ON tasks (due_at)",
        "ALTER TABLE tasks ALTER state TYPE varchar",
        "CREATE VIEW v AS SELECT * FROM tasks; ALTER VIEW v RENAME TO w",
        "ALTER TABLE tasks ADD COLUMN IF NOT EXISTS due_at date NOT NULL",
        "CREATE UNIQUE INDEX IF NOT EXISTS by_state ON tasks (state)",
        "ALTER TABLE IF EXISTS nowhere ALTER due_at SET NOT NULL",
    ],
)
def test_what_depends_on_no_row_is_no_question(place: Place, sql: str) -> None:
    """NOT VALID, defaults, new tables and new columns that may be NULL ask nothing."""
    assert checked(place, sql).checks == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            "UPDATE tasks SET due_at = now(); ALTER TABLE tasks ALTER due_at SET NOT NULL",
            (
                "not checked: an earlier statement of the plan changes these rows:"
                " UPDATE tasks SET due_at = now()"
            ),
        ),
        (
            (
                "WITH d AS (DELETE FROM tasks WHERE due_at IS NULL RETURNING id)"
                " SELECT count(*) FROM d;"
                " ALTER TABLE tasks ALTER due_at SET NOT NULL"
            ),
            (
                "not checked: an earlier statement of the plan changes these rows:"
                " WITH d AS (DELETE"
                " FROM tasks WHERE due_at IS NULL RETURNING…"
            ),
        ),
        (
            "DO $$ BEGIN END $$; ALTER TABLE tasks ALTER due_at SET NOT NULL",
            "not checked: an earlier statement of the plan may change any row: DO $$ BEGIN END $$",
        ),
        (
            "ALTER TABLE tasks ADD x int DEFAULT abs(1); ALTER TABLE tasks ADD CHECK (x > 0)",
            "not checked: an earlier statement of the plan makes the values of x",
        ),
        (
            "CREATE TABLE c AS SELECT * FROM clients; ALTER TABLE c ADD PRIMARY KEY (vat)",
            (
                "not checked: an earlier statement of the plan changes these rows:"
                " CREATE TABLE c AS"
                " SELECT * FROM clients"
            ),
        ),
        (
            "CREATE DOMAIN s AS text; ALTER TABLE tasks ALTER id TYPE s, ADD UNIQUE (id)",
            "not checked: an earlier statement of the plan makes the values of id",
        ),
    ],
)
def test_what_an_earlier_statement_changes_is_not_asked(place: Place, sql: str, why: str) -> None:
    """The live rows are not those that the statement will meet, and the answer says why."""
    assert ("unchecked", why) in said(place, sql)


def test_a_new_column_without_values_fails_unless_it_is_filled(place: Place) -> None:
    """ADD COLUMN and SET NOT NULL in one plan fail over any row, also across revisions."""
    add, set_ = "ALTER TABLE tasks ADD x int", "ALTER TABLE tasks ALTER x SET NOT NULL"

    assert said(place, add, set_) == [
        ("violated", "at least one of about 2,000 rows has no x: this will fail")
    ]
    ((outcome, text),) = said(place, add, "UPDATE tasks SET x = 1", set_)
    assert (outcome, text[:58]) == (
        "unchecked",
        "not checked: an earlier statement of the plan changes thes",
    )


def test_a_downgrade_that_the_rows_refuse_is_told(place: Place) -> None:
    """DROP COLUMN whose downgrade adds it NOT NULL without a default can't be undone over rows."""
    found = checked(
        place, "ALTER TABLE tasks DROP due_at", down="ALTER TABLE tasks ADD due_at date NOT NULL"
    ).checks

    assert [(each.undo, each.outcome, each.text) for each in found] == [
        (
            True,
            "violated",
            "at least one of about 2,000 rows would have no due_at: the downgrade would fail",
        )
    ]


def test_a_foreign_key_to_a_new_table_without_rows_fails(place: Place) -> None:
    """Values that are there already can refer to nothing in a table that the plan makes."""
    new = "CREATE TABLE owners (id bigint PRIMARY KEY);"
    key = "ALTER TABLE tasks ADD FOREIGN KEY (client_id) REFERENCES owners"

    assert said(place, new + key)[0][0] == "violated"
    filled = f"{new} INSERT INTO owners TABLE tasks; {key}"
    assert said(place, filled)[0][0] == "unchecked"


def test_questions_can_be_turned_off_and_statistics_answer(place: Place) -> None:
    """With dataChecks false nothing reads the table, and the planner's statistics are named."""
    sql = "ALTER TABLE tasks ALTER due_at SET NOT NULL; ALTER TABLE clients ADD UNIQUE (name)"
    found = checked(place, sql, options={"dataChecks": "false"}).checks

    assert [(each.outcome, each.text) for each in found] == [
        (
            "likely",
            (
                "not checked: dataChecks is false; by the planner's statistics 100% of about 2,000"
                " rows"
                " have no due_at: this will likely fail"
            ),
        ),
        (
            "likely",
            (
                "not checked: dataChecks is false; by the planner's statistics name has about 1,000"
                " values in about 2,000 rows: this will likely fail"
            ),
        ),
    ]


def test_a_question_that_takes_too_long_is_ended(postgres_server: PostgresServer) -> None:
    """The statement's limit and that of all questions are kept and named."""
    with database(postgres_server) as slow:
        slow.execute(
            "CREATE TABLE big (id int); INSERT INTO big SELECT generate_series(1, 50); ANALYZE big",
            "CREATE FUNCTION wait(int) RETURNS boolean LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(1); RETURN true; END'",
        )
        sql = "ALTER TABLE big ADD CHECK (wait(id))"
        short = {"dataCheckTimeout": "100ms"}
        assert [c.text for c in checked(slow, sql, options=short).checks] == [
            "not checked within 100 ms (about 50 rows)"
        ]
        all_ = {"dataCheckTimeout": "10s", "dataChecksTimeout": "200ms"}
        assert [c.text for c in checked(slow, sql, options=all_).checks] == [
            "not checked: the 200 ms for all checks are over; about 50 rows"
        ]


def test_row_security_hides_no_row(postgres_server: PostgresServer) -> None:
    """Where a policy would hide rows, the answer is that they were not checked, and why."""
    with database(postgres_server) as place_:
        place_.execute(
            "CREATE TABLE secret (id int, owner text); INSERT INTO secret VALUES (1, NULL)",
            "ALTER TABLE secret ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE secret FORCE ROW LEVEL SECURITY",
            "CREATE POLICY own ON secret USING (owner = current_user)",
            "DROP ROLE IF EXISTS checked_owner",
            f"CREATE ROLE checked_owner LOGIN PASSWORD '{_PASSWORD}'",
            "ALTER TABLE secret OWNER TO checked_owner",
        )
        login = replace(place_, user="checked_owner", password=_PASSWORD)
        (found,) = checked(login, "ALTER TABLE secret ALTER owner SET NOT NULL").checks
        place_.execute("DROP OWNED BY checked_owner", "DROP ROLE checked_owner")

    assert found.outcome == "unchecked"
    assert "row-level security" in found.text


def test_partitions_domains_and_constraints_of_before(postgres_server: PostgresServer) -> None:
    """Trees of partitions, domains, ATTACH and VALIDATE are asked of the right rows."""
    with database(postgres_server) as tree:
        tree.execute(
            "CREATE TABLE events (at date NOT NULL, kind text) PARTITION BY RANGE (at)",
            "CREATE TABLE old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2026-01-01')",
            "CREATE TABLE rest PARTITION OF events DEFAULT",
            "CREATE TABLE fresh (at date NOT NULL, kind text)",
            "INSERT INTO events VALUES ('2025-05-05', NULL), ('2027-03-03', 'a')",
            "INSERT INTO fresh VALUES ('2026-02-02', 'b')",
            "ALTER TABLE fresh ADD CONSTRAINT short CHECK (length(kind) > 1) NOT VALID",
            "ALTER TABLE fresh ADD CONSTRAINT full_ CHECK (kind IS NOT NULL)",
            "CREATE DOMAIN size AS int; CREATE TABLE boxes (id int, s size)",
            "INSERT INTO boxes VALUES (1, -1)",
            "ANALYZE",
        )

        def outcome(sql: str) -> list[str]:
            return [each.outcome for each in checked(tree, sql).checks]

        assert outcome("ALTER TABLE events ALTER kind SET NOT NULL") == ["violated"]
        assert outcome("ALTER TABLE rest ALTER kind SET NOT NULL") == ["holds"]
        assert outcome("ALTER TABLE fresh ALTER kind SET NOT NULL") == ["holds"]
        assert outcome("ALTER TABLE fresh VALIDATE CONSTRAINT short") == ["violated"]
        assert outcome("ALTER TABLE fresh VALIDATE CONSTRAINT full_") == []
        assert outcome(
            "ALTER TABLE fresh ADD CONSTRAINT n CHECK (kind = 'a') NOT VALID;"
            " ALTER TABLE fresh VALIDATE CONSTRAINT n"
        ) == ["violated"]
        attach = "ALTER TABLE events ATTACH PARTITION fresh FOR VALUES FROM ('{}') TO ('{}')"
        assert outcome(attach.format("2026-01-01", "2027-01-01")) == ["holds", "holds"]
        assert outcome(attach.format("2026-03-01", "2027-01-01")) == ["violated", "holds"]
        assert outcome(attach.format("2026-01-01", "2028-01-01")) == ["holds", "violated"]
        assert outcome(
            "CREATE TABLE y27 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO (MAXVALUE)"
        ) == ["violated"]
        assert outcome("ALTER DOMAIN size ADD CHECK (VALUE > 0)") == ["violated"]
        assert outcome("ALTER DOMAIN size ADD CHECK (VALUE < 0)") == ["holds"]
        assert outcome("ALTER DOMAIN size SET NOT NULL") == ["holds"]
        assert outcome("UPDATE old SET kind = 'x'; ALTER TABLE events ALTER kind SET NOT NULL") == [
            "unchecked"
        ]


def test_nothing_is_written_and_no_lock_is_left(place: Place) -> None:
    """A function with side effects is refused by the read-only transaction, and says so."""
    place.execute(
        "CREATE OR REPLACE FUNCTION writes(bigint) RETURNS boolean LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO nothing VALUES ($1); RETURN true; END'"
    )
    found = one(place, "ALTER TABLE tasks ADD CHECK (writes(id))")

    assert found.outcome == "unchecked"
    assert "read-only transaction" in found.text
    assert place.fetch("SELECT count(*) FROM nothing") == [(0,)]
