"""What a rehearsal tells, and what it does not touch: real servers on both sides."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.schema import history, node, plan, plan_review, rehearse
from infra.schema.errors import HistoryError, RehearsalError
from infra.schema.model import Policy
from infra.schema.options import Options
from tests.review.cases import Case
from tests.review.making import stage

if TYPE_CHECKING:
    from infra.schema.review import Rehearsal
    from tests.conftest import PostgresServer
    from tests.review.making import Stage


pytestmark = pytest.mark.long


def _rehearsed(made: Stage, **chosen: str) -> Rehearsal:
    found = made.review(**chosen).rehearsal
    assert found is not None
    return found


def _servers() -> set[str]:
    """The throwaway servers that this process has started, by their data directories."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if parent == os.getpid():
            found |= {word.decode() for word in words if b"groundwork-throwaway-" in word}
    return found


def test_a_rehearsal_changes_nothing_and_leaves_nothing(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The live database is as before, and no server stays behind."""
    case = Case(says="x", up="op.execute('DROP TABLE tasks')", down="pass")
    before = _servers()
    with stage(case, postgres_server, tmp_path) as made:
        rows = "SELECT count(*) FROM tasks"
        seen = _rehearsed(made)
        assert made.live.fetch(rows) == [(50_000,)]
        assert made.live.fetch("SELECT version_num FROM alembic_version") == [("1a",)]

    assert seen.failure == ""
    assert seen.rows["public.tasks"] == 50_000
    assert _servers() <= before


@pytest.mark.usefixtures("shared_server")
def test_what_was_changed_by_hand_is_there_too(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A column that somebody added fails the revision that adds it, as it would for real."""
    case = Case(
        says="phones",
        up="op.execute('ALTER TABLE clients ADD COLUMN phone text')",
        by_hand="ALTER TABLE clients ADD COLUMN phone text",
    )
    with stage(case, postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    assert seen.failure.startswith("The rehearsal failed in revision 2b (phones), statement 1:")
    assert "(42701)" in seen.failure
    assert "ALTER TABLE clients ADD COLUMN phone text" in seen.failure
    assert "nothing in it was changed" in seen.failure
    assert seen.steps[-1].failure.startswith("PostgreSQL said (42701): column")


@pytest.mark.parametrize(
    ("up", "where"),
    [
        ("op.execute('SELECT pg_sleep(3600)')", "statement 1: SELECT pg_sleep(3600)"),
        ("import time; time.sleep(3600)", "which runs live"),
        ("op.get_bind().execute(sa.text('SELECT pg_sleep(3600)'))", "which runs live"),
    ],
)
@pytest.mark.usefixtures("deadline")
def test_a_revision_that_sleeps_for_ever_is_ended(
    postgres_server: PostgresServer, tmp_path: Path, up: str, where: str
) -> None:
    """At the deadline, with its name; neither a server nor its process stays behind."""
    before = _servers()
    with stage(Case(says="asleep", up=up), postgres_server, tmp_path) as made:
        begin = time.monotonic()
        seen = _rehearsed(made, rehearse_timeout="60s")

    assert "ended after 60s in revision 2b" in seen.failure
    assert where in seen.failure
    assert time.monotonic() - begin < 300
    assert _servers() <= before


@pytest.mark.parametrize(
    ("limit", "where"), [("1ms", "the throwaway server was made"), ("20s", "rows were made up")]
)
def test_the_deadline_holds_before_the_first_revision_too(
    postgres_server: PostgresServer, tmp_path: Path, limit: str, where: str
) -> None:
    """What takes too long is told, be it the server, the remaking or the rows."""
    before = _servers()
    case = Case(says="x", up="op.execute('SELECT 1')")
    with stage(case, postgres_server, tmp_path) as made:
        if "rows" in where:  # a check that takes its time for each row
            made.live.execute(
                "CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_sleep(5); RETURN true; END'",
                "CREATE TABLE slowly (id int CHECK (slow(id)))",
            )
        begin = time.monotonic()
        with pytest.raises(RehearsalError, match=f"ended after {limit} while {where}"):
            made.review(rehearse_timeout=limit, rehearse_rows="1000")

    assert time.monotonic() - begin < 300
    assert _servers() <= before


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("deadline", [10.0], indirect=True)
def test_a_way_back_that_never_ends_is_told(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """At the deadline, with its statement; what was seen before is kept."""
    case = Case(says="x", up="op.execute('SELECT 1')", down="op.execute('SELECT pg_sleep(3600)')")
    with stage(case, postgres_server, tmp_path) as made:
        seen = _rehearsed(made, rehearse_timeout="60s")

    assert seen.failure == ""
    assert seen.unreturned == (
        "the downgrade of 2b did not end in time, in revision 2b, statement 1:"
        " SELECT pg_sleep(3600)"
    )


@pytest.mark.usefixtures("shared_server")
def test_a_program_that_is_left_running_holds_nobody_up(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A revision that starts one, and forgets it, is finished when it is itself."""
    up = "import subprocess\nforgotten = subprocess.Popen(['sleep', '120'])"
    with stage(Case(says="x", up=up), postgres_server, tmp_path) as made:
        begin = time.monotonic()
        seen = _rehearsed(made)

    assert seen.failure == ""
    assert time.monotonic() - begin < 100


@pytest.mark.usefixtures("deadline")
def test_what_a_revision_waits_for_ends_with_it(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """At the deadline the programs that it has started end too."""
    mark = f"3600.{os.getpid()}"
    up = f"import subprocess\nsubprocess.run(['sleep', '{mark}'])"
    with stage(Case(says="x", up=up), postgres_server, tmp_path) as made:
        seen = _rehearsed(made, rehearse_timeout="60s")

    assert "ended after 60s in revision 2b, which runs live" in seen.failure
    assert not [
        process
        for process in Path("/proc").glob("[0-9]*/cmdline")
        if mark.encode() in process.read_bytes()
    ]


@pytest.mark.usefixtures("shared_server")
def test_an_extension_that_is_missing_is_named(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The failing statement and PostgreSQL's words say which."""
    case = Case(says="maps", up="op.execute('CREATE EXTENSION postgis')")
    with stage(case, postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    assert "CREATE EXTENSION postgis" in seen.failure
    assert '"postgis" is not available' in seen.failure


@pytest.mark.usefixtures("shared_server")
def test_broken_sql_is_named(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """A syntax error in a statement stops the rehearsal at that statement."""
    up = "op.execute('SELECT 1')\nop.execute('ALTER TABEL clients ADD x int')"
    with stage(Case(says="typo", up=up), postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    assert "statement 2: ALTER TABEL clients ADD x int" in seen.failure
    assert "(42601)" in seen.failure


def test_broken_python_is_named(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """A revision that can't be parsed is refused with its file and line, before any server."""
    with stage(Case(says="x"), postgres_server, tmp_path) as made:
        broken = tmp_path / "migrations" / "versions" / "2b_broken.py"
        broken.write_text("revision = '2b'\ndown_revision = '1a'\ndef upgrade(:\n")
        with pytest.raises(HistoryError, match=r"2b_broken\.py.*line 3"):
            made.review()


@pytest.mark.usefixtures("shared_server")
@pytest.mark.parametrize(
    ("up", "why"),
    [
        ("open('{root}/out', 'w').write('x')", "writes a file"),
        ("import socket\nsocket.getaddrinfo('localhost', 1)", "uses the network"),
    ],
)
def test_what_reaches_outside_is_told(
    postgres_server: PostgresServer, tmp_path: Path, up: str, why: str
) -> None:
    """A rehearsal runs the project's own code, and the plan says what in it reaches outside."""
    up = up.replace("{root}", str(tmp_path))
    with stage(Case(says="outside", up=up), postgres_server, tmp_path) as made:
        seen = made.review()

    assert seen.plan is not None
    assert seen.plan.steps[0].script.live.endswith(why)
    assert seen.rehearsal is not None
    assert seen.rehearsal.failure == ""


@pytest.mark.usefixtures("shared_server")
def test_what_a_live_revision_sent_is_shown(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Its statements are those of the rehearsal, with the values that went along."""
    up = """
        rows = op.get_bind().execute(sa.text("SELECT 41 + :one"), {"one": 1}).scalar()
        op.execute(f"COMMENT ON TABLE clients IS '{rows}'")
    """
    with stage(Case(says="live", up=up), postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    sent = [each.sql for each in seen.steps[0].sent]
    assert sent[0].startswith("SELECT 41 + ")
    assert sent[0].endswith("-- with 1")
    assert sent[1] == "COMMENT ON TABLE clients IS '42'"


@pytest.mark.usefixtures("shared_server")
def test_a_way_back_that_leaves_something_is_told(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """After the downgrade the catalog is compared with the start, object by object."""
    up = "op.execute('ALTER TABLE clients ADD COLUMN a int, ADD COLUMN b int')"
    down = "op.execute('ALTER TABLE clients DROP COLUMN a')"
    with stage(Case(says="half", up=up, down=down), postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    assert [(each.change, each.object) for each in seen.returned] == [
        ("added", "column public.clients.b")
    ]
    assert seen.unreturned == ""


@pytest.mark.usefixtures("shared_server")
@pytest.mark.parametrize(
    ("down", "why"),
    [
        ("raise NotImplementedError('never')", "2b has no way back"),
        ("op.execute('DROP TABLE nothing')", "the downgrade of 2b failed, statement 1"),
    ],
)
def test_no_way_back_is_told(
    postgres_server: PostgresServer, tmp_path: Path, down: str, why: str
) -> None:
    """A downgrade that is missing or fails is no failure of the rehearsal, and is told."""
    case = Case(says="x", up="op.execute('SELECT 1')", down=down)
    with stage(case, postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    assert seen.failure == ""
    assert seen.unreturned.startswith(why)
    assert seen.returned == ()


_MODELS = """
metadata = sa.MetaData()
sa.Table("clients", metadata, sa.Column("id", sa.BigInteger, primary_key=True),
         sa.Column("name", sa.Text, nullable=False), sa.Column("email", sa.Text),
         sa.Column("vat", sa.Integer), sa.Column("note", sa.Text), sa.Column("missing", sa.Text))
"""


@pytest.mark.usefixtures("shared_server")
def test_models_that_say_otherwise_are_told(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """What autogenerate would still write after the revision stands in the report."""
    with stage(Case(says="x", up="op.execute('SELECT 1')"), postgres_server, tmp_path) as made:
        env = tmp_path / "migrations" / "env.py"
        text = env.read_text().replace("target_metadata=None", "target_metadata=metadata")
        env.write_text(
            text.replace("OPTIONS = ", f"import sqlalchemy as sa\n{_MODELS}\nOPTIONS = ")
        )
        seen = _rehearsed(made)

    assert seen.uncompared == ""
    assert "add column clients.missing" in seen.differs
    assert any(each.startswith("remove table tasks") for each in seen.differs)


@pytest.mark.usefixtures("shared_server")
def test_without_models_there_is_no_comparison(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """An env.py without metadata gives a reason instead."""
    with stage(Case(says="x", up="op.execute('SELECT 1')"), postgres_server, tmp_path) as made:
        seen = _rehearsed(made)

    assert seen.uncompared == "env.py has no target_metadata"


@pytest.mark.usefixtures("shared_server")
def test_from_nothing_the_history_is_made(tmp_path: Path) -> None:
    """Without a live database, what an earlier release had is what the new one begins with."""
    case = Case(
        says="phones",
        up="op.execute('ALTER TABLE clients ADD COLUMN phone text')",
        down="op.execute('ALTER TABLE clients DROP COLUMN phone')",
    )
    case.release(case.project(tmp_path))
    files = history.read(tmp_path)
    made = plan.make(files, None, Policy())
    terms = rehearse.Terms(folder=tmp_path, url=None, options=Options(), released=("1a",))
    seen = rehearse.rehearse(made, files, None, terms, say=lambda *_, **__: None)

    assert seen.base == "the history up to 1a, which an earlier release had"
    assert [step.revision for step in seen.steps] == ["1a", "2b"]
    assert "table public.clients" in seen.before.objects
    assert "column public.clients.phone" not in seen.before.objects
    assert seen.after is not None
    assert "column public.clients.phone" in seen.after.objects
    assert [step.revision for step in seen.back] == ["2b"]
    assert seen.returned == ()


@pytest.mark.usefixtures("shared_server")
def test_a_head_that_another_one_depends_on_is_there(tmp_path: Path) -> None:
    """It has no row of its own in the version table, and the models are compared."""
    project = Case(says="x").project(tmp_path)
    project.revision("2b", None, "op.execute('SELECT 1')", depends_on="1a")
    files = history.read(tmp_path)
    made = plan.make(files, None, Policy(target="heads"))
    terms = rehearse.Terms(folder=tmp_path, url=None, options=Options())
    seen = rehearse.rehearse(made, files, None, terms, say=lambda *_, **__: None)

    assert made.after == ("2b",)
    assert files.heads == ("1a", "2b")
    assert seen.uncompared == "env.py has no target_metadata"


@pytest.mark.usefixtures("shared_server")
def test_made_up_rows_make_a_rewrite_take_its_time(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """With `rehearse_rows` the tables are filled, never with more than the live ones have."""
    up = "op.execute('ALTER TABLE tasks ALTER COLUMN id TYPE numeric')"
    with stage(Case(says="x", up=up), postgres_server, tmp_path) as made:
        seen = _rehearsed(made, rehearse_rows="30000")

    assert seen.generated["public.clients"] == 20_000
    assert seen.generated["public.tasks"] == 30_000
    assert seen.steps[0].wal > 1_000_000


def test_a_plan_without_steps_is_not_rehearsed(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """At head there is nothing to run, and no server is started."""
    with stage(Case(says="x"), postgres_server, tmp_path) as made:
        place = made.place()
        found = plan_review.review(
            place, node.look(place), say=lambda *_, **__: None, rehearsed=True
        )

    assert found.rehearsal is None
    assert found.findings == ()
