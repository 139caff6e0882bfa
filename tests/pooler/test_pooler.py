"""The schema node and the servers through a pooler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from infra.database import admin
from infra.database.urls import TLS
from infra.schema import cli
from infra.schema.model import History
from infra.schema.running import connecting, poolers
from tests.forking.fixtures import forked
from tests.pooler.pgbouncer import pooler
from tests.schema.applying import Lab, database, revision, script
from tests.schema.histories.project import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

__all__ = ["forked"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Revisions of each kind: rendered, in autocommit, online, one that sets the session."""
    project = bare(tmp_path)
    project.revision("r1", None, "op.create_table('x1', sa.Column('id', sa.Integer))")
    index = "op.create_index('x1_id', 'x1', ['id'], postgresql_concurrently=True)"
    project.revision("r2", "r1", f"with op.get_context().autocommit_block():\n    {index}")
    project.revision("r3", "r2", "op.get_bind().execute(sa.text('CREATE TABLE x2 (id int)'))")
    more = "op.execute('ALTER TABLE public.x2 ADD COLUMN v int')"
    project.revision("r4", "r3", f"op.execute('SET search_path = pg_catalog')\n{more}")
    return tmp_path


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        yield place


@pytest.fixture(
    params=["transaction", "transaction, one session", "transaction, in turns", "statement"]
)
def unfit(request: pytest.FixtureRequest, place: Place) -> Iterator[Place]:
    """The same behind a pooler that keeps no sessions."""
    mode, _, how = request.param.partition(", ")
    size = 1 if how == "one session" else 2
    with pooler(place, mode, size=size, turns=how == "in turns") as pooled:
        yield pooled


def _url(place: Place) -> str:
    return f"{place.url}?sslmode=disable"


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command of the command line; gives its status, and what it said."""

    def run(place: Place, *arguments: str) -> tuple[int, str]:
        status = cli.main([*arguments, "--migrations", str(folder), "--url", _url(place)])
        told = capsys.readouterr()
        return status, told.out + told.err

    return run


@pytest.mark.usefixtures("forked")
def test_a_history_with_online_revisions_runs_through_a_pooler_in_session_mode(
    place: Place, run: Callable[..., tuple[int, str]]
) -> None:
    """Plan, rendered and online revisions, drift and a second run; no startup parameter passes."""
    with pooler(place, "session") as pooled:
        assert run(pooled, "plan")[0] == 2
        status, told = run(pooled, "upgrade")
        assert status == 0, told
        assert run(pooled, "check") == (0, "at r4, nothing to do\n")
        place.execute("ALTER TABLE x2 ADD COLUMN more int")
        assert "x2" in run(pooled, "drift")[1]
        assert run(pooled, "drift", "accept", "*x2*")[0] == 0
    assert place.value("SELECT count(*) FROM schema_ledger.events WHERE state = 'done'") == 4


def test_a_run_finds_its_limits_again_after_each_revision(place: Place) -> None:
    """A pooler refuses them at the login, and `RESET ALL` between revisions takes them back."""
    watched = "CREATE TABLE t{} AS SELECT current_setting('client_connection_check_interval') AS at"
    lab = Lab(
        place,
        History(
            heads=(),
            digest="",
            revisions=(
                revision("aaaa", script(watched.format(1))),
                revision("bbbb", script(watched.format(2)), "aaaa"),
            ),
        ),
    )
    with pooler(place, "session") as pooled:
        lab.up("aaaa", "bbbb", url=_url(pooled))

    assert place.fetch("SELECT at FROM t1 UNION ALL SELECT at FROM t2") == [("1s",), ("1s",)]


def test_a_pooler_that_keeps_no_sessions_is_refused_in_one_sentence(
    unfit: Place, place: Place, run: Callable[..., tuple[int, str]]
) -> None:
    """By every command, however many sessions it has; nothing was written through it."""
    for command in ("plan", "check", "upgrade", "drift", "ledger"):
        status, told = run(unfit, command)
        assert status == 1
        assert told == (
            f"error: The URL of {unfit.host}:{unfit.port}/{unfit.database} leads to a pooler in"
            " transaction mode, where the lock of a run can't be held: use the server's own port,"
            " or session mode. Nothing was changed.\n"
        )
    assert place.value("SELECT to_regnamespace('schema_ledger')") is None


def test_the_administrator_comes_through_a_pooler_in_session_mode_alone(place: Place) -> None:
    """What roles and databases are made with, and what an existing server is asked by."""

    async def ask(pooled: Place) -> int:
        inputs = {
            "host": pooled.host,
            "port": pooled.port,
            "user": pooled.user,
            "password": pooled.password,
            "maintenance": pooled.database,
            **dict.fromkeys(TLS, ""),
            "sslmode": "disable",
        }
        async with admin.session(inputs) as session:
            return int(await session.fetchval("SELECT 1"))

    with pooler(place, "session") as pooled:
        assert asyncio.run(ask(pooled)) == 1
    with pooler(place, "transaction") as pooled, pytest.raises(poolers.PoolerError):
        asyncio.run(ask(pooled))


def test_a_pool_with_one_session_says_what_a_run_needs(place: Place) -> None:
    """The lock has a session of its own, and the pooler would let it wait for ever."""

    async def two(pooled: Place) -> None:
        first = await connecting.connect(_url(pooled), "one")
        try:
            await connecting.connect(f"{_url(pooled)}&connect_timeout=2", "two")
        finally:
            await connecting.hang_up(first)

    with (
        pooler(place, "session", size=1) as pooled,
        pytest.raises(Exception, match="a run needs two"),
    ):
        asyncio.run(two(pooled))


def test_without_a_pooler_nothing_more_is_asked(place: Place) -> None:
    """The server names its own process at the login."""

    async def ask() -> tuple[int, int, bool, tuple[str, ...]]:
        connection = await connecting.connect(_url(place), "direct")
        try:
            found = await connection.fetchval("SELECT pg_backend_pid()")
            return found, connection.pid, connection.pooled, connection.limits
        finally:
            await connecting.hang_up(connection)

    found, pid, pooled, limits = asyncio.run(ask())
    assert (found, pooled, limits) == (pid, False, ())
