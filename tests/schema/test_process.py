"""Alembic in a process of its own, on Alembic directories of several kinds."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import pytest

from infra.schema import history, live, process
from infra.schema.errors import DatabaseMissingError, HistoryError, LiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer

_SYNC_ENV = """\
import os
import sqlalchemy
from alembic import context

# A project's own way to its database, which knows nothing of its caller.
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://").split("?")[0]
from sqlalchemy.ext.asyncio import create_async_engine
import asyncio


def migrate(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def main():
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


print("noise on standard output")
asyncio.run(main())
"""


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of the test's own, by a URL whose password must be escaped."""
    server = postgres_server
    name = f"p_{os.urandom(4).hex()}"
    _execute(server, f"CREATE DATABASE {name}")
    password = quote(server.password, safe="")
    yield f"postgresql://{server.user}:{password}@{server.host}:{server.port}/{name}?sslmode=disable"
    _execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _execute(server: PostgresServer, sql: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database="postgres",
        )
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(execute())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An Alembic directory with an env.py that reads its own variable, and one revision."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (tmp_path / "env.py").write_text(_SYNC_ENV)
    (tmp_path / "versions").mkdir()
    _revision(tmp_path, "aaaa", None, "CREATE TABLE one (id int)")
    return tmp_path


def _revision(folder: Path, name: str, below: str | None, sql: str) -> None:
    (folder / "versions" / f"{name}_.py").write_text(
        f'"""Made by a test."""\nfrom alembic import op\nrevision = {name!r}\n'
        f"down_revision = {below!r}\n"
        f"def upgrade():\n    op.execute({sql!r})\n"
        "def downgrade():\n    op.execute('DROP TABLE IF EXISTS one')\n"
    )


def test_an_env_that_reads_its_own_variable_is_led_to_the_database(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own DATABASE_URL does not win, and prints do not disturb."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/elsewhere")

    assert process.run(folder, "upgrade", url=url).heads == ("aaaa",)
    assert live.revisions(url) == ("aaaa",)
    process.run(folder, "downgrade", url=url)
    assert live.revisions(url) == ()


def test_a_history_is_known_by_its_files(folder: Path) -> None:
    """A name, a content or a file more changes the digest; bytecode does not."""
    before = history.digest(folder)
    (folder / "versions" / "__pycache__").mkdir()
    (folder / "versions" / "__pycache__" / "aaaa_.cpython-311.pyc").write_bytes(b"x")
    assert history.digest(folder) == before

    (folder / "versions" / "aaaa_.py").rename(folder / "versions" / "aaab_.py")
    assert history.digest(folder) != before


def test_two_heads_are_named_with_the_command_that_merges_them(folder: Path) -> None:
    """One message says it all."""
    _revision(folder, "bbbb", "aaaa", "SELECT 1")
    _revision(folder, "cccc", "aaaa", "SELECT 1")

    with pytest.raises(HistoryError, match=r"2 heads: bbbb, cccc.* merge "):
        history.head(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [("def upgrade(:\n", "SyntaxError"), ("import nowhere\n", "nowhere"), ("\0", "null bytes")],
)
def test_a_broken_revision_is_told_in_a_line(folder: Path, text: str, said: str) -> None:
    """The kind of the mistake, without a traceback."""
    (folder / "versions" / "dddd_.py").write_text(text)

    with pytest.raises(HistoryError, match=said) as caught:
        history.head(folder)
    assert "Traceback" not in str(caught.value)


def test_a_password_in_a_failure_is_not_shown(folder: Path, url: str) -> None:
    """Whatever a revision puts into its exception, the URL and its password are taken out."""
    _revision(folder, "eeee", "aaaa", "SELECT 1")
    file = folder / "versions" / "eeee_.py"
    leak = "import os; raise ValueError(os.environ['DATABASE_URL'])"
    file.write_text(file.read_text().replace("op.execute('SELECT 1')", leak))
    with pytest.raises(process.ProcessError) as caught:
        process.run(folder, "upgrade", url=url)

    assert "***" in str(caught.value)
    assert "test-" not in str(caught.value)


def test_a_database_that_is_not_there_is_told_apart_from_a_server_that_is_not(url: str) -> None:
    """The first can be made anew, the second is down."""
    with pytest.raises(DatabaseMissingError):
        live.revisions(url.replace("/p_", "/q_"))
    with pytest.raises(LiveError, match="does not answer"):
        live.revisions("postgresql://a:b@127.0.0.1:1/x")


def test_the_process_dies_with_the_one_that_waits_for_it(folder: Path, url: str) -> None:
    """After kill -9 of the caller no migration runs on, and what it did is undone."""
    _revision(folder, "ffff", "aaaa", "CREATE TABLE slow AS SELECT pg_sleep(60)")
    code = (
        "import sys; from pathlib import Path; from infra.schema import process\n"
        "process.run(Path(sys.argv[1]), 'upgrade', url=sys.stdin.read())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdin is not None
        caller.stdin.write(url)
        caller.stdin.close()
        child = _wait_for_child(caller.pid)
        time.sleep(1)
        caller.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}/cwd"):  # noqa: PTH110 - gone for one that was not reaped
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _wait_for_child(pid: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - procfs
            children = file.read().split()
        if children:
            return int(children[0])
        time.sleep(0.05)
    pytest.fail("no child was started")
