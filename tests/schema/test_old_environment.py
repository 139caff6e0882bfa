"""An application's own environment has older packages and another driver than this project."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from typing import TYPE_CHECKING

import pytest

from infra.schema import history, interpreter, node, options
from tests.histories import contents, environments
from tests.histories.contents import Noise
from tests.histories.kinds import FIXTURES, KINDS, Kind
from tests.schema.histories.project import bare

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.histories.contents import Contents

pytestmark = pytest.mark.long
_OLD = ("alembic==1.9.4", "sqlalchemy[asyncio]==2.0.4")
_OLDER = ("alembic==1.9.4", "sqlalchemy==1.4.54", "greenlet")
_ENV = """
from alembic import context
from sqlalchemy import engine_from_config, pool
config = context.config
if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    section = config.get_section(config.config_ini_section)
    engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
_FIRST = """
op.create_table("boxes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Text),
                sa.Column("size", sa.Enum("s", "l", name="size")))
op.bulk_insert(sa.table("boxes", sa.column("n", sa.Text)), [{"n": "a"}, {"n": "b:c%"}])
"""
_SECOND = """
bind = op.get_bind()
for row in bind.execute(sa.text("SELECT id FROM boxes")):
    bind.execute(sa.text("UPDATE boxes SET n = n || 'x' WHERE id = :i"), {"i": row[0]})
op.create_table("lids", sa.Column("size", sa.Enum("s", "l", name="size")))
with op.get_context().autocommit_block():
    op.create_index("boxes_n", "boxes", ["n"], postgresql_concurrently=True)
"""
_KINDS = {kind.folder: kind for kind in KINDS}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make an environment with what is old, and psycopg alone."""
    return _installed(tmp_path_factory, _OLD, "psycopg[binary]")


def _installed(factory: pytest.TempPathFactory, packages: tuple[str, ...], driver: str) -> str:
    folder = factory.mktemp("environment") / "env"
    try:
        environments.install(folder, packages, drivers=(driver,))
    except environments.InstallError as exc:
        warnings.warn(f"the old packages can't be had: {exc}", UserWarning, stacklevel=1)
        pytest.skip(f"the old packages can't be had: {exc}")
    return str(folder)


@pytest.mark.parametrize(
    ("name", "apply"), [("enums_in_mixtures", "compiled"), ("autocommit_and_data", "online")]
)
def test_it_renders_and_runs_online_all_the_same(
    name: str, apply: str, python: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The plan, its digest and what is in the database afterwards are those of this project's."""
    found = dict(interpreter.examine(interpreter.path(python)).packages)
    assert found["alembic"] == "1.9.4"
    assert "asyncpg" not in found

    kind = _KINDS[name]
    folder = tmp_path / kind.folder
    shutil.copytree(FIXTURES / kind.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    plans, results = zip(
        *(_run(kind, folder, each, apply, postgres_server) for each in ("", python)), strict=True
    )
    assert plans[0] == plans[1]
    assert contents.differences(results[0], results[1], Noise()) == []


def test_with_sqlalchemy_before_2_everything_runs_online(
    postgres_server: PostgresServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Rows, a type of a run before, and an autocommit block, as with plain Alembic."""
    python = _installed(tmp_path_factory, _OLDER, "psycopg2-binary")
    project = bare(tmp_path, variable="DATABASE_URL")
    (project.scripts / "env.py").write_text(_ENV)
    project.revision("aaaa", None, _FIRST)
    project.revision("bbbb", "aaaa", _SECOND)
    kind = Kind(folder=project.root.name)

    _, results = zip(
        *(_run(kind, project.root, each, "online", postgres_server) for each in ("", python)),
        strict=True,
    )

    assert contents.differences(results[0], results[1], Noise()) == []
    called = options.parse({"migrationsPython": python}).invocation
    found = history.read(project.root, called).revisions
    assert all("its SQLAlchemy is 1.4.54" in each.upgrade.live for each in found)


def _run(
    kind: Kind, folder: Path, python: str, apply: str, server: PostgresServer
) -> tuple[str, Contents]:
    """Bring a new database to head; gives the plan's digest, and what is there."""
    admin = server.url(user=server.user, database="postgres")
    name = f"old_{os.urandom(4).hex()}"
    contents.create_database(admin, name)
    try:
        called = {"url_variable": kind.variable, "xArguments": json.dumps(kind.x), "lint": "off"}
        place = node.Place(
            folder=(folder / kind.root / kind.ini).parent,
            url=server.url(user=server.user, database=name),
            options=options.parse({**called, "apply": apply, "migrationsPython": python}),
        )
        plan = node.look(place).plan
        assert plan
        node.bring(place, shown="", say=lambda *_, **__: None, cancelled=lambda: False)
        return plan.digest, contents.read(str(place.url))
    finally:
        contents.drop_database(admin, name)
