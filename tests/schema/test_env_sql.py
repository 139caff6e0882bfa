"""What env.py itself sends is a part of the plan: shown, approved, and run where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.schema import history, live, node, plan, plan_review, report, store, view
from infra.schema.errors import MigrationError, NotApprovedError
from infra.schema.model import Policy
from infra.schema.node import Place as Where
from infra.schema.options import Options
from tests.schema.applying import database
from tests.schema.histories.project import Project, bare
from tests.schema.online_runs import Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.schema.model import Plan
    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_ONLINE = "op.get_bind().exec_driver_sql('CREATE TABLE {} (id int)')"
_PURGE = "DROP TABLE IF EXISTS legacy"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database with a table that no revision knows, and two rows in it."""
    with database(postgres_server) as made:
        made.execute("CREATE TABLE legacy (id int); INSERT INTO legacy VALUES (1), (2)")
        yield made


def _project(root: Path, *, before: str = "", after: str = "", online: str = "") -> Project:
    """Two revisions with SQL, and an env.py that sends some of its own."""
    offline = f"context.execute({before!r})" if before else ""
    project = bare(root, offline=offline, online=online)
    if after:
        env = project.scripts / "env.py"
        text = env.read_text()
        place = text.rindex("        context.run_migrations()\n", 0, text.rindex("else:"))
        place += len("        context.run_migrations()\n")
        env.write_text(f"{text[:place]}        context.execute({after!r})\n{text[place:]}")
    project.revision("aaaa", None, "op.execute('CREATE TABLE one (id int)')")
    project.revision("bbbb", "aaaa", "op.execute('CREATE TABLE two (id int)')")
    return project


def _look(project: Project, place: Place, **policy: str) -> node.Look:
    where = Where(
        folder=project.root,
        url=f"{place.url}?sslmode=disable",
        options=Options(policy=Policy(**policy)),  # type: ignore[arg-type] # as a stack says them
    )
    return node.look(where)


def _made(project: Project, place: Place) -> Plan:
    found = _look(project, place).plan
    assert found is not None
    return found


def test_a_table_that_env_py_drops_is_in_the_plan(tmp_path: Path, place: Place) -> None:
    """With its SQL, what it locks, and the rows that go; and the digest is another one."""
    harmless = _made(_project(_folder(tmp_path, "one")), place)
    dropping = _made(_project(_folder(tmp_path, "two"), before=_PURGE), place)

    first, second = dropping.steps
    assert first.script.statements == (_PURGE, "CREATE TABLE one (id int)")
    assert first.loses == ("table legacy with 2 rows",)
    assert [(lock.mode, lock.relation) for lock in first.script.locks] == [
        ("AccessExclusiveLock", "legacy")
    ]
    assert second.script.statements == ("CREATE TABLE two (id int)",)
    assert dropping.digest != harmless.digest
    assert f"    {_PURGE};" in view.text(dropping)
    assert "env.py itself sends the first statement" in view.text(dropping)


def test_what_env_py_sends_runs_once_where_it_stands(tmp_path: Path, place: Place) -> None:
    """Before the first revision and after the last one, and never again at head."""
    project = _project(
        tmp_path,
        before="INSERT INTO legacy SELECT count(*) + 100 FROM pg_tables WHERE tablename = 'one'",
        after="INSERT INTO legacy SELECT count(*) + 200 FROM pg_tables WHERE tablename = 'two'",
    )

    way = Way(project.root, place)
    way.run()
    way.run()

    assert way.ask("SELECT array_agg(id ORDER BY id) FROM legacy") == [1, 2, 100, 201]
    assert way.events() == [("aaaa", "up", "done"), ("bbbb", "up", "done")]


def test_what_env_py_sends_is_undone_with_the_revision(tmp_path: Path, place: Place) -> None:
    """They are one transaction; the message says whose statement failed."""
    project = _project(tmp_path, before=_PURGE)
    project.revision("aaaa", None, "op.execute('SELECT 1/0')")
    with pytest.raises(MigrationError, match="statement 2 of 2"):
        Way(project.root, place).run()

    assert place.fetch("SELECT count(*) FROM legacy") == [(2,)]

    (project.scripts / "env.py").write_text(
        (project.scripts / "env.py").read_text().replace(_PURGE, "DROP TABLE nowhere")
    )
    with pytest.raises(MigrationError, match=r"in what env\.py sends, statement 1 of 2"):
        Way(project.root, place).run()


def test_a_schema_that_env_py_makes_is_there_for_the_version_table(
    tmp_path: Path, place: Place
) -> None:
    """Also without IF NOT EXISTS, which would fail if it were sent before each revision."""
    project = _project(tmp_path, before="CREATE SCHEMA home; SET search_path TO home")

    way = Way(project.root, place)
    assert way.run().applied == ("aaaa", "bbbb")

    assert way.ask("SELECT version_num FROM home.alembic_version") == "bbbb"
    assert way.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'home'") == 3


def test_what_prepares_a_session_is_told_and_covered(tmp_path: Path, place: Place) -> None:
    """It is sent before each revision; another role or search_path is another plan."""
    one = _made(_project(_folder(tmp_path, "one"), before="SET work_mem = '5MB'"), place)
    two = _made(_project(_folder(tmp_path, "two"), before="SET work_mem = '6MB'"), place)

    assert one.session == ("SET work_mem = '5MB'",)
    assert "env.py prepares the session of each revision: SET work_mem = '5MB'" in one.notes
    assert [step.script.environment for step in one.steps] == [(), ()]
    assert one.digest != two.digest

    Way(tmp_path / "one", place).run()
    done = _made(Project(root=tmp_path / "one", scripts=tmp_path / "one" / "migrations"), place)
    assert (done.steps, done.session, done.notes) == ((), (), ())


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


_HELPER = "def rows():\n    return 1\n"


def _helped(root: Path) -> Project:
    """A revision that asks the database, and imports what it needs behind that."""
    project = bare(root, ini="prepend_sys_path = .")
    (root / "helping.py").write_text("import more\n")
    (root / "more.py").write_text(_HELPER)
    project.revision(
        "aaaa",
        None,
        "op.get_bind().exec_driver_sql('CREATE TABLE one (id int)')\n"
        "import helping\n"
        "from pathlib import Path\n"
        "Path(__file__).with_name('data.csv').read_text()",
    )
    (project.versions / "data.csv").write_text("1,2\n")
    (root / "README").write_text("of no meaning\n")
    return project


@pytest.mark.parametrize(
    "file", ["helping.py", "more.py", "migrations/env.py", "migrations/versions/data.csv"]
)
def test_an_approval_covers_every_file_that_an_online_revision_loads(
    tmp_path: Path, place: Place, file: str
) -> None:
    """Also one that is imported inside of its function, by another module, or read as data."""
    project = _helped(tmp_path)
    approved = _made(project, place)

    changed = tmp_path / file
    changed.write_text(f"{changed.read_text()}# another line\n")

    assert _made(project, place).digest != approved.digest
    with pytest.raises(NotApprovedError):
        plan.refuse_unapproved(_made(project, place), Policy(approved_plan=approved.digest))


def test_what_no_revision_loads_changes_no_approval(tmp_path: Path, place: Place) -> None:
    """A README of the project, for example."""
    project = _helped(tmp_path)
    approved = _made(project, place)
    (tmp_path / "README").write_text("of another meaning\n")

    assert _made(project, place).digest == approved.digest


def test_a_log_that_env_py_writes_beside_itself_changes_no_approval(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run writes is nothing that it loads."""
    project = _helped(tmp_path)
    env = project.scripts / "env.py"
    log = "from pathlib import Path\nPath(__file__).with_name('runs.txt').open('a').write('x')\n"
    env.write_text(f"{log}{env.read_text()}")
    approved = _made(project, place)
    monkeypatch.setattr(store, "recall", lambda *_: None)

    assert _made(project, place).digest == approved.digest
    assert len((project.scripts / "runs.txt").read_text()) > 1


def test_an_approved_online_revision_runs(tmp_path: Path, place: Place) -> None:
    """With all that it loads known."""
    way = Way(_helped(tmp_path).root, place)
    way.terms["approved"] = True

    assert way.run().applied == ("aaaa",)


def test_modules_elsewhere_are_covered_by_what_they_hold(
    tmp_path_factory: pytest.TempPathFactory, place: Place
) -> None:
    """A package that lies far from the project has many files of one name."""
    shared = tmp_path_factory.mktemp("shared") / "deep"
    for folder, text in (("kit", "from kit import more\n"), ("kit/more", "number = 1\n")):
        (shared / folder).mkdir(parents=True)
        (shared / folder / "__init__.py").write_text(text)
    project = bare(tmp_path_factory.mktemp("project"), ini=f"prepend_sys_path = {shared}")
    project.revision("aaaa", None, _ONLINE.format("one") + "\nimport kit", head="import kit")
    approved = _made(project, place)
    way = Way(project.root, place)
    way.terms["approved"] = True
    assert way.run().applied == ("aaaa",)

    way.run("base", downgrade="allow")
    (shared / "kit" / "more" / "__init__.py").write_text("number = 2\n")
    assert _made(project, place).digest != approved.digest


def test_a_file_that_an_approval_does_not_know_is_not_loaded(tmp_path: Path, place: Place) -> None:
    """Its name is made up while the revision runs, so that no preview could know it."""
    project = _helped(tmp_path)
    (tmp_path / "surprise.py").write_text("raise SystemExit('loaded')\n")
    project.revision(
        "aaaa",
        None,
        "op.get_bind().exec_driver_sql('CREATE TABLE one (id int)')\n"
        "import importlib\n"
        "try:\n"
        "    importlib.import_module('sur' + 'prise')\n"
        "except Exception:\n"
        "    pass",
    )
    way = Way(project.root, place)
    way.terms["approved"] = True

    with pytest.raises(
        MigrationError, match=r"surprise\.py is about to be loaded, and was not known"
    ):
        way.run()
    assert way.ask("SELECT to_regclass('one')") is None


@pytest.mark.parametrize(
    "read",
    [
        "import sqlite3\nsqlite3.connect(file).close()",
        "import subprocess\nsubprocess.run(['cat', file], check=True)",
    ],
)
def test_a_file_that_others_read_for_a_revision_is_covered_too(
    tmp_path: Path, place: Place, read: str
) -> None:
    """SQLite and programs open files that Python knows nothing of."""
    project = _helped(tmp_path)
    (tmp_path / "surprise.db").write_bytes(b"")
    project.revision(
        "aaaa",
        None,
        "op.get_bind().exec_driver_sql('CREATE TABLE one (id int)')\n"
        "from pathlib import Path\n"
        f"file = str(Path(__file__).parents[2] / 'surprise.db')\n{read}",
    )
    way = Way(project.root, place)
    way.terms["approved"] = True

    with pytest.raises(MigrationError, match=r"surprise\.db is about to be loaded"):
        way.run()
    assert way.ask("SELECT to_regclass('one')") is None


@pytest.mark.parametrize("when", ["before", "after", "callback", "listener", "driver"])
def test_a_table_that_env_py_drops_only_online_is_not_dropped(
    tmp_path: Path, place: Place, when: str
) -> None:
    """No plan shows it, so that the run stops before the statement, and says what to do."""
    drop = f"connection.exec_driver_sql({_PURGE!r})"
    project = bare(tmp_path, online=drop if when == "before" else "pass")
    env = project.scripts / "env.py"
    text = env.read_text()
    if when == "after":
        run = "        context.run_migrations()\n\n\nasync"
        env.write_text(
            text.replace(run, f"        context.run_migrations()\n        {drop}\n\n\nasync")
        )
    elif when == "callback":
        hook = f"on_version_apply=lambda ctx, **_: ctx.connection.exec_driver_sql({_PURGE!r}), "
        env.write_text(text.replace("connection=connection, ", f"connection=connection, {hook}"))
    elif when == "listener":
        made = '    engine = create_async_engine(os.environ["DATABASE_URL"])\n'
        listens = (
            "    @event.listens_for(engine.sync_engine, 'connect')\n"
            "    def connected(connection, _):\n"
            f"        connection.cursor().execute({_PURGE!r})\n"
        )
        text = text.replace(made, f"{made}{listens}")
        env.write_text(text.replace("import os\n", "import os\nfrom sqlalchemy import event\n", 1))
    elif when == "driver":
        sends = (
            "async def online():\n    import asyncpg\n"
            "    url = os.environ['DATABASE_URL'].replace('+asyncpg', '')\n"
            f"    await (await asyncpg.connect(url)).execute({_PURGE!r})\n"
        )
        env.write_text(text.replace("async def online():\n", sends))
    project.revision("aaaa", None, _ONLINE.format("one"))

    with pytest.raises(
        MigrationError, match=r"env\.py sends SQL that the plan does not show: DROP"
    ):
        Way(project.root, place).run()
    assert place.fetch("SELECT count(*) FROM legacy") == [(2,)]


def test_an_approved_run_sends_nothing_else_of_env_py(tmp_path: Path, place: Place) -> None:
    """What loses no data runs without an approval; settings and questions always do."""
    online = (
        "connection.exec_driver_sql('SET LOCAL work_mem = 64000');"
        " connection.exec_driver_sql('SELECT count(*) FROM legacy');"
        " connection.exec_driver_sql('CREATE TABLE IF NOT EXISTS extra (id int)')"
    )
    project = bare(tmp_path, online=online)
    project.revision("aaaa", None, _ONLINE.format("one"))
    project.revision("bbbb", "aaaa", _ONLINE.format("two"))
    way = Way(project.root, place)
    assert way.run("aaaa").applied == ("aaaa",)

    way.terms["approved"] = True
    with pytest.raises(MigrationError, match="does not show: CREATE TABLE IF NOT EXISTS extra"):
        way.run()


def test_what_env_py_sends_in_both_modes_is_shown_and_runs_online(
    tmp_path: Path, place: Place
) -> None:
    """An approval of the plan that shows it covers it."""
    project = _project(tmp_path, before=_PURGE, online=f"connection.exec_driver_sql({_PURGE!r})")
    project.revision("aaaa", None, _ONLINE.format("one"))
    project.revision("bbbb", "aaaa", _ONLINE.format("two"))
    made = _made(project, place)
    assert made.steps[0].loses == ("table legacy with 2 rows",)
    assert f"    {_PURGE};" in view.text(made)

    way = Way(project.root, place)
    way.terms["approved"] = True
    assert way.run().applied == ("aaaa", "bbbb")
    assert place.fetch("SELECT to_regclass('legacy')::text") == [(None,)]


def test_a_digest_by_the_former_rule_is_refused_with_the_reason(
    tmp_path: Path, place: Place
) -> None:
    """It covered less; the message has the digest of today."""
    project = _project(tmp_path, before=_PURGE)
    made = _made(project, place)

    with pytest.raises(NotApprovedError, match=r"earlier version.*left out the SQL that env\.py"):
        plan.refuse_unapproved(made, Policy(approved_plan=made.former_digest))


def test_a_preview_reads_and_sends_nothing_that_env_py_changes(
    tmp_path: Path, place: Place
) -> None:
    """A look at the database leaves the table where it is, and no lock on it."""
    project = _project(tmp_path, before=_PURGE)
    files = history.read(project.root)

    live.read_for(files, f"{place.url}?sslmode=disable")

    assert files.prologue == (_PURGE,)
    assert place.fetch("SELECT count(*) FROM legacy") == [(2,)]
    assert replace(files, prologue=()).epilogue == ()


@pytest.mark.long
def test_a_rehearsal_shows_what_env_py_sends_online_alone(tmp_path: Path, place: Place) -> None:
    """Before it configures Alembic and after: with the statements of the revision, and linted."""
    project = bare(
        tmp_path, online="connection.exec_driver_sql('CREATE INDEX later ON legacy (id)')"
    )
    env = project.scripts / "env.py"
    early = "    connection.exec_driver_sql('CREATE TABLE early (id int)')\n"
    env.write_text(
        env.read_text().replace("def run(connection):\n", f"def run(connection):\n{early}")
    )
    project.revision("aaaa", None, _ONLINE.format("one"))
    where = Where(
        folder=project.root, url=f"{place.url}?sslmode=disable", options=Options(rehearse=True)
    )

    found = plan_review.review(where, node.look(where), say=lambda *_, **__: None, rehearsed=True)

    assert found.rehearsal is not None
    assert found.rehearsal.failure == ""
    assert [each.sql for each in found.rehearsal.steps[0].sent] == [
        "-- sent by env.py itself\nCREATE TABLE early (id int)",
        "-- sent by env.py itself\nCREATE INDEX later ON legacy (id)",
        "CREATE TABLE one (id int)",
    ]
    assert "require-concurrent-index-creation" in {each.rule for each in found.findings}


@pytest.mark.long
def test_what_env_py_sends_is_linted_rehearsed_and_in_the_report(
    tmp_path: Path, place: Place
) -> None:
    """As SQL of a revision is: a finding, what the rehearsal saw, "Destroys" and the verdict."""
    project = _project(tmp_path, before="DROP TABLE legacy", after="GRANT SELECT ON one TO PUBLIC")
    where = Where(
        folder=project.root, url=f"{place.url}?sslmode=disable", options=Options(rehearse=True)
    )

    found = plan_review.review(where, node.look(where), say=lambda *_, **__: None, rehearsed=True)

    assert "ban-drop-table" in {each.rule for each in found.findings}
    assert found.rehearsal is not None
    assert found.rehearsal.failure == ""
    sent = [[each.sql for each in step.sent] for step in found.rehearsal.steps]
    assert sent == [
        ["DROP TABLE legacy", "CREATE TABLE one (id int)"],
        ["CREATE TABLE two (id int)", "GRANT SELECT ON one TO PUBLIC"],
    ]
    text = report.markdown(found)
    assert "destroys data in 1 revision" in text
    assert "table legacy with 2 rows" in text
    assert "statement 1 of 2" in text
    assert "sent by env.py itself" in text


def test_an_env_py_in_the_projects_own_folder_covers_no_packages_of_others(tmp_path: Path) -> None:
    """Its folder is the whole project: what lies beside it counts, and what the revisions have."""
    project = bare(tmp_path)
    for path in (project.scripts / "env.py", project.versions):
        path.rename(tmp_path / path.name)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    at_root = replace(project, scripts=tmp_path)
    at_root.revision("aaaa", None, _ONLINE.format("one"))
    for name in ("versions/data/rows.csv", "beside.csv", "node_modules/x/index.py", "far/away.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    assert set(history.read(tmp_path).sources) == {
        "alembic.ini",
        "beside.csv",
        "env.py",
        "versions/aaaa_made.py",
        "versions/data/rows.csv",
    }
