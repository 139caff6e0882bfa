"""pytest-alembic's tests of a history, on PostgreSQL 17 through the project's async env.py."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from pytest_alembic import tests as default
from pytest_alembic.config import Config as RunnerConfig
from pytest_alembic.plugin.error import AlembicTestFailure
from pytest_alembic.runner import runner
from pytest_alembic.tests import experimental
from pytest_alembic.tests.experimental import (
    all_models_register_on_metadata,
    downgrade_leaves_no_trace,
)
from sqlalchemy import Connection, Engine, event, pool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm.decl_api import DeclarativeAttributeIntercept

from .history import HEAD, REVISIONS
from .place import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_alembic.runner import MigrationContext as Runner

    from .place import Place

_REVISION = '''
"""added for a test"""
from alembic import op
revision = "aaaaaaaaaaaa"
down_revision = "{parent}"
branch_labels = depends_on = None
def upgrade():
    {upgrade}
def downgrade():
    {downgrade}
'''
_STRAY_MODEL = """
from sqlalchemy.orm import Mapped
from models.base import Base, IdentityKey

class Stray(Base):
    __tablename__ = "stray"
    id: Mapped[IdentityKey]
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the migrations, to put mistakes into."""
    return shutil.copytree(
        MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture
def alembic_config(request: pytest.FixtureRequest) -> Config:
    """The project's own configuration, of the copy where a test asks for one."""
    folder = request.getfixturevalue("copy") if "copy" in request.fixturenames else MIGRATIONS
    return Config(str(folder / "alembic.ini"))


@pytest.fixture
def alembic_engine(empty: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncEngine:
    """An asynchronous engine on an empty database of the test's own.

    It finds the database through libpq's environment. pytest-alembic hands its URL on to a
    process as an argument, where a password could be seen, and into a configuration file, where
    the percent signs of an encoded one are an error.
    """
    for name in ("host", "port", "user", "password", "database"):
        monkeypatch.setenv(f"PG{name.upper()}", str(getattr(empty, name)))
    return create_async_engine("postgresql+asyncpg://", poolclass=pool.NullPool)


@pytest.fixture
def in_one_transaction(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let revisions that build outside transactions run inside the one that a test holds open.

    The statement loses the word CONCURRENTLY and nothing else: it makes the same index. Alembic
    gets the connection itself, as env.py asks for, instead of something that only looks like one.
    """

    def not_concurrently(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any
    ) -> tuple[str, Any]:
        return statement.replace(" CONCURRENTLY ", " "), parameters

    monkeypatch.setattr(MigrationContext, "autocommit_block", lambda _self: nullcontext())
    monkeypatch.setattr(downgrade_leaves_no_trace, "WrappingConnection", lambda given: given)
    event.listen(Engine, "before_cursor_execute", not_concurrently, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", not_concurrently)


def _add(folder: Path, *, parent: str = HEAD, **code: str) -> None:
    body = {"upgrade": "pass", "downgrade": "pass"} | code
    path = folder / "versions" / "added_for_a_test.py"
    path.write_text(_REVISION.format(parent=parent, **body), encoding="utf-8")


def _check_registered(folder: str) -> str:
    """Compare, in a fresh process, the models that env.py knows with the modules there are.

    Returns:
        What is wrong, or nothing.
    """
    os.chdir(folder)  # where pytest-alembic expects alembic.ini
    sys.path.insert(0, folder)
    engine: Any = create_async_engine("postgresql+asyncpg://")  # `runner` takes it, undeclared
    with (
        # The metaclass of `DeclarativeBase`: by itself pytest-alembic knows the older one only.
        patch.object(
            all_models_register_on_metadata, "DeclarativeMeta", DeclarativeAttributeIntercept
        ),
        runner(RunnerConfig(alembic_config=Config("alembic.ini")), engine) as context,
    ):
        try:
            experimental.test_all_models_register_on_metadata(context, "models")
        except AlembicTestFailure as exc:
            return str(exc)
    return ""


def _unregistered(folder: Path) -> str:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        return executor.submit(_check_registered, str(folder)).result()


def test_there_is_one_head(alembic_runner: Runner) -> None:
    """The history has a single head: `upgrade head` is never ambiguous."""
    default.test_single_head_revision(alembic_runner)


def test_two_heads_are_found(copy: Path, alembic_runner: Runner) -> None:
    """Two revisions on the same parent fail the test above."""
    _add(copy, parent=REVISIONS[-2])
    alembic_runner.refresh_history()

    with pytest.raises(AlembicTestFailure, match="found 2"):
        default.test_single_head_revision(alembic_runner)


def test_an_empty_database_reaches_head(alembic_runner: Runner) -> None:
    """One revision after the other runs, from nothing to head."""
    default.test_upgrade(alembic_runner)

    assert alembic_runner.current == HEAD


def test_models_match_the_ddl(alembic_runner: Runner) -> None:
    """At head, autogenerate would write an empty revision."""
    default.test_model_definitions_match_ddl(alembic_runner)


def test_ddl_without_a_model_is_found(copy: Path, alembic_runner: Runner) -> None:
    """A column that no model has fails the test above, which shows the difference."""
    _add(copy, upgrade="op.execute('ALTER TABLE clients ADD COLUMN phone text')")
    alembic_runner.refresh_history()

    with pytest.raises(AlembicTestFailure, match=r"drop_column\('clients', 'phone'\)"):
        default.test_model_definitions_match_ddl(alembic_runner)


def test_each_step_goes_up_and_down(alembic_runner: Runner) -> None:
    """Step by step up, step by step down, and up again."""
    default.test_up_down_consistency(alembic_runner)


def test_every_model_is_registered(alembic_engine: AsyncEngine) -> None:
    """`import models`, all that env.py does, brings in every module that holds a table."""
    assert alembic_engine.url.password is None

    assert _unregistered(MIGRATIONS) == ""


def test_a_model_that_is_not_imported_is_found(copy: Path, alembic_engine: AsyncEngine) -> None:
    """A module of models that nothing imports fails the test above."""
    assert alembic_engine.url.password is None
    (copy / "models" / "stray.py").write_text(_STRAY_MODEL, encoding="utf-8")

    assert "affected: stray" in _unregistered(copy)


@pytest.mark.usefixtures("in_one_transaction")
def test_autogenerate_finds_no_trace_of_a_downgrade(alembic_runner: Runner) -> None:
    """After up and down, each revision would be generated again just as before."""
    experimental.test_downgrade_leaves_no_trace(alembic_runner)


@pytest.mark.usefixtures("in_one_transaction")
def test_a_downgrade_that_leaves_something_is_found(copy: Path, alembic_runner: Runner) -> None:
    """A downgrade that forgets its index fails the test above."""
    _add(copy, upgrade="op.create_index('ix_forgotten', 'clients', ['name'])")
    alembic_runner.refresh_history()

    with pytest.raises(AlembicTestFailure, match="ix_forgotten"):
        experimental.test_downgrade_leaves_no_trace(alembic_runner)


def test_no_step_leaves_a_trace_in_the_catalog(alembic_runner: Runner, empty: Place) -> None:
    """Up and down again leaves no type, sequence, function, trigger or policy behind, at any step.

    Autogenerate sees none of these. Here each revision runs as it will, CONCURRENTLY included.
    """
    below = "base"
    for revision in REVISIONS:
        before = empty.catalog()
        alembic_runner.migrate_up_to(revision)
        assert empty.catalog() != before, f"{revision} changes nothing"

        alembic_runner.migrate_down_to(below)
        assert empty.catalog() == before, f"{revision} leaves something behind"

        alembic_runner.migrate_up_to(revision)
        below = revision
