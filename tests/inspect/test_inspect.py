"""The inspection of an existing server: what it proposes, what it refuses, what it never shows."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import yaml

from infra.inspect.__main__ import main
from tests.engine import histories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer


@pytest.fixture
def name() -> str:
    """A database and a login of one test's own."""
    return f"Shop {uuid.uuid4().hex[:6]}"


@pytest.fixture
def run(postgres_server: PostgresServer, name: str) -> Iterator[Callable[..., None]]:
    """Run statements on the database, as a superuser or another role."""

    def run(*statements: str, database: str = name) -> None:
        async def work() -> None:
            url = postgres_server.url(user=postgres_server.user, database=database)
            connection = await asyncpg.connect(url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(work())

    run(f'CREATE ROLE "{name}" LOGIN', f'CREATE DATABASE "{name}"', database="postgres")
    yield run
    run(f'DROP DATABASE "{name}" WITH (FORCE)', f'DROP ROLE "{name}"', database="postgres")


@pytest.fixture
def inspect(
    postgres_server: PostgresServer,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    """Inspect the database with a history of three revisions; gives status and both outputs."""
    history = histories.init_three(tmp_path / "history")
    capsys.readouterr()  # of Alembic, which tells of each file

    def inspect(database: str = name) -> tuple[int, str, str]:
        url = postgres_server.url(user=postgres_server.user, database="postgres")
        monkeypatch.setenv("ADMIN_URL", f"{url}?sslmode=disable" if "?" not in url else url)
        status = main(["--database", database, "--migrations", str(history)])
        out, err = capsys.readouterr()
        assert postgres_server.password not in out + err
        return status, out, err

    return inspect


def _keys(out: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(out)["config"]
    return {key.removeprefix("groundwork:"): value for key, value in config.items()}


def test_the_login_that_owns_the_tables_is_the_application(
    run: Callable[..., None], inspect: Callable[..., tuple[int, str, str]], name: str
) -> None:
    """With the schema of the tables and the version table's revision."""
    run(
        f'SET ROLE "{name}"; RESET ROLE',
        f'CREATE SCHEMA "The Shop" AUTHORIZATION "{name}"',
        f'SET ROLE "{name}"',
        'SET search_path = "The Shop"',
        "CREATE TABLE one (id int PRIMARY KEY)",
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('aaa1')",
    )

    status, out, _ = inspect()

    keys = _keys(out)
    assert (keys["schema"], keys["appRole"], keys["extensions"]) == ("The Shop", name, [])
    assert "adopt" not in keys
    assert "aaa1, by its version table" in out
    assert "2 revisions of" in out
    assert f"becomes a member of '{name}'" in out
    assert status == 0


def test_a_revision_that_the_migrations_lack_stands_against_it(
    run: Callable[..., None], inspect: Callable[..., tuple[int, str, str]]
) -> None:
    """The status says so, and the folder of other migrations can be named."""
    run(
        "CREATE TABLE one (id int PRIMARY KEY)",
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('elsewhere')",
    )

    status, out, _ = inspect()

    against = out.partition("What stands against it")[2].partition("config:")[0]
    assert "The database is at elsewhere, which the migrations lack" in out
    assert "do not lead to the database: see Revision" in against
    assert "--migrations FOLDER" in against
    assert status == 2


def test_a_database_that_is_no_revision_is_told_with_the_closest_one(
    run: Callable[..., None], inspect: Callable[..., tuple[int, str, str]], name: str
) -> None:
    """A status that says so, and what differs."""
    run(
        f'GRANT CREATE ON SCHEMA public TO "{name}"',
        f'SET ROLE "{name}"',
        "CREATE TABLE one (id int PRIMARY KEY, more text)",
    )

    status, out, _ = inspect()

    assert status == 2
    assert "closest to aaa1" in out
    assert "do not lead to the database" in out.partition("What stands against it")[2]
    assert "column public.one.more" in out
    assert "adopt" not in _keys(out)


def test_what_can_not_be_inspected_is_one_message(
    run: Callable[..., None], inspect: Callable[..., tuple[int, str, str]]
) -> None:
    """A database that is not there."""
    del run
    status, out, err = inspect("no such database")

    assert (status, out) == (1, "")
    assert "has no database 'no such database'" in err
