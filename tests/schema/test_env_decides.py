"""What env.py decides counts: where revisions are, and how its version table looks."""

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
