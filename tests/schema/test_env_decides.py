"""What env.py decides counts: where revisions are, its version table, its online half alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from infra.schema import apply, history, live, plan
from infra.schema.apply import Terms
from infra.schema.errors import MigrationError
from infra.schema.model import Policy
from tests.schema.histories import project as projects
from tests.schema.histories import ways

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.schema.histories.project import Project

_WIDE = """\
import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl


class WideImpl(PostgresqlImpl):
    __dialect__ = "postgresql"

    def version_table_impl(self, *, version_table, version_table_schema, **_):
        return sa.Table(
            version_table,
            sa.MetaData(),
            sa.Column("version_num", sa.String(128), primary_key=True),
            sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
            schema=version_table_schema,
        )


"""
_LONG = "r2_an_id_that_is_longer_than_thirty_two_characters"
_VERSION_TABLE = """
SELECT string_agg(format('%s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull),
                  ', ' ORDER BY a.attnum)
FROM pg_attribute a WHERE attrelid = to_regclass('public.alembic_version') AND attnum > 0
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def _bring(project: Project, base: ways.Base, **chosen: str) -> ways.Content:
    url = f"{base.url.replace('+asyncpg', '')}?sslmode=disable"
    policy = Policy(**chosen)  # type: ignore[arg-type]  # texts of one key
    read = history.read(project.root)
    made = plan.make(read, live.read_for(read, url), policy)
    apply.run(made, read, Terms(url=url, folder=project.root, pause=0.01, policy=policy))
    after = plan.make(read, live.read_for(read, url), policy)
    assert after.steps == ()
    return [line for line in base.content() if "schema_ledger" not in line]


def _prepend(project: Project, text: str) -> None:
    env = project.scripts / "env.py"
    env.write_text(text + env.read_text())


@pytest.mark.parametrize("way", ["compiled", "online"])
def test_env_py_chooses_the_folders_of_revisions(
    tmp_path: Path, postgres_server: PostgresServer, way: str
) -> None:
    """On the script, while it runs; those of the other database are not even loaded."""
    project = projects.bare(tmp_path)
    chosen, other = project.versions / "postgresql", project.versions / "mysql"
    project.revision("r1", None, "op.create_table('t', sa.Column('id', sa.Integer))", folder=chosen)
    project.revision("r2", "r1", _ask(), folder=chosen)
    project.revision("r1", None, "this is no Python", folder=other)
    _prepend(
        project,
        "import pathlib\nfrom alembic import context\ncontext.script.version_locations ="
        " [str(pathlib.Path(__file__).parent / 'versions' / 'postgresql')]\n",
    )

    with ways.made(postgres_server) as one, ways.made(postgres_server) as theirs:
        assert _bring(project, one, apply=way) == ways.online(project, "up", theirs)


def _ask() -> str:
    return "op.get_bind().execute(sa.text('INSERT INTO t VALUES (1)'))"


def test_a_directory_without_revisions_is_told_of(tmp_path: Path) -> None:
    """Nothing to do over nothing may be a wrong folder."""
    projects.bare(tmp_path)

    notes = plan.make(history.read(tmp_path), None, Policy()).notes

    assert any("the migrations have no revision" in note for note in notes)


@pytest.mark.parametrize("way", ["compiled", "online"])
def test_the_version_table_is_as_env_pys_implementation_has_it(
    tmp_path: Path, postgres_server: PostgresServer, way: str
) -> None:
    """Wider, and with a column more."""
    project = projects.bare(tmp_path)
    _prepend(project, _WIDE)
    project.revision("r1", None, "op.create_table('t', sa.Column('id', sa.Integer))")
    project.revision(_LONG, "r1", "op.create_table('u', sa.Column('id', sa.Integer))")

    with ways.made(postgres_server) as one, ways.made(postgres_server) as theirs:
        assert _bring(project, one, apply=way) == ways.online(project, "up", theirs)
        ours, plain = (_fetch(base, _VERSION_TABLE) for base in (one, theirs))
        assert ours == plain
        assert "character varying(128)" in ours


def _fetch(base: ways.Base, sql: str) -> str:

    async def ask() -> str:
        connection = await base.connect()
        try:
            return str(await connection.fetchval(sql))
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_an_id_that_the_table_could_not_hold_is_refused_before_it_is_made(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """The message names the hook, and no column that isn't there."""
    project = projects.bare(tmp_path)
    project.revision(_LONG, None)

    with ways.made(postgres_server) as base, pytest.raises(MigrationError) as raised:
        _bring(project, base)

    assert "would hold 32" in str(raised.value)
    assert "version_table_impl" in str(raised.value)


_CONFIGURE = "    context.configure(connection=connection"
_CONNECT = "    async with engine.connect()"
_ENGINE = 'create_async_engine(os.environ["DATABASE_URL"])'
_TABLE = "op.create_table('t', sa.Column('id', sa.Integer))"
_LISTEN = """\
    from sqlalchemy import event

    @event.listens_for(engine.sync_engine, {event!r}{more})
    def listened({arguments}):
        {body}

"""


def _listening(event: str, arguments: str, body: str, more: str = "") -> str:
    return _LISTEN.format(event=event, arguments=arguments, body=body, more=more) + _CONNECT


_AFTER = """\
        context.run_migrations()
        connection.exec_driver_sql('CREATE TABLE acme.after (at int)')


async"""
_ANSWERED = """\
    asked = "SELECT nspname FROM pg_namespace WHERE nspname = 'acme'"
    (name,) = connection.exec_driver_sql(asked).one()
    connection.exec_driver_sql(f'SET search_path TO {name}')
    connection.commit()
"""

# What env.py does in its online half: a text of it, what stands there instead, and the reason.
_HALVES = {
    "search_path": (
        _CONFIGURE,
        "    connection.exec_driver_sql('SET search_path TO acme')\n    connection.commit()\n"
        + _CONFIGURE,
        "sends SET search_path TO acme in its online half alone",
    ),
    "server_settings": (
        _ENGINE,
        _ENGINE[:-1] + ", connect_args={'server_settings': {'search_path': 'acme', 'jit': 'off'}})",
        "connects with search_path acme in its online half alone",
    ),
    "translate map": (
        _CONFIGURE,
        "    connection = connection.execution_options(schema_translate_map={None: 'acme'})\n"
        + _CONFIGURE,
        "sets schema_translate_map",
    ),
    "schema of the version table": (
        _CONFIGURE,
        "    connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS meta')\n"
        "    connection.commit()\n" + _CONFIGURE.replace("(c", "(version_table_schema='meta', c"),
        "sends CREATE SCHEMA IF NOT EXISTS meta in its online half alone",
    ),
    "role": (
        _CONFIGURE,
        "    connection.exec_driver_sql('SET ROLE acme_owner')\n    connection.commit()\n"
        + _CONFIGURE,
        "sends SET ROLE acme_owner in its online half alone",
    ),
    "listener of connecting": (
        _CONNECT,
        _listening("connect", "found, _", "found.cursor().execute('SET search_path TO acme')"),
        "sends SET search_path TO acme in its online half alone",
    ),
    "listener that rewrites": (
        _CONNECT,
        _listening(
            "before_cursor_execute",
            "connection, cursor, sql, values, context, many",
            "return sql.replace('TABLE t (', 'TABLE acme.t ('), values",
            ", retval=True",
        ),
        "registers a listener that may change SQL",
    ),
    "on_version_apply": (
        _CONFIGURE,
        "    def applied(ctx, **_):\n"
        "        ctx.connection.exec_driver_sql('CREATE TABLE acme.applied (at int)')\n\n"
        + _CONFIGURE.replace("(c", "(on_version_apply=applied, c"),
        "registers on_version_apply",
    ),
    "a table of its own after the revisions": (
        "        context.run_migrations()\n\n\nasync",
        _AFTER,
        "sends CREATE TABLE acme.after (at int) in its online half alone",
    ),
    "what can't be tried": (
        _CONFIGURE,
        _ANSWERED + _CONFIGURE.replace("(c", "(version_table_schema='acme', c"),
        "speaks of search_path, and what the online half does can't be tried without a database",
    ),
}


@pytest.mark.parametrize("half", _HALVES)
def test_what_the_online_half_alone_does_is_done(
    tmp_path: Path, postgres_server: PostgresServer, half: str
) -> None:
    """The history runs through env.py, and the plan says why; nothing lands elsewhere."""
    project = projects.bare(tmp_path)
    old, new, reason = _HALVES[half]
    env = project.scripts / "env.py"
    text = env.read_text()
    assert old in text
    text = text.replace(old, new, 1)
    if half == "what can't be tried":
        text = text.replace(
            'url="postgresql://",', 'url="postgresql://", version_table_schema="acme",'
        )
    env.write_text(text)
    project.revision("r1", None, _TABLE)

    notes = plan.make(history.read(tmp_path), None, Policy()).notes
    assert any(reason in note for note in notes), notes
    with ways.made(postgres_server) as one, ways.made(postgres_server) as theirs:
        for base in (one, theirs):
            base.execute("CREATE SCHEMA acme; DROP ROLE IF EXISTS acme_owner")
            base.execute("CREATE ROLE acme_owner SUPERUSER")
        content = _bring(project, one)
        assert content == ways.online(project, "up", theirs)
        places = [_fetch(base, _PLACES) for base in (one, theirs)]
        assert places[0] == places[1]
        for base in (one, theirs):
            base.execute("REASSIGN OWNED BY acme_owner TO CURRENT_USER; DROP OWNED BY acme_owner")
        one.execute("DROP ROLE acme_owner")


def test_a_plan_runs_nothing_that_only_the_online_half_does(tmp_path: Path) -> None:
    """Programs, files and the end of the process in the online half wait for the real run."""
    project = projects.bare(tmp_path)
    env = project.scripts / "env.py"
    effects = (
        f"    __import__('subprocess').run(['touch', {str(tmp_path / 'program')!r}])\n",
        f"    open({str(tmp_path / 'file')!r}, 'w').close()\n",
        "    __import__('os')._exit(7)\n",
    )
    text = env.read_text()
    assert _CONFIGURE in text
    project.revision("r1", None, _TABLE)
    for effect in effects:
        env.write_text(text.replace(_CONFIGURE, effect + _CONFIGURE, 1))
        assert history.read(tmp_path).heads == ("r1",)

    assert not (tmp_path / "program").exists()
    assert not (tmp_path / "file").exists()


_PLACES = """
SELECT string_agg(format('%I.%I of %s', schemaname, tablename, tableowner), ' ' ORDER BY 1)
FROM pg_tables WHERE schemaname !~ '^pg_|information_schema|schema_ledger'
"""


@pytest.mark.parametrize(
    "harmless",
    [
        "connection.exec_driver_sql('SET lock_timeout TO 1000')",
        "connection.exec_driver_sql('SELECT pg_advisory_lock(1)')",
        "assert connection.exec_driver_sql('SELECT 1').scalar() == 1",
        "connection.exec_driver_sql('SELECT current_schema(), version()').one()",
    ],
)
def test_what_changes_no_result_leaves_a_history_rendered(tmp_path: Path, harmless: str) -> None:
    """Timeouts, locks and questions of the online half."""
    project = projects.bare(tmp_path, online=harmless)
    project.revision("r1", None, _TABLE)

    read = history.read(tmp_path)

    assert read.offline == ""
    assert read.revisions[0].upgrade.live == ""
