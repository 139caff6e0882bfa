"""Revisions that run live, through whatever env.py there is, in a process of their own."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.schema import apply, history, live, plan
from infra.schema.apply import Terms
from infra.schema.errors import MigrationError
from infra.schema.invocation import Invocation
from infra.schema.model import Policy
from infra.schema.running.progress import line
from tests.schema.applying import Lab, database, process
from tests.schema.habits import ENGINES, HABITS, LASTING
from tests.schema.histories.project import TEMPLATES, Project, bare, from_template
from tests.schema.online_runs import Way
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_MIGRATIONS = Path(__file__).parents[2] / "migrations"
_ASK = "op.get_bind().scalar(sa.text('SELECT 1'))"
_LIVE = "bind = op.get_bind()\nbind.execute(sa.text('CREATE TABLE {} (id int)'))"


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        yield place


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose env.py reads its own environment variable."""
    return bare(tmp_path, variable="APP_DB")


@pytest.fixture
def way(project: Project, place: Place) -> Way:
    """That project on a database."""
    way = Way(project.root, place)
    way.invocation = Invocation(variable="APP_DB")
    return way


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("how", ["compiled", "online"])
def test_every_template_of_alembics_runs_as_it_is(
    tmp_path: Path, place: Place, template: str, how: str
) -> None:
    """Live, rendered and back again; with the password, and the options of libpq in the URL."""
    project = from_template(tmp_path, template)
    project.revision(
        "aaaa", None, "op.create_table('one', sa.Column('id', sa.Integer))", "op.drop_table('one')"
    )
    project.revision("bbbb", "aaaa", _LIVE.format("two"), "op.execute('DROP TABLE two')")
    project.revision("cccc", "bbbb", _LIVE.format("three"), f"{_ASK}\n" + "op.drop_table('three')")
    way = Way(project.root, place, apply=how)

    assert way.run().applied == ("aaaa", "bbbb", "cccc")

    assert way.events() == [(id_, "up", "done") for id_ in ("aaaa", "bbbb", "cccc")]
    assert way.ask("SELECT count(*) FROM pg_tables WHERE tablename IN ('one', 'two', 'three')") == 3
    assert way.run("base", downgrade="allow").heads == ()
    assert way.ask("SELECT count(*) FROM pg_tables WHERE tablename IN ('one', 'two', 'three')") == 0


def test_an_env_with_a_variable_of_its_own_is_led_to_the_database(
    project: Project, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the caller's own variables say; and its environment stays as it was."""
    monkeypatch.setenv("APP_DB", "postgresql+asyncpg://nobody@127.0.0.1:1/elsewhere")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/elsewhere")
    project.revision("aaaa", None, _LIVE.format("one"))

    assert way.run().heads == ("aaaa",)
    assert "elsewhere" in os.environ["APP_DB"]


def test_an_env_that_goes_to_another_database_is_stopped(
    project: Project, way: Way, postgres_server: PostgresServer
) -> None:
    """Before anything runs there; the variable that it reads is not the one that was told."""
    project.revision("aaaa", None, _LIVE.format("one"))
    env = project.scripts / "env.py"
    with database(postgres_server) as other:
        text = env.read_text().replace('os.environ["APP_DB"]', repr(f"{other.url}?ssl=disable"))
        env.write_text(text.replace("postgresql://test", "postgresql+asyncpg://test"))

        with pytest.raises(MigrationError, match=r"connected to another database.*url_variable"):
            way.run()
        assert other.fetch("SELECT FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.usefixtures("real_processes")
def test_consecutive_live_revisions_share_a_process(project: Project, way: Way) -> None:
    """Also with rendered ones between them."""
    notes = f"{_ASK}\nimport os\nop.execute(f'INSERT INTO pids SELECT {{os.getpid()}}')"
    project.revision("aaaa", None, "op.execute('CREATE TABLE pids (pid int)')")
    for below, id_ in (("aaaa", "bbbb"), ("bbbb", "cccc"), ("dddd", "eeee")):
        project.revision(id_, below, notes)
    project.revision("dddd", "cccc", "op.execute('SELECT 1')")

    way.run()

    assert way.ask("SELECT count(*) FROM pids") == 3
    assert way.ask("SELECT count(DISTINCT pid) FROM pids") == 1
    assert os.getpid() != way.ask("SELECT max(pid) FROM pids")


def test_a_failing_live_revision_is_undone_with_its_ledger_row(project: Project, way: Way) -> None:
    """The error has PostgreSQL's words, the statement, and no values of it."""
    project.revision("aaaa", None, _LIVE.format("one"))
    insert = "op.get_bind().execute(sa.text('INSERT INTO nowhere VALUES (:v)'), {'v': 'Ada'})"
    project.revision("bbbb", "aaaa", f"{_LIVE.format('two')}\n{insert}", message='it\'s "new"')

    with pytest.raises(MigrationError) as caught:
        way.run()

    said = str(caught.value)
    assert 'Revision bbbb (it\'s "new") failed' in said
    assert "INSERT INTO nowhere VALUES ($1" in said
    assert 'PostgreSQL said (42P01): relation "nowhere" does not exist' in said
    assert "Ada" not in said
    assert (caught.value.applied, caught.value.sqlstate) == (("aaaa",), "42P01")
    assert way.events() == [("aaaa", "up", "done")]
    assert way.ask("SELECT to_regclass('two')") is None
    assert way.ask("SELECT version_num FROM alembic_version") == "aaaa"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no way: ' + __import__('os').environ['APP_DB'])", "ValueError: no way"),
        ("__import__('os')._exit(7)", r"without an answer \(exit status 7\): last words"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", r"answer \(signal 9\): last words"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("op.get_bind().exec_driver_sql('COMMIT; SELECT 1')", "multiple commands"),
    ],
)
def test_whatever_a_revision_does_is_one_clear_error(
    project: Project, way: Way, body: str, said: str
) -> None:
    """Without a traceback and without the password."""
    print_first = "import sys\nprint('noise {')\nprint('last words', file=sys.stderr, flush=True)"
    project.revision("aaaa", None, f"{_LIVE.format('one')}\n{print_first}\n{body}")

    with pytest.raises(MigrationError, match=said) as caught:
        way.run()

    assert "Traceback" not in str(caught.value)
    assert "test-" not in str(caught.value)
    assert way.ask("SELECT count(*) FROM schema_ledger.events") == 0


def test_a_revision_that_sets_role_and_search_path_runs_live(
    project: Project, way: Way, place: Place
) -> None:
    """The ledger's row is written by its owner, whatever the revision left."""
    role = f"live_{place.database[-8:]}"
    place.execute(f"CREATE ROLE {role}", f"GRANT ALL ON SCHEMA public TO {role}")
    body = f"{_ASK}\nop.execute('SET ROLE {role}')\nop.execute('CREATE TABLE one (id int)')"
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    place_of = "op.execute('GRANT ALL ON alembic_version TO PUBLIC')"
    project.revision("bbbb", "aaaa", f"{place_of}\n{body}")
    project.revision(
        "cccc",
        "bbbb",
        f"{_ASK}\n" + "op.execute(\"SET search_path = ''\")\nop.execute('RESET search_path')",
    )

    assert way.run().heads == ("cccc",)
    assert way.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'one'") == role
    assert way.ask("SELECT string_agg(DISTINCT role, ',') FROM schema_ledger.events") == place.user
    place.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_an_autocommit_block_leaves_begun_in_the_ledger(project: Project, way: Way) -> None:
    """And a broken index of a run before is dropped first."""
    build = "op.execute('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS one_id ON one (id)')"
    project.revision("aaaa", None, "op.execute('CREATE TABLE one (id int)')")
    project.revision(
        "bbbb", "aaaa", f"{_ASK}\nwith op.get_context().autocommit_block():\n    {build}"
    )
    way.run("aaaa")
    way.place.execute("INSERT INTO one VALUES (1), (1)")
    with pytest.raises(MigrationError, match="could not create unique index") as caught:
        way.run()
    assert "DETAIL" not in str(caught.value)
    assert way.events() == [("aaaa", "up", "done"), ("bbbb", "up", "begun")]
    way.place.execute("DELETE FROM one WHERE ctid = (SELECT max(ctid) FROM one)")

    assert way.run().heads == ("bbbb",)

    assert way.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass")
    assert way.events()[1:] == [("bbbb", "up", "begun")] * 2 + [("bbbb", "up", "done")]


def test_timeouts_reach_a_live_revision(project: Project, way: Way) -> None:
    """Its own, or the run's."""
    sees = f"{_ASK}\n" + "op.execute(\"CREATE TABLE {} AS SELECT current_setting('lock_timeout')"
    sees += " || current_setting('statement_timeout') AS t\")"
    project.revision("aaaa", None, sees.format("one"))
    project.revision("bbbb", "aaaa", sees.format("two"), head="lock_timeout = '2s'")
    way.terms["statement_timeout"] = "3min"

    way.run()

    assert way.ask("SELECT t FROM one") == "5s3min"
    assert way.ask("SELECT t FROM two") == "2s3min"


def test_a_lock_timeout_of_a_live_revision_is_tried_again(project: Project, way: Way) -> None:
    """As often as a rendered one."""
    fails = (
        f"{_ASK}\n" + "import pathlib\nmark = pathlib.Path('mark')\n"
        "text = \"DO $$ BEGIN RAISE 'no' USING ERRCODE = '55P03'; END $$\"\n"
        "if not mark.exists():\n    mark.touch()\n    op.execute(text)"
    )
    project.revision("aaaa", None, f"{_LIVE.format('one')}\n{fails}")

    assert way.run().heads == ("aaaa",)
    again = [line(told) for told in way.told if told.state == "again"]
    assert [text.partition(";")[0] for text in again] == ["1/1 aaaa made by a test: no"]


@pytest.mark.usefixtures("real_processes")
def test_no_process_list_shows_the_password(project: Project, way: Way) -> None:
    """While a revision runs live, no command line and no environment of a start has it."""
    role, secret = f"role_{uuid.uuid4().hex}", f"kept-{uuid.uuid4().hex}"
    asker = way.place
    asker.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{secret}'")
    way.place = asker.as_user(role, secret)
    project.revision(
        "aaaa",
        None,
        """
        from pathlib import Path
        started = []
        for name in ("cmdline", "environ"):
            for path in Path("/proc").glob(f"[0-9]*/{name}"):
                try:
                    started.append(path.read_bytes().hex())
                except OSError:
                    pass
        op.get_bind().execute(sa.text("CREATE TABLE started (what text)"))
        op.bulk_insert(sa.table("started", sa.column("what")), [{"what": w} for w in started])
        """,
    )

    try:
        way.run()
        started = [bytes.fromhex(row[0]) for row in asker.fetch("SELECT what FROM started")]
    finally:
        asker.execute(
            f"REASSIGN OWNED BY {role} TO CURRENT_USER",
            f"DROP OWNED BY {role}",
            f"DROP ROLE {role}",
        )

    assert any(b"infra.schema.online" in each for each in started)
    assert not [each for each in started if secret.encode() in each]


def test_the_process_ends_with_its_caller(project: Project, way: Way) -> None:
    """After kill -9 of the caller the revision is undone and the lock is free."""
    project.revision("aaaa", None, f"{_LIVE.format('one')}\nop.execute('SELECT pg_sleep(60)')")
    files = history.read(project.root, way.invocation)
    lab = Lab(way.place, files, folder=project.root, options={"invocation": way.invocation})
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = "
    busy += "'active' AND datname = current_database() AND pid <> pg_backend_pid()"

    with process(lab, lab.plan("aaaa")) as run:
        wait_until(lambda: way.ask(busy))
        run.send_signal(signal.SIGKILL)

    wait_until(lambda: not way.ask(busy))
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
    locks += "(SELECT oid FROM pg_database WHERE datname = current_database())"
    wait_until(lambda: way.ask(locks) == 0)
    assert way.ask("SELECT to_regclass('one')") is None


def test_this_projects_own_history_gives_the_same_catalog_both_ways(
    postgres_server: PostgresServer,
) -> None:
    """Compiled on asyncpg, and live through env.py; and back to nothing either way."""
    catalogs = []
    for how in ("compiled", "online"):
        with database(postgres_server) as place:
            place.execute("CREATE EXTENSION vector")
            way = Way(_MIGRATIONS, place, apply=how)
            way.run()
            catalogs.append(live.read(way.url).catalog)
            assert way.run("base", downgrade="allow").heads == ()

    assert catalogs[0] == catalogs[1]


def test_an_env_with_another_version_table_when_online_is_followed(
    project: Project, way: Way, place: Place
) -> None:
    """The plan is made from the schema that its online half alone leads to."""
    place.execute("CREATE SCHEMA tenant")
    project.revision("aaaa", None, _LIVE.format("one"))
    env = project.scripts / "env.py"
    changed = 'connection.exec_driver_sql("SET search_path TO tenant")\n    context.configure('
    env.write_text(env.read_text().replace("context.configure(connection", f"{changed}connection"))

    assert way.run().heads == ("aaaa",)
    made = (
        "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY tablename) FROM pg_tables"
    )
    there = way.ask(f"{made} WHERE tablename IN ('one', 'alembic_version')")
    assert there == "tenant.alembic_version tenant.one"


@pytest.mark.parametrize("template", ["generic", "async"])
@pytest.mark.parametrize("named", ["postgresql+psycopg2://u:p@h/d", "postgresql+asyncpg://h/d", ""])
def test_a_url_of_several_hosts_and_a_driver_that_is_not_installed(
    tmp_path: Path, place: Place, template: str, named: str
) -> None:
    """Whatever alembic.ini names, a synchronous and an asynchronous env.py both get there."""
    project = from_template(tmp_path, template)
    ini = tmp_path / "alembic.ini"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", named))
    project.revision("aaaa", None, _LIVE.format("one"))
    way = Way(project.root, place)
    login, _, where = way.url.rpartition("@")
    url = f"{login}@127.0.0.1:1,{where}&connect_timeout=5"

    files = history.read(project.root)
    made = plan.make(files, live.read(url), Policy())
    outcome = apply.run(made, files, Terms(url=url, folder=project.root))

    assert outcome.heads == ("aaaa",)


@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_of_another_drivers_options_runs_revisions(
    project: Project, way: Way, kind: str
) -> None:
    """Made when the application is imported, with the driver installed or not."""
    application, env = ENGINES[kind]
    (project.root / "app.py").write_text(application)
    (project.scripts / "env.py").write_text(env)
    ini = project.root / "alembic.ini"
    ini.write_text(f"{ini.read_text()}prepend_sys_path = .\n")
    project.revision("aaaa", None, _LIVE.format("one"), head="from app import engine")
    project.revision("bbbb", "aaaa", "op.execute('CREATE TABLE two (id int)')")

    assert way.run().applied == ("aaaa", "bbbb")
    assert way.ask("SELECT count(*) FROM pg_tables WHERE tablename IN ('one', 'two')") == 2


@pytest.mark.parametrize(
    "habits",
    [
        pytest.param(sorted(set(HABITS) - LASTING), id="together"),
        pytest.param(sorted(LASTING - {"a fork that goes on"}), id="staying"),
        *(pytest.param([each], id=each, marks=pytest.mark.long) for each in sorted(LASTING)),
    ],
)
def test_revisions_run_whatever_their_application_does(
    project: Project, way: Way, habits: list[str]
) -> None:
    """Habits that go together, all in one env.py; and those of which something would stay."""
    apart = {"a limit of files", "a patched clock", "a subprocess of its own", "other streams"}
    head = "\n".join(HABITS[each] for each in habits if each not in apart)
    env = project.scripts / "env.py"
    env.write_text(f"{head}\n{env.read_text()}")
    project.revision("aaaa", None, _LIVE.format("one"))

    assert way.run().applied == ("aaaa",)
