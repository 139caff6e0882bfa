"""Applying rendered revisions: one transaction each, with ledger and version, on a real server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from infra.errors import GroundworkError
from infra.schema import ledger, live
from infra.schema.errors import LedgerError, MigrationError, MovedError, StoppedError
from infra.schema.model import History, Plan
from infra.schema.running.progress import line
from tests.migrations.place import quoted
from tests.schema.applying import Lab, database, revision, script, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place


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


def test_revisions_run_in_order_with_ledger_and_version(place: Place) -> None:
    """Each leaves its row in the ledger, and the version table is where Alembic would have it."""
    lab = _lab(
        place,
        revision(
            "aaaa", script("CREATE TABLE one (id int)"), message='it\'s "one" 🐘', file="a.py"
        ),
        revision("bbbb", script("ALTER TABLE one ADD note text"), "aaaa"),
    )

    outcome = lab.up("aaaa", "bbbb")

    assert outcome.applied == ("aaaa", "bbbb")
    assert outcome.heads == lab.heads() == ("bbbb",)
    assert lab.events() == [("aaaa", "up", "done"), ("bbbb", "up", "done")]
    assert lab.ask("SELECT message FROM schema_ledger.events WHERE revision = 'aaaa'") == (
        'it\'s "one" 🐘'
    )
    assert line(lab.told[0]) == '1/2 aaaa it\'s "one" 🐘'
    assert lab.ask("SELECT heads FROM schema_ledger.catalogs") == ["bbbb"]


def test_a_failing_revision_is_undone_and_the_ones_before_it_are_kept(place: Place) -> None:
    """The error names revision, statement, PostgreSQL's words, and what is kept."""
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision(
            "bbbb",
            script(together("ALTER TABLE one ADD a int", "SELECT 1;", "CREATE TABLE one (x int)")),
            "aaaa",
            message="breaks",
        ),
    )

    with pytest.raises(MigrationError) as caught:
        lab.up("aaaa", "bbbb")

    said = str(caught.value)
    assert "Revision bbbb (breaks) failed on" in said
    assert "statement 3 of 3: CREATE TABLE one (x int)" in said
    assert 'PostgreSQL said (42P07): relation "one" already exists' in said
    assert "It was undone. One revision is finished and kept: the database is at aaaa." in said
    assert (caught.value.revision, caught.value.sqlstate) == ("bbbb", "42P07")
    assert caught.value.applied == ("aaaa",)
    assert lab.heads() == ("aaaa",)
    assert lab.ask("SELECT count(*) FROM pg_attribute WHERE attname = 'a' AND attnum > 0") == 0


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("SELEC 'é🐘'", 2),
        ("SELECT 'é🐘', nowhere", 2),
        ("SELECT 1 / 0", 2),
        ("DO $$ BEGIN PERFORM 1; RAISE 'no; way'; END $$", 2),
        ("INSERT INTO one VALUES (1), (1)", 2),
    ],
)
def test_the_failing_statement_is_named(place: Place, statement: str, number: int) -> None:
    """Whether PostgreSQL stumbles in reading or in running it."""
    lab = _lab(
        place,
        revision(
            "aaaa",
            script(
                together("CREATE TABLE one (id int UNIQUE) -- 🐘;"),
                together(f"-- what follows fails\n{statement}", "SELECT 3"),
            ),
        ),
    )

    with pytest.raises(MigrationError) as caught:
        lab.up("aaaa")

    assert f"statement {number} of 3: {statement[:20]}" in str(caught.value)
    assert (
        "No revision was finished. The ledger was made (schema schema_ledger), and stays."
        in str(caught.value)
    )
    assert lab.ask("SELECT to_regclass('one')") is None
    assert lab.heads() == ()


def test_rows_are_not_quoted_in_an_error(place: Place) -> None:
    """The detail of an integrity error holds data, and stays out."""
    lab = _lab(
        place,
        revision(
            "aaaa",
            script("CREATE TABLE one (id text UNIQUE)", "INSERT INTO one VALUES ('Ada'), ('Ada')"),
        ),
    )

    with pytest.raises(MigrationError, match="duplicate key value") as caught:
        lab.up("aaaa")
    assert "Ada)" not in str(caught.value)
    assert "DETAIL" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 -- ends with a comment",
        "SELECT 1;",
        "SELECT 1; -- and one",
        "/* only a comment */",
        "",
        "DO $$ BEGIN PERFORM 1; PERFORM 2; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "SELECT ';', E'\\';', '\\', $a$;$b$;$a$",
        "COPY (SELECT 1) TO STDOUT",
        "SELECT 1; SELECT 2; SELECT 3",
    ],
)
def test_any_form_of_statement_is_sent_as_it_stands(place: Place, statement: str) -> None:
    """Comments, semicolons inside, several statements in one, results that nobody reads."""
    lab = _lab(place, revision("aaaa", script(together(statement, "CREATE TABLE after (id int)"))))

    lab.up("aaaa")

    assert lab.ask("SELECT to_regclass('after')::text") == "after"
    assert lab.heads() == ("aaaa",)


@pytest.mark.parametrize(
    "setting",
    [
        "SET search_path = ''",
        "SELECT set_config('search_path', '', false)",
        "SET search_path = other",
        "SET ROLE weak",
        "SET SESSION AUTHORIZATION weak",
        "SET LOCAL ROLE weak",
        "SET standard_conforming_strings = off",
        "SET check_function_bodies = off; SET row_security = off",
        "RESET ALL",
        "SET client_min_messages = error; SET statement_timeout = 0; SET timezone = 'Asia/Tokyo'",
        "SET session_replication_role = replica",
        "DISCARD PLANS",
    ],
)
def test_what_a_revision_sets_ends_with_it(place: Place, setting: str) -> None:
    """Neither the bookkeeping nor the next revision feels it."""
    role = f"weak_{place.database[-8:]}"
    place.execute(f"CREATE ROLE {role}", "CREATE SCHEMA other")
    settings = "concat_ws(',', current_user, current_setting('search_path'), current_setting("
    settings += "'TimeZone'), current_setting('standard_conforming_strings'))"
    lab = _lab(
        place,
        revision("aaaa", script(f"CREATE TABLE one AS SELECT {settings} AS settings")),
        revision("bbbb", script(setting.replace("weak", role)), "aaaa"),
        revision("cccc", script(f"INSERT INTO one SELECT {settings}"), "bbbb"),
    )

    lab.up("aaaa", "bbbb", "cccc")

    assert lab.heads() == ("cccc",)
    assert lab.ask("SELECT count(DISTINCT settings) FROM one") == 1
    assert lab.ask("SELECT count(*) FROM one") == 2
    assert lab.ask("SELECT string_agg(DISTINCT role, ',') FROM schema_ledger.events") == place.user
    assert len(lab.events()) == 3
    place.execute(f"DROP ROLE {role}")


def test_the_prologue_of_env_py_stands_before_each_revision(place: Place) -> None:
    """Its search_path decides where unqualified names and the version table go."""
    prologue = ('CREATE SCHEMA IF NOT EXISTS "App 🐘"', 'SET search_path TO "App 🐘"')
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("ALTER TABLE one ADD note text; SET search_path = ''"), "aaaa"),
        revision("cccc", script("ALTER TABLE one ADD more text"), "bbbb"),
        prologue=prologue,
        version_schema="",
    )

    lab.up("aaaa", "bbbb", "cccc")

    assert lab.ask('SELECT count(*) FROM "App 🐘".one') == 0
    assert lab.ask('SELECT version_num FROM "App 🐘".alembic_version') == "cccc"
    assert lab.ask("SELECT DISTINCT version_table FROM schema_ledger.events") == (
        '"App 🐘".alembic_version'
    )


def test_a_prologue_that_sets_a_role_makes_it_the_owner(place: Place) -> None:
    """The version table is the role's as with Alembic; the ledger stays the login's."""
    owner = f"owner_{place.database[-8:]}"
    place.execute(f"CREATE ROLE {owner}", f"GRANT CREATE ON SCHEMA public TO {owner}")
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("RESET ROLE"), "aaaa"),
        prologue=(f"SET ROLE {owner}",),
    )

    lab.up("aaaa", "bbbb")

    owners = "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE schemaname = '{}'"
    assert lab.ask(owners.format("public")) == owner
    assert lab.ask(owners.format("schema_ledger")) == place.user
    assert lab.heads() == ("bbbb",)
    place.execute(f"DROP OWNED BY {owner}", f"DROP ROLE {owner}")


def test_a_prologue_that_fails_is_told(place: Place) -> None:
    """Before anything ran, with its own words."""
    lab = _lab(place, revision("aaaa", script("SELECT 1")), prologue=("SET ROLE nobody_at_all",))

    with pytest.raises(GroundworkError, match=r"what env\.py sends before .*nobody_at_all"):
        lab.up("aaaa")


@pytest.mark.parametrize(
    "id_", ["it's", 'quo"te', "sp ace", "🐘é", "$groundwork$", "%s", "a" * 32, "\\", "x$groundwork"]
)
def test_any_id_is_written_as_it_is(place: Place, id_: str) -> None:
    """Quotes, dollars, emoji: into the version table and into the ledger."""
    message = f"say {id_} -- /* $$"
    lab = _lab(
        place,
        revision(id_, script("SELECT 1"), message=message, file=f"{id_}.py"),
        revision("bbbb", script("SELECT 1"), id_),
    )

    lab.up(id_)
    assert lab.heads() == (id_,)
    lab.up("bbbb")

    assert lab.events() == [(id_, "up", "done"), ("bbbb", "up", "done")]
    assert lab.ask("SELECT message FROM schema_ledger.events ORDER BY id") == message


def test_an_id_too_long_for_alembics_table_is_refused_before_anything_runs(place: Place) -> None:
    """And taken where somebody widened the column."""
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("b" * 33, script("SELECT 1"), "aaaa"),
    )

    with pytest.raises(MigrationError, match=r"33 char.*would hold 32.*Nothing was changed"):
        lab.up("aaaa", "b" * 33)
    assert lab.ask("SELECT to_regclass('one')") is None

    lab.up("aaaa")
    place.execute("ALTER TABLE alembic_version ALTER version_num TYPE text")
    lab.up("b" * 33)
    assert lab.heads() == ("b" * 33,)


@pytest.mark.parametrize("table", ['vers"ion', "Version Table", "🐘", "user"])
def test_any_name_of_the_version_table(place: Place, table: str) -> None:
    """In a schema of its own, too."""
    place.execute('CREATE SCHEMA "sch\'ema"')
    lab = _lab(
        place,
        revision("aaaa", script("SELECT 1")),
        version_table=table,
        version_schema="sch'ema",
    )

    lab.up("aaaa")

    assert lab.heads() == ("aaaa",)
    assert (
        live.read(lab.url, version_table=table, version_schema="sch'ema", catalog=False)
        .applied["aaaa"]
        .finished
    )


def test_branches_merges_and_the_way_back_keep_the_rows_that_alembic_would(place: Place) -> None:
    """Two rows for two branches, one after the merge, and the same backwards."""
    back = {"downgrade": script("SELECT 1")}
    lab = _lab(
        place,
        revision("base", script("SELECT 1"), **back),
        revision("left", script("SELECT 1"), "base", **back),
        revision("right", script("SELECT 1"), "base", **back),
        revision("merge", script("SELECT 1"), "left", "right", **back),
    )

    lab.up("base", "left", "right")
    assert lab.heads() == ("left", "right")
    lab.up("merge")
    assert lab.heads() == ("merge",)
    lab.run(lab.plan("merge", "right", direction="down"))
    assert lab.heads() == ("left",)
    lab.run(lab.plan("left", "base", direction="down"))
    assert lab.heads() == ()
    assert lab.ask("SELECT to_regclass('alembic_version')::text") == "alembic_version"
    down = "SELECT count(*) FROM schema_ledger.events WHERE direction = 'down' AND state = 'done'"
    assert lab.ask(down) == 4


def test_the_way_back_is_kept_in_the_ledger(place: Place) -> None:
    """What takes a revision back is there without its file, for an up and for a broken down."""
    undo = script(together('DROP TABLE one -- it\'s "gone" 🐘'))
    lab = _lab(place, revision("aaaa", script("CREATE TABLE one (id int)"), downgrade=undo))

    lab.up("aaaa")
    assert live.read(lab.url, catalog=False).applied["aaaa"].downgrade == undo
    lab.run(lab.plan("aaaa", direction="down"))
    assert live.read(lab.url, catalog=False).applied == {}
    assert lab.ask("SELECT to_regclass('one')") is None


def test_a_database_that_is_elsewhere_is_left_alone(place: Place) -> None:
    """The plan's beginning is compared under the lock."""
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("CREATE TABLE two (id int)"), "aaaa"),
    )
    plan = lab.plan("aaaa", "bbbb")
    lab.up("aaaa")

    with pytest.raises(MovedError, match="planned from base, and it is at aaaa") as caught:
        lab.run(plan)

    assert (caught.value.planned, caught.value.found) == ((), ("aaaa",))
    assert lab.ask("SELECT to_regclass('two')") is None


def test_a_version_that_moves_meanwhile_stops_the_run(place: Place) -> None:
    """Another hand that stamps between two revisions is found by the next one."""
    meddle = "UPDATE alembic_version SET version_num = 'cccc'"
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)")),
        revision("bbbb", script("CREATE TABLE two (id int)"), "aaaa"),
        revision("cccc", script("SELECT 1"), "bbbb"),
    )
    told = lab.told

    def stop() -> bool:
        if any(each.state == "done" for each in told):
            hand = threading.Thread(target=place.execute, args=(meddle,))
            hand.start()
            hand.join()
        return False

    with pytest.raises(MovedError, match="planned from aaaa, and it is at cccc") as caught:
        lab.run(lab.plan("aaaa", "bbbb"), cancelled=stop)

    assert caught.value.applied == ("aaaa",)
    assert lab.ask("SELECT to_regclass('two')") is None


def test_a_run_stops_between_revisions_when_asked(place: Place) -> None:
    """What is finished is kept, and the next run goes on."""
    lab = _lab(
        place,
        revision("aaaa", script("SELECT 1")),
        revision("bbbb", script("SELECT 1"), "aaaa"),
        revision("cccc", script("SELECT 1"), "bbbb"),
    )
    told = lab.told
    plan = lab.plan("aaaa", "bbbb", "cccc")

    with pytest.raises(StoppedError, match="before revision bbbb; 2 are left") as caught:
        lab.run(plan, cancelled=lambda: any(each.state == "done" for each in told))

    assert caught.value.applied == ("aaaa",)
    assert lab.up("bbbb", "cccc").heads == ("cccc",)


def test_a_stamp_writes_down_what_is_there(place: Place) -> None:
    """Nothing runs; ledger and version say what they are told, with the way back of the files."""
    place.execute("CREATE TABLE one (id int)")
    lab = _lab(
        place,
        revision("aaaa", script("CREATE TABLE one (id int)"), message="first"),
        revision("bbbb", script("ALTER TABLE one ADD note text"), "aaaa"),
        revision("cccc", script("ALTER TABLE one ADD more text"), "bbbb"),
    )
    lab_plan = _from_bbbb(lab)

    outcome = lab.run(lab_plan)

    assert (outcome.stamped, outcome.applied) == (("aaaa", "bbbb"), ("cccc",))
    assert lab.events() == [
        ("aaaa", "stamp", "done"),
        ("bbbb", "stamp", "done"),
        ("cccc", "up", "done"),
    ]
    found = live.read(lab.url, catalog=False).applied
    assert (found["bbbb"].sha256, found["bbbb"].needs) == ("", ("aaaa",))


def _from_bbbb(lab: Lab) -> Plan:
    """Plan to take bbbb as there, and to run cccc."""
    place = lab.place
    place.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
    place.execute("INSERT INTO alembic_version VALUES ('bbbb')")
    steps = lab.plan("cccc").steps
    place.execute("DROP TABLE alembic_version")
    return Plan(steps=steps, before=(), after=("cccc",), stamp=("aaaa", "bbbb"))


def test_a_plan_without_steps_records_the_catalog(place: Place) -> None:
    """So that a change by hand, once accepted, is what the next comparison begins with."""
    lab = _lab(place, revision("aaaa", script("CREATE TABLE one (id int)")))
    lab.up("aaaa")
    place.execute("ALTER TABLE one ADD by_hand text")

    outcome = lab.run(lab.plan())

    assert (outcome.applied, outcome.warnings) == ((), ())
    now = live.read(lab.url)
    assert now.recorded == now.catalog


def test_a_role_that_may_not_make_the_ledger_is_told_which_grant_it_needs(place: Place) -> None:
    """Nothing is changed before that."""
    role = f"poor {place.database[-8:]}"
    place.execute(
        f"CREATE ROLE {quoted(role)} LOGIN PASSWORD 'poor'",
        f"GRANT CREATE ON SCHEMA public TO {quoted(role)}",
    )
    lab = _lab(place.as_user(role, "poor"), revision("aaaa", script("CREATE TABLE one (id int)")))
    plan = lab.plan("aaaa")

    with pytest.raises(LedgerError) as caught:
        lab.run(plan)
    grant = str(caught.value).partition("owner of the database: ")[2]
    assert grant == f"GRANT CREATE ON DATABASE {quoted(place.database)} TO {quoted(role)};"
    assert lab.ask("SELECT to_regclass('one')") is None

    place.execute(ledger.CREATE)
    with pytest.raises(LedgerError, match=r"lacks INSERT on schema_ledger\.catalogs") as caught:
        lab.run(plan)
    place.execute(str(caught.value).partition("As the owner of it: ")[2])
    assert lab.run(plan).heads == ("aaaa",)
    place.execute(f"DROP OWNED BY {quoted(role)} CASCADE", f"DROP ROLE {quoted(role)}")


def test_deferred_constraints_are_checked_before_a_revision_counts(place: Place) -> None:
    """A COMMIT that fails leaves neither the revision nor its version."""
    lab = _lab(
        place,
        revision(
            "aaaa",
            script(
                "CREATE TABLE one (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
                "INSERT INTO one VALUES (1), (1)",
            ),
        ),
    )

    with pytest.raises(MigrationError, match="duplicate key"):
        lab.up("aaaa")
    assert lab.heads() == ()
    assert lab.ask("SELECT to_regclass('one')") is None


@pytest.mark.parametrize(
    ("more", "seconds"), [({}, "1s"), ({"lock_timeout": "2s", "statement_timeout": "3s"}, "2s")]
)
def test_timeouts_are_the_revisions_own_or_the_runs(
    place: Place, more: dict[str, str], seconds: str
) -> None:
    """A revision that declares one has it, and the next one has the run's again."""
    sees = "CREATE TABLE {} AS SELECT current_setting('lock_timeout') AS t"
    lab = _lab(
        place,
        revision("aaaa", script(sees.format("one")), **more),
        revision("bbbb", script(sees.format("two")), "aaaa"),
    )

    lab.up("aaaa", "bbbb", lock_timeout="1s")

    assert lab.ask("SELECT t FROM one") == seconds
    assert lab.ask("SELECT t FROM two") == "1s"


def test_timeouts_of_the_role_stay_where_the_run_chooses_none(place: Place) -> None:
    """Five seconds and an hour are for those who say nothing."""
    sees = "SELECT current_setting('lock_timeout') || current_setting('statement_timeout') AS t"
    place.execute(f"ALTER DATABASE {quoted(place.database)} SET lock_timeout = '7s'")
    lab = _lab(place, revision("aaaa", script(f"CREATE TABLE one AS {sees}")))

    lab.up("aaaa")

    assert lab.ask("SELECT t FROM one") == "7s1h"
