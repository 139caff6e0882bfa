"""The indexes of search: what they are, and that building them survives kills and slow others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import asyncpg
import pytest
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from .history import HEAD, REVISIONS
from .script import statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .place import Place

_TEXT_SEARCH = REVISIONS[1]
# The two revisions that build outside a transaction, each with the table whose index it makes.
_BUILDS = [(REVISIONS[2], "document_embeddings"), (REVISIONS[3], "skill_embeddings")]
_TERMINATE = "SELECT pg_terminate_backend({pid})"
_CANCEL = "SELECT pg_cancel_backend({pid})"
_SECONDS = 15  # the machine may be busy; nothing here takes as long by itself


def _below(revision: str) -> str:
    return REVISIONS[REVISIONS.index(revision) - 1]


def _validity(place: Place, table: str) -> list[bool]:
    rows = place.fetch(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)",
        f"ix_{table}_embedding",
    )
    return [row[0] for row in rows]


async def _connect(place: Place) -> asyncpg.Connection:
    return await asyncpg.connect(place.url, ssl=False)


@asynccontextmanager
async def _writer(place: Place, table: str) -> AsyncIterator[asyncpg.Connection]:
    """Hold a transaction open that has written to `table`: CONCURRENTLY waits for its end."""
    connection = await _connect(place)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def _waiting_builder(watcher: asyncpg.Connection) -> int:
    """Return the process that waits with something CONCURRENTLY."""
    async with asyncio.timeout(_SECONDS):
        while True:
            pid = await watcher.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND query LIKE '%INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
                " AND pid <> pg_backend_pid()"
            )
            if pid is not None:
                return int(pid)
            await asyncio.sleep(0.02)


def _run_beside_writer(
    place: Place,
    table: str,
    *arguments: str,
    limits: str = "",
    meanwhile: str = "SELECT {pid}",
    seconds: float = 0,
) -> None:
    """Run Alembic while a writer of `table` is in its transaction.

    Args:
        place: The database.
        table: Where the writer writes.
        *arguments: The command of Alembic and its arguments.
        limits: Settings of Alembic's connection, as options of a URL.
        meanwhile: SQL that is run when Alembic waits, with its process as `{pid}`.
        seconds: How long the writer goes on after that.
    """
    url = f"{place.url}?{limits}"

    async def run() -> None:
        watcher = await _connect(place)
        async with _writer(place, table):
            job = asyncio.create_task(
                asyncio.to_thread(place.alembic, *arguments, attributes={"url": url})
            )
            pid = await _waiting_builder(watcher)
            await watcher.execute(meanwhile.format(pid=pid))
            await asyncio.sleep(seconds)
        await watcher.close()
        await job

    asyncio.run(run())


@pytest.mark.parametrize(("revision", "table"), _BUILDS)
@pytest.mark.parametrize("kill", [_TERMINATE, _CANCEL], ids=["terminated", "canceled"])
def test_a_killed_build_is_built_again(
    make_database: Callable[..., Place], revision: str, table: str, kill: str
) -> None:
    """What a killed build leaves behind is INVALID, and the next run replaces it."""
    place = make_database()
    place.alembic("upgrade", _below(revision))

    with pytest.raises(CommandError, match=r"terminating connection|canceling statement"):
        _run_beside_writer(place, table, "upgrade", revision, meanwhile=kill)
    assert _validity(place, table) == [False]

    place.alembic("upgrade", "head")
    assert _validity(place, table) == [True]
    assert place.value("SELECT version_num FROM alembic_version") == HEAD


@pytest.mark.parametrize(("revision", "table"), _BUILDS)
def test_a_build_that_takes_too_long_is_built_again(
    make_database: Callable[..., Place], revision: str, table: str
) -> None:
    """`statement_timeout` still ends a build; what it leaves is replaced."""
    place = make_database()
    place.alembic("upgrade", _below(revision))

    with pytest.raises(CommandError, match="statement timeout"):
        _run_beside_writer(
            place, table, "upgrade", revision, limits="statement_timeout=300ms", seconds=0.6
        )
    assert _validity(place, table) == [False]

    place.alembic("upgrade", revision)
    assert _validity(place, table) == [True]


@pytest.mark.parametrize(("revision", "table"), _BUILDS)
def test_a_slow_transaction_of_somebody_else_is_waited_for(
    make_database: Callable[..., Place], revision: str, table: str
) -> None:
    """Neither way fails beside a transaction that is open for longer than `lock_timeout`."""
    place = make_database()
    place.alembic("upgrade", _below(revision))
    limits = "lock_timeout=100ms"

    _run_beside_writer(place, table, "upgrade", revision, limits=limits, seconds=0.4)
    assert _validity(place, table) == [True]

    _run_beside_writer(place, table, "downgrade", "-1", limits=limits, seconds=0.4)
    assert _validity(place, table) == []


@pytest.mark.parametrize(("revision", "table"), _BUILDS)
def test_a_killed_downgrade_goes_down_again(
    make_database: Callable[..., Place], revision: str, table: str
) -> None:
    """A downgrade that was killed while it waited leaves an index that the next one drops."""
    place = make_database()
    place.alembic("upgrade", revision)

    with pytest.raises(CommandError):
        _run_beside_writer(place, table, "downgrade", "-1", meanwhile=_TERMINATE)
    assert place.value("SELECT version_num FROM alembic_version") == revision

    place.alembic("downgrade", "-1")
    assert _validity(place, table) == []


@pytest.mark.parametrize("outcome", ["built", "canceled"])
def test_lock_timeout_is_what_it_was_after_a_build(
    make_database: Callable[..., Place], outcome: str
) -> None:
    """The session has its own limit again for the revisions that follow, and after a failure."""
    place = make_database()
    place.alembic("upgrade", _TEXT_SEARCH)
    seen: list[str] = []

    async def work() -> None:
        engine = create_async_engine(place.url.replace("postgresql:", "postgresql+asyncpg:"))
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SET lock_timeout = '700ms'")
            await connection.commit()
            with nullcontext() if outcome == "built" else pytest.raises(DBAPIError):
                await connection.run_sync(
                    lambda inner: place.alembic(
                        "upgrade", REVISIONS[3], attributes={"connection": inner}
                    )
                )
            await connection.rollback()
            rows = await connection.exec_driver_sql(
                "SELECT current_setting(name) || current_setting('groundwork.lock_timeout')"
                " FROM pg_settings WHERE name = 'lock_timeout'"
            )
            seen.append(rows.scalar_one())
        await engine.dispose()

    if outcome == "canceled":
        place.execute("DROP TABLE document_embeddings")
    asyncio.run(work())

    assert seen == ["700ms"]


def test_offline_sql_gives_lock_timeout_back(
    make_database: Callable[..., Place],
) -> None:
    """Also where a person runs the rendered SQL, statement by statement, in one session."""
    place = make_database()
    place.alembic("upgrade", _TEXT_SEARCH)
    sql = place.alembic("upgrade", f"{_TEXT_SEARCH}:{REVISIONS[3]}", sql=True)

    place.execute(
        "SET lock_timeout = '700ms'",
        *statements(sql),
        "CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS setting",
    )

    assert place.value("SELECT setting FROM seen") == "700ms"
    assert [_validity(place, table) for _, table in _BUILDS] == [[True], [True]]


def test_a_build_in_the_transaction_of_a_caller_is_a_clear_error(
    make_database: Callable[..., Place],
) -> None:
    """No transaction can hold CONCURRENTLY: the message says how to call it instead."""
    place = make_database()

    async def work() -> None:
        engine = create_async_engine(place.url.replace("postgresql:", "postgresql+asyncpg:"))
        try:
            async with engine.begin() as connection:
                await connection.run_sync(
                    lambda inner: place.alembic("upgrade", "head", attributes={"connection": inner})
                )
        finally:
            await engine.dispose()

    with pytest.raises(CommandError, match="without a transaction"):
        asyncio.run(work())
    assert place.value("SELECT to_regclass('clients')") is None


def test_search_indexes_are_what_queries_ask_for(migrated: Place) -> None:
    """Method, operator class and parameters are as the models say."""
    definitions = [
        row[0]
        for row in migrated.fetch(
            "SELECT indexdef FROM pg_indexes WHERE indexdef ~ 'USING (gin|hnsw)' ORDER BY indexname"
        )
    ]

    gin = "USING gin (to_tsvector('english'::regconfig, chunk_text))"
    hnsw = "USING hnsw (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')"
    assert definitions == [
        f"CREATE INDEX ix_document_embeddings_embedding ON public.document_embeddings {hnsw}",
        f"CREATE INDEX ix_skill_embeddings_chunk_text_english ON public.skill_embeddings {gin}",
        f"CREATE INDEX ix_skill_embeddings_embedding ON public.skill_embeddings {hnsw}",
    ]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT id FROM document_embeddings ORDER BY embedding <=> $1::vector LIMIT 5",
            "ix_document_embeddings_embedding",
        ),
        (
            "SELECT id FROM skill_embeddings ORDER BY embedding <=> $1::vector LIMIT 5",
            "ix_skill_embeddings_embedding",
        ),
        (
            (
                "SELECT id FROM skill_embeddings WHERE to_tsvector('english', chunk_text)"
                " @@ websearch_to_tsquery('english', 'depreciation')"
            ),
            "ix_skill_embeddings_chunk_text_english",
        ),
    ],
)
def test_a_search_can_use_its_index(migrated: Place, query: str, index: str) -> None:
    """The documented form of each query is one that its index can answer."""
    migrated.execute(f"ALTER DATABASE {migrated.database} SET enable_seqscan = off")
    vector = "'[" + ",".join(["0.1"] * 1536) + "]'"

    plan = migrated.fetch(f"EXPLAIN {query.replace('$1', vector)}")

    assert index in "\n".join(row[0] for row in plan)
