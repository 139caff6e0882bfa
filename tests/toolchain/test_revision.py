"""`make revision`, on a real Alembic directory and a real PostgreSQL 17."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from infra.schema.invocation import Invocation
from tests.schema.histories.project import from_template
from toolchain import revision, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer

_UP = "make up STACK=other"
_MODEL = """
from sqlalchemy.orm import Mapped
from models.base import Base, IdentityKey

class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[IdentityKey]
    name: Mapped[str]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The migrations without models and revisions, in a folder with an awkward name."""
    folder = tmp_path / "my 'migrations' 😀"
    source = versions.ROOT / "migrations"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "versions"))
    (folder / "versions").mkdir()
    (folder / "models" / "__init__.py").write_text("from models.base import Base\n")
    return folder


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """A database without tables: the one that every cluster has."""
    server, password = postgres_server, quote(postgres_server.password, safe="")
    return f"postgresql://{server.user}:{password}@{server.host}:{server.port}/postgres"


def _write(folder: Path, url: str, message: str = "add things") -> str:
    return revision.write(folder=folder, url=url, message=message, up=_UP)


def _revisions(folder: Path) -> list[Path]:
    return sorted(folder.glob("versions/*.py"))


def test_a_changed_model_becomes_a_revision(folder: Path, url: str) -> None:
    """Told are the file, what was found and how to go on; the message may be anything."""
    (folder / "models" / "__init__.py").write_text(_MODEL)

    told = _write(folder, url, '--help "it\'s" $HOME \\n')

    (made,) = _revisions(folder)
    assert str(made) in told
    assert "Detected added table 'thing'" in told
    assert _UP in told
    assert "op.create_table(" in made.read_text()
    assert "$HOME" in made.read_text()


def test_nothing_changed_writes_nothing(folder: Path, url: str) -> None:
    """The message says how to get an empty revision."""
    with pytest.raises(ToolchainError, match=r"are the same.*\n.*--empty"):
        _write(folder, url)

    assert _revisions(folder) == []


def test_a_database_that_is_behind_is_brought_to_head_first(folder: Path, url: str) -> None:
    """Compared with an old database, the revision would say everything again."""
    (folder / "models" / "__init__.py").write_text(_MODEL)
    _write(folder, url)

    with pytest.raises(ToolchainError, match=f"head.*{_UP}"):
        _write(folder, url)

    assert len(_revisions(folder)) == 1


def test_a_mistake_in_a_model_is_shown_with_its_place(folder: Path, url: str) -> None:
    """File, line and what Python says of it, without the frames above."""
    (folder / "models" / "__init__.py").write_text("from models.base import Base\nx = (\n")

    with pytest.raises(ToolchainError, match="SyntaxError") as caught:
        _write(folder, url)

    assert '__init__.py", line 2' in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert _revisions(folder) == []


def test_a_server_that_is_down_is_told_with_what_to_do(folder: Path) -> None:
    """The message has the address and the command, and no password."""
    with pytest.raises(ToolchainError, match=r"127\.0\.0\.1:1/d") as caught:
        _write(folder, "postgresql://u:s3cret@127.0.0.1:1/d")

    assert f"`{_UP}` brings its server" in str(caught.value)
    assert str(caught.value).count("Can't connect") == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("message", [[], ["m="], ["m=  "]])
def test_a_revision_needs_a_message(message: list[str]) -> None:
    """Before anything is looked at, the user hears how to say it."""
    done = subprocess.run(
        ["make", "revision", *message, f"PYTHON={sys.executable}"],
        cwd=versions.ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert 'make revision m="add due date to tasks"' in done.stderr


def test_a_stack_that_is_not_up_has_nothing_to_compare_with() -> None:
    """The message names the stack and the command that brings it up."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain", "revision", "--stack", "nobody", "--message=x"],
        cwd=versions.ROOT,
        env={key: value for key, value in os.environ.items() if key != "PULUMI_BACKEND_URL"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "nobody is not up: run `make up STACK=nobody` first" in done.stderr


_TABLE = 'sa.MetaData()\nsa.Table("thing", target_metadata, sa.Column("id", sa.Integer))\n'
_SYNC = """
import os

import sqlalchemy as sa
from alembic import context

config = context.config
target_metadata = {table}


def run(connection):
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()


with {engine}.connect() as connection:
    run(connection)
"""
_ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "a driver in the URL": (
        "sa.create_engine(os.environ['DATABASE_URL'].replace('sql://', 'sql+psycopg2://'))",
        {},
    ),
    "a URL object, of a variable of its own": (
        "sa.create_engine(sa.make_url(os.environ['SHOP']).set(drivername='postgresql+psycopg'))",
        {"variable": "SHOP"},
    ),
    "an option of the configuration": (
        "sa.engine_from_config(config.get_section('shop'), prefix='sqlalchemy.')",
        {"section": "shop"},
    ),
    "an argument": (
        "sa.create_engine(context.get_x_argument(as_dictionary=True)['url'])",
        {"arguments": ["url={url}"]},
    ),
    "an attribute, with another driver": (
        "sa.create_engine(sa.make_url(config.attributes['url']).set(drivername='postgresql+pg8000'))",
        {},
    ),
}


@pytest.mark.parametrize("form", _ENGINES)
def test_whatever_an_env_makes_its_url_of_a_revision_is_written(
    tmp_path: Path, url: str, form: str
) -> None:
    """A synchronous one too, whose driver is not installed; as plain `alembic revision` with it."""
    engine, invocation = _ENGINES[form]
    scripts = tmp_path / "db" / "scripts"
    (scripts / "versions" / "new").mkdir(parents=True)
    ini = "script_location = db/scripts\npath_separator = newline\nfile_template = x%%(slug)s\n"
    (tmp_path / "alembic.ini").write_text(f"[alembic]\n{ini}[shop]\n{ini}")
    (scripts / "env.py").write_text(_SYNC.format(table=_TABLE, engine=engine))
    template = versions.ROOT / "migrations" / "script.py.mako"
    (scripts / "script.py.mako").write_text(template.read_text())

    told = revision.write(
        folder=tmp_path,
        url=url,
        message='it\'s "new"',
        up=_UP,
        invocation=invocation,
        words=["--rev-id=aaaa", "--branch-label=shop"],
    )

    (made,) = (scripts / "versions").glob("*.py")
    assert str(made) in told
    assert made.name == "xit_s_new.py"
    assert "op.create_table('thing'" in made.read_text().replace("\n        ", "")
    assert "revision" in made.read_text()
    assert "shop" in made.read_text()


def test_one_database_of_several_is_compared_and_all_have_their_functions(
    tmp_path: Path, url: str
) -> None:
    """Alembic's multidb template: the other database has a function too, for its own node."""
    project = from_template(tmp_path, "multidb")
    env = project.scripts / "env.py"
    models = f"import sqlalchemy as sa\ntables = {_TABLE.replace('target_metadata', 'tables')}"
    target = "target_metadata = {'engine1': tables}"
    env.write_text(env.read_text().replace("target_metadata = {}", f"{models}{target}"))

    for empty in (False, True):
        revision.write(
            folder=tmp_path,
            url=url,
            message="x",
            up=_UP,
            invocation={"engine": "engine1"},
            words=["--head=base", "--splice"],
            empty=empty,
        )

    made = [path.read_text() for path in project.versions.glob("*.py")]
    assert ["op.create_table('thing'" in text for text in made].count(True) == 1
    assert all("def upgrade_engine1(" in text for text in made)
    assert all("def upgrade_engine2(" in text for text in made)


def test_an_empty_revision_and_one_beside_the_head(folder: Path, url: str) -> None:
    """By the options of `alembic revision`; two heads ask for the one to go on from."""
    for words in (["--rev-id=aaaa"], ["--rev-id=bbbb", "--head=base"]):
        revision.write(folder=folder, url=url, message="x", up=_UP, words=words, empty=True)

    with pytest.raises(ToolchainError, match=r"Multiple heads.*\n.*--head REVISION"):
        revision.write(folder=folder, url=url, message="x", up=_UP, empty=True)
    assert [path.name[:4] for path in _revisions(folder)] == ["aaaa", "bbbb"]


def test_a_stack_says_how_alembic_is_called() -> None:
    """What the engine knows of its keys, for the process that runs env.py."""
    configured: dict[str, dict[str, Any]] = {
        "url_variable": {"value": "SHOP"},
        "iniSection": {"value": "billing", "secret": False},
        "xArguments": {"value": '["a=hunter22", "flag"]', "secret": True},
        "migrationsRoot": {"value": "tests"},
        "driver": {"value": "psycopg"},
        "migrationsPython": {"value": "tests/python"},
        "migrationsEnvironment": {"value": '{"B": "token77", "A": 1}', "secret": True},
        "database": {"value": "other"},
    }

    called = revision.called(configured)

    assert called == {
        "variable": "SHOP",
        "section": "billing",
        "arguments": ["a=hunter22", "flag"],
        "secrets": ["hunter22", "flag", "token77", "1"],
        "root": str(versions.ROOT / "tests"),
        "driver": "psycopg",
        "python": str(versions.ROOT / "tests" / "python"),
        "environment": [["A", "1"], ["B", "token77"]],
    }
    assert Invocation.of(called).command() == "-n billing -x a=*** -x ***"


def test_an_interpreter_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    """One sentence with its path and the key; nothing is written."""
    called = {"python": str(tmp_path / "none")}
    with pytest.raises(ToolchainError, match=r"no interpreter .*/none, and no revision was writ"):
        revision.write(folder=folder, url="", message="x", up=_UP, invocation=called)
    assert not _revisions(folder)
