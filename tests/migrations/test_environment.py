"""What env.py does with connections, schemas and timeouts, and what it generates."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from .history import HEAD, INITIAL
from .place import MIGRATIONS, Place, cli

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_SEEN = '''
import sqlalchemy as sa
from alembic import op
revision = "aaaaaaaaaaaa"
down_revision = "HEAD"
branch_labels = depends_on = None
def upgrade():
    op.execute("""CREATE TABLE seen AS
        SELECT name, current_setting(name) AS setting FROM pg_settings
        WHERE name IN ('lock_timeout', 'statement_timeout')""")
def downgrade():
    op.drop_table("seen")
'''

_BROKEN = """
from alembic import op
revision = "bbbbbbbbbbbb"
down_revision = "HEAD"
branch_labels = depends_on = None
def upgrade():
    op.execute("CREATE TABLE half_made (id int)")
    op.execute("INSERT INTO clients (name, ssn_last4) VALUES ('Ada', '123456789')")
def downgrade():
    op.drop_table("half_made")
"""

_SCRATCH_MODEL = """
from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, Vector
from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column
from models.base import Base, IdentityKey

class Scratch(Base):
    __tablename__ = "scratch"
    __table_args__ = (CheckConstraint("amount > 0", name="amount_positive"),)
    id: Mapped[IdentityKey]
    amount: Mapped[int]
    a: Mapped[list[float]] = mapped_column(Vector(3))
    b: Mapped[list[float]] = mapped_column(HALFVEC(4))
    c: Mapped[list[float]] = mapped_column(SPARSEVEC(5))
    d: Mapped[str] = mapped_column(BIT(6))
    e: Mapped[list[float]] = mapped_column(Vector())
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the migrations in a folder with an awkward name, to put revisions into."""
    return shutil.copytree(
        MIGRATIONS,
        tmp_path / "my work: \"of\" 'migrations' 😀",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def _add(folder: Path, code: str) -> None:
    path = folder / "versions" / "added_for_a_test.py"
    path.write_text(code.replace('"HEAD"', f'"{HEAD}"'), encoding="utf-8")


def _async_url(place: Place) -> str:
    return place.url.replace("postgresql://", "postgresql+asyncpg://")


async def _on_connection(place: Place, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    engine = create_async_engine(_async_url(place))
    try:
        async with engine.connect() as connection:
            await work(connection)
    finally:
        await engine.dispose()


def _tasks_table(place: Place) -> str | None:
    found = place.value("SELECT to_regclass('tasks')::text")
    return None if found is None else str(found)


@pytest.mark.parametrize("keep", [True, False])
def test_a_connection_that_is_handed_in_decides_the_transaction(
    empty: Place, *, keep: bool
) -> None:
    """Inside a caller's transaction, everything is kept or undone with it."""

    async def work(connection: AsyncConnection) -> None:
        transaction = await connection.begin()
        await connection.run_sync(
            lambda inner: empty.alembic("upgrade", INITIAL, attributes={"connection": inner})
        )
        await (transaction.commit() if keep else transaction.rollback())

    asyncio.run(_on_connection(empty, work))

    assert _tasks_table(empty) == ("tasks" if keep else None)


def test_a_connection_without_a_transaction_is_committed(empty: Place) -> None:
    """A caller who opened no transaction need not commit one."""

    async def work(connection: AsyncConnection) -> None:
        await connection.run_sync(
            lambda inner: empty.alembic("upgrade", "head", attributes={"connection": inner})
        )
        assert not connection.in_transaction()

    asyncio.run(_on_connection(empty, work))

    assert _tasks_table(empty) == "tasks"


def test_settings_of_a_connection_that_is_handed_in_are_left_alone(empty: Place) -> None:
    """Its timeouts are the caller's, before and after."""

    async def work(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("SET lock_timeout = '7s'")
        await connection.commit()
        await connection.run_sync(
            lambda inner: empty.alembic("upgrade", "head", attributes={"connection": inner})
        )
        rows = await connection.exec_driver_sql("SHOW lock_timeout")
        assert rows.scalar_one() == "7s"

    asyncio.run(_on_connection(empty, work))


def test_an_asynchronous_engine_may_be_handed_in(empty: Place) -> None:
    """A caller may leave the connecting to env.py."""
    engine = create_async_engine(_async_url(empty))

    empty.alembic("upgrade", "head", attributes={"connection": engine})

    assert _tasks_table(empty) == "tasks"


def test_anything_else_handed_in_is_refused(empty: Place) -> None:
    """A wrong type is named, and nothing is done."""
    with pytest.raises(CommandError, match=r"neither a Connection.* str"):
        empty.alembic("upgrade", "head", attributes={"connection": empty.url})


def test_a_running_event_loop_is_a_clear_error(empty: Place) -> None:
    """Inside an event loop the message says which two ways there are."""

    async def inside() -> None:
        empty.alembic("upgrade", "head")

    with pytest.raises(CommandError, match=r"run_sync.*to_thread"):
        asyncio.run(inside())
    assert _tasks_table(empty) is None


def test_waits_are_limited(empty: Place, copy: Path) -> None:
    """A statement waits 5 s for a lock and one hour at most, whatever applications are allowed."""
    empty.execute(f"ALTER DATABASE {empty.database} SET statement_timeout = '30s'")
    _add(copy, _SEEN)

    empty.alembic("upgrade", "head", folder=copy)

    seen = {row["name"]: row["setting"] for row in empty.fetch("SELECT * FROM seen")}
    assert seen == {"lock_timeout": "5s", "statement_timeout": "1h"}


def test_limits_of_the_role_and_of_the_url_go_first(prepared: Place, copy: Path) -> None:
    """What somebody chose for this role or this connection is kept; a server's default is not."""
    _add(copy, _SEEN)
    prepared.alembic(
        "upgrade",
        "head",
        folder=copy,
        attributes={"url": f"{prepared.url}?lock_timeout=0&options=-c%20statement_timeout%3D9s"},
    )

    seen = {row["name"]: row["setting"] for row in prepared.fetch("SELECT * FROM seen")}
    assert seen == {"lock_timeout": "0", "statement_timeout": "9s"}


def test_a_lock_that_is_held_ends_the_wait(migrated: Place) -> None:
    """A downgrade behind a long reader gives up, keeps everything and says so."""

    async def reader(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("SELECT count(*) FROM clients")
        await asyncio.to_thread(
            migrated.alembic,
            "downgrade",
            "base",
            attributes={"url": f"{migrated.url}?lock_timeout=200ms"},
        )

    with pytest.raises(CommandError, match="lock timeout") as caught:
        asyncio.run(_on_connection(migrated, reader))

    assert "Run the command again" in str(caught.value)
    assert _tasks_table(migrated) == "tasks"


def test_revisions_before_a_broken_one_are_kept(empty: Place, copy: Path) -> None:
    """Each revision has its transaction, and the message quotes no row."""
    _add(copy, _BROKEN)

    with pytest.raises(CommandError, match="ck_clients_ssn_last4_four_digits") as caught:
        empty.alembic("upgrade", "head", folder=copy)

    assert empty.value("SELECT version_num FROM alembic_version") == HEAD
    assert empty.value("SELECT to_regclass('half_made')") is None
    assert "123456789" not in str(caught.value)


def test_a_foreign_version_table_further_down_the_path_is_not_taken(
    prepared: Place, empty: Place
) -> None:
    """The version table of another application in the same database is left alone."""
    empty.execute(
        "CREATE TABLE ext.alembic_version (version_num varchar(32) PRIMARY KEY)",
        "INSERT INTO ext.alembic_version VALUES ('of_another_one')",
        "GRANT ALL ON ext.alembic_version TO PUBLIC",
    )

    prepared.alembic("upgrade", "head")
    prepared.alembic("check")

    assert empty.value("SELECT version_num FROM app.alembic_version") == HEAD
    assert empty.value("SELECT version_num FROM ext.alembic_version") == "of_another_one"


def test_a_search_path_that_leads_nowhere_is_a_clear_error(prepared: Place, empty: Place) -> None:
    """Without a schema to create in, the message names the role and what is missing."""
    empty.execute("DROP EXTENSION vector", "DROP SCHEMA app", "DROP SCHEMA ext")

    with pytest.raises(CommandError, match="leads to no schema"):
        prepared.alembic("upgrade", "head")


def test_offline_sql_needs_no_url() -> None:
    """The plain command renders SQL without any database."""
    done = cli("upgrade", "head", "--sql", cwd=MIGRATIONS)

    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE clients" in done.stdout


def test_autogenerate_writes_vectors_with_their_import(empty: Place, copy: Path) -> None:
    """A new model with pgvector's types becomes a revision that runs and is clean afterwards."""
    empty.alembic("upgrade", "head", folder=copy)
    models = copy / "models" / "__init__.py"
    models.write_text(models.read_text(encoding="utf-8") + "import models.scratch\n")
    (copy / "models" / "scratch.py").write_text(_SCRATCH_MODEL, encoding="utf-8")

    steps = [
        cli("revision", "--autogenerate", "-m", "add scratch", cwd=copy, url=empty.url),
        cli("upgrade", "head", cwd=copy, url=empty.url),
        cli("check", cwd=copy, url=empty.url),
    ]

    assert [step.returncode for step in steps] == [0, 0, 0], steps
    (made,) = (copy / "versions").glob("*_add_scratch.py")
    code = made.read_text(encoding="utf-8")
    found = set(re.findall(r"(?:Vector|HALFVEC|SPARSEVEC|BIT)\(\d*\)", code))
    assert found == {"Vector(3)", "HALFVEC(4)", "SPARSEVEC(5)", "BIT(6)", "Vector()"}
    assert re.search("^from pgvector.sqlalchemy import .*Vector$", code, re.MULTILINE)
    assert "ck_scratch_amount_positive" in code


def test_logging_of_a_caller_is_left_alone(empty: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A caller from Python keeps its handlers and sees Alembic's messages through them."""
    with caplog.at_level("INFO", logger="alembic"):
        empty.alembic("upgrade", "head")

    assert "Running upgrade  -> c5fc18e7c719, initial schema with all models" in caplog.messages


def test_a_revision_that_commits_is_refused_in_a_transaction_of_the_caller(empty: Place) -> None:
    """An index built CONCURRENTLY can't be undone with the caller's transaction: that is said."""

    async def work(connection: AsyncConnection) -> None:
        async with connection.begin():
            await connection.run_sync(
                lambda inner: empty.alembic("upgrade", "head", attributes={"connection": inner})
            )

    with pytest.raises(CommandError, match="run outside transactions"):
        asyncio.run(_on_connection(empty, work))

    assert _tasks_table(empty) is None


def test_nothing_new_writes_no_revision(empty: Place, copy: Path) -> None:
    """The plain command says so, and how to get an empty one, which then needs no database."""
    empty.alembic("upgrade", "head")
    before = set(copy.glob("versions/*.py"))

    same = cli("revision", "--autogenerate", "-m", "nothing", cwd=copy, url=empty.url)
    assert same.returncode == 0, same.stderr
    assert "no revision was written" in same.stderr
    assert set(copy.glob("versions/*.py")) == before

    asked = cli("revision", "-m", "by hand", cwd=copy)
    assert asked.returncode == 0, asked.stderr
    assert len(set(copy.glob("versions/*.py")) - before) == 1
