"""What a catalog holds, on real PostgreSQL: every change by hand is seen as what it is."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from infra.schema import catalog

from .changes import CASES, MIGRATOR, READER, SETUP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from infra.schema.model import Catalog, Drift
    from tests.conftest import PostgresServer


class Hand:
    """A connection in a transaction that is rolled back: everything in it is only seen here."""

    def __init__(self, connection: Any) -> None:
        """Take a connection that has begun a transaction."""
        self.connection = connection

    async def execute(self, sql: str) -> None:
        """Do something as the migrator, or as the superuser after RESET ROLE."""
        await self.connection.execute(sql)
        await self.connection.execute(f"SET LOCAL ROLE {MIGRATOR}")

    async def read(self) -> Catalog:
        """Read the catalog."""
        return await catalog.read(self.connection)


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[dict[str, Any]]:
    """A database with a migrator that owns its schema, and a reader."""
    server = postgres_server
    where = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
    }
    name = f"catalog_{os.urandom(4).hex()}"

    async def execute(database: str, *statements: str) -> None:
        connection = await asyncpg.connect(**where, database=database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(
        execute(
            "postgres",
            f"CREATE ROLE {MIGRATOR}",
            f"CREATE ROLE {READER}",
            f"CREATE DATABASE {name} OWNER {MIGRATOR}",
        )
    )
    asyncio.run(execute(name, "DROP SCHEMA public", "CREATE SCHEMA public"))
    yield {**where, "database": name}
    asyncio.run(
        execute(
            "postgres",
            f"DROP DATABASE {name} WITH (FORCE)",
            f"DROP ROLE {MIGRATOR}",
            f"DROP ROLE {READER}",
        )
    )


@pytest.fixture
def by_hand(database: dict[str, Any]) -> Callable[[Callable[[Hand], Awaitable[None]]], None]:
    """Run something with a `Hand` in a schema `app` with one object of every kind."""

    def run(work: Callable[[Hand], Awaitable[None]]) -> None:
        async def inside() -> None:
            connection = await asyncpg.connect(**database)
            try:
                await connection.execute(
                    f"BEGIN; SET LOCAL ROLE {MIGRATOR}; SET LOCAL search_path = app, public;"
                    "CREATE SCHEMA app"
                )
                await work(Hand(connection))
            finally:
                await connection.close()

        asyncio.run(inside())

    return run


def _seen(drift: tuple[Drift, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((change.change, change.object) for change in drift)


@pytest.mark.parametrize("kind", CASES)
def test_a_change_by_hand_is_seen_as_what_it_is(by_hand: Any, kind: str) -> None:
    """Each names its object and nothing else, and its way back leaves nothing to see."""
    case = CASES[kind]

    async def work(hand: Hand) -> None:
        await hand.execute(SETUP)
        before = await hand.read()
        await hand.execute(case.change)
        assert _seen(catalog.compare(before, await hand.read())) == case.seen
        await hand.execute(case.back)
        assert catalog.compare(before, await hand.read()) == ()

    by_hand(work)


def _among(drift: tuple[Drift, ...], name: str) -> Drift:
    return next(change for change in drift if change.object == name)


# Independent of each other, so that they may come in any order.
_PIECES = (
    "CREATE TABLE app.a (one integer PRIMARY KEY, two text); CREATE INDEX ON app.a (two)",
    'CREATE TABLE app.b (one serial, two text COLLATE "C", three integer[])',
    "CREATE TYPE app.c AS ENUM ('z', 'a'); CREATE DOMAIN app.d AS text CHECK (VALUE <> '')",
    "CREATE FUNCTION app.e() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE SEQUENCE app.g; CREATE VIEW app.h AS SELECT 1 AS one",
    f"CREATE TABLE app.i (one integer); GRANT SELECT, INSERT ON app.i TO {READER}, PUBLIC",
    "CREATE SCHEMA other; CREATE TABLE other.a (one integer)",
)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_creation_does_not_matter(by_hand: Any, seed: int) -> None:
    """Two databases that came to the same by different ways have the same catalog."""
    shuffled = random.Random(seed).sample(_PIECES, len(_PIECES))  # noqa: S311 - a seeded order, no secret

    async def work(hand: Hand) -> None:
        found = []
        for pieces in (_PIECES, shuffled):
            await hand.execute("SAVEPOINT begin")
            for piece in pieces:
                await hand.execute(piece)
            found.append((await hand.read()).objects)
            await hand.execute("ROLLBACK TO begin")
        assert found[0] == found[1]
        assert "table other.a" in found[0]

    by_hand(work)


def test_a_column_that_was_dropped_and_made_again_is_the_same(by_hand: Any) -> None:
    """Its place among the columns is no part of what it is."""

    async def work(hand: Hand) -> None:
        await hand.execute("CREATE TABLE app.t (a integer, b text, c integer)")
        before = await hand.read()
        await hand.execute("ALTER TABLE app.t DROP a; ALTER TABLE app.t ADD a integer")
        assert await hand.read() == before

    by_hand(work)


def test_a_restored_check_and_view_are_the_same(by_hand: Any) -> None:
    """PostgreSQL words `IN` on a varchar differently once its own words were run; this does not."""
    check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'known'"
    literals = "'a', 'b''c, ''d'')', E'\\\\', '])::text[]'"

    async def work(hand: Hand) -> None:
        await hand.execute(
            f"CREATE TABLE app.t (a varchar CONSTRAINT known CHECK (a IN ({literals})))"
        )
        await hand.execute(f"CREATE VIEW app.v AS SELECT a IN ({literals}) AS b FROM app.t")  # noqa: S608 - literals of the test
        before = await hand.read()
        first = await hand.connection.fetchval(check)
        view = await hand.connection.fetchval("SELECT pg_get_viewdef('app.v'::regclass)")
        await hand.execute("ALTER TABLE app.t DROP CONSTRAINT known; DROP VIEW app.v")
        await hand.execute(f"ALTER TABLE app.t ADD CONSTRAINT known {first}")
        await hand.execute(f"CREATE VIEW app.v AS {view}")
        assert await hand.connection.fetchval(check) != first
        assert await hand.read() == before

    by_hand(work)


def test_odd_names_are_quoted(by_hand: Any) -> None:
    """Dots, quotes, spaces and emoji leave no doubt about what is meant."""

    async def work(hand: Hand) -> None:
        before = await hand.read()
        await hand.execute(
            'CREATE SCHEMA "o.d";'
            'CREATE TABLE "o.d"."we ""ird USING 🐘" ("a.b" integer PRIMARY KEY);'
            'CREATE INDEX "on o.d USING x" ON "o.d"."we ""ird USING 🐘" ("a.b");'
            'CREATE TABLE app."select" (a integer)'
        )
        found = await hand.read()
        assert {
            'table "o.d"."we ""ird USING 🐘"',
            'column "o.d"."we ""ird USING 🐘"."a.b"',
            'index "o.d"."on o.d USING x"',
            'table app."select"',
        } <= found.objects.keys()
        drift = catalog.compare(before, found)
        assert _seen(drift) == (("added", 'schema "o.d"'), ("added", 'table app."select"'))
        await hand.execute('DROP INDEX "o.d"."on o.d USING x"')
        less = catalog.compare(found, await hand.read())
        assert _seen(less) == (("removed", 'index "o.d"."on o.d USING x"'),)
        await hand.execute('DROP TABLE "o.d"."we ""ird USING 🐘"')
        gone = catalog.compare(found, await hand.read())
        assert _seen(gone) == (("removed", 'table "o.d"."we ""ird USING 🐘"'),)

    by_hand(work)


def test_a_renamed_table_is_another_one(by_hand: Any) -> None:
    """It is told in two lines, and what follows its name is not listed beside it."""

    async def work(hand: Hand) -> None:
        await hand.execute("CREATE TABLE app.t (a serial PRIMARY KEY); CREATE INDEX ON app.t (a)")
        before = await hand.read()
        await hand.execute("ALTER TABLE app.t RENAME TO u")
        drift = catalog.compare(before, await hand.read())
        assert ("added", "table app.u") in _seen(drift)
        assert ("removed", "table app.t") in _seen(drift)
        # PostgreSQL leaves these their names; they are on another table now.
        assert {change.object for change in drift} == {
            "table app.t",
            "table app.u",
            "index app.t_a_idx",
            "sequence app.t_a_seq",
        }

    by_hand(work)


def test_other_peoples_schemas_do_not_count(by_hand: Any) -> None:
    """Neither one that the migrator may only read, nor what a superuser keeps elsewhere."""

    async def work(hand: Hand) -> None:
        before = await hand.read()
        await hand.execute(
            "RESET ROLE; CREATE SCHEMA theirs; CREATE TABLE theirs.t (a integer);"
            f"GRANT USAGE ON SCHEMA theirs TO {MIGRATOR}; GRANT SELECT ON theirs.t TO {MIGRATOR}"
        )
        assert await hand.read() == before
        await hand.execute(f"RESET ROLE; GRANT CREATE ON SCHEMA theirs TO {MIGRATOR}")
        assert _seen(catalog.compare(before, await hand.read())) == (("added", "schema theirs"),)

    by_hand(work)


def test_a_superuser_sees_what_is_its_own(by_hand: Any) -> None:
    """That it may create everywhere does not make everything its own."""

    async def work(hand: Hand) -> None:
        await hand.execute("CREATE TABLE app.t (a integer)")
        await hand.connection.execute(
            "RESET ROLE; CREATE SCHEMA mine; CREATE TABLE mine.t (a integer);"
            "SET LOCAL search_path = mine"
        )
        found = (await catalog.read(hand.connection)).objects
        assert "table mine.t" in found
        assert "table app.t" not in found

    by_hand(work)


def test_a_reader_sees_what_the_migrator_sees(by_hand: Any) -> None:
    """Once there is a version table, its owner decides what counts; rights are not needed."""

    async def work(hand: Hand) -> None:
        await hand.execute(SETUP + "CREATE SCHEMA second; CREATE TABLE second.t (a integer);")
        await hand.execute("CREATE TABLE app.alembic_version (version_num varchar(32) PRIMARY KEY)")
        before = await hand.read()
        await hand.connection.execute(f"SET LOCAL ROLE {READER}")
        found = await catalog.read(hand.connection, version_schema="app")
        assert found == before
        assert "table second.t" in found.objects

    by_hand(work)


def test_version_table_and_ledger_are_left_out(by_hand: Any) -> None:
    """They belong to the machinery; a table of that name elsewhere does not."""

    async def work(hand: Hand) -> None:
        await hand.execute("CREATE SCHEMA other")
        before = await hand.read()
        await hand.execute(
            "CREATE TABLE app.alembic_version (version_num varchar(32) PRIMARY KEY);"
            "CREATE SCHEMA schema_ledger; CREATE TABLE schema_ledger.events (a integer);"
            f"GRANT SELECT ON app.alembic_version TO {READER};"
            "COMMENT ON TABLE app.alembic_version IS 'Alembic'"
        )
        assert await hand.read() == before
        await hand.execute("CREATE TABLE other.alembic_version (a integer)")
        drift = catalog.compare(before, await hand.read())
        assert _seen(drift) == (("added", "table other.alembic_version"),)

    by_hand(work)


def test_a_long_body_is_told_by_its_digest(by_hand: Any) -> None:
    """It takes no room, and one character of it still makes a difference."""
    body = "BEGIN PERFORM 1; " + "/* much to do */ " * 100 + "END"

    async def work(hand: Hand) -> None:
        make = "CREATE OR REPLACE FUNCTION app.f() RETURNS void LANGUAGE plpgsql AS $f${}$f$"
        await hand.execute(make.format(body))
        before = await hand.read()
        assert len(before.objects["function app.f()"]) < 250
        await hand.execute(make.format(body.replace("PERFORM 1", "PERFORM 2")))
        drift = catalog.compare(before, await hand.read())
        assert _seen(drift) == (("changed", "function app.f()"),)
        assert "sha256" in catalog.worded(drift[0])

    by_hand(work)


def test_how_a_session_words_things_does_not_matter(by_hand: Any) -> None:
    """Time zone, formats of dates and search_path of the role change no definition."""

    async def work(hand: Hand) -> None:
        await hand.execute(SETUP)
        before = await hand.read()
        await hand.connection.execute(
            "SET LOCAL TimeZone = 'Asia/Tokyo'; SET LOCAL DateStyle = 'German';"
            "SET LOCAL IntervalStyle = iso_8601; SET LOCAL quote_all_identifiers = on;"
            "SET LOCAL bytea_output = escape"
        )
        assert await hand.read() == before

    by_hand(work)


def test_reading_leaves_the_session_as_it_was(database: dict[str, Any]) -> None:
    """Inside a transaction and outside of one, also after a refusal."""

    async def work() -> None:
        connection = await asyncpg.connect(**database)
        try:
            await connection.execute(
                "SET search_path = public, pg_catalog; SET TimeZone = 'Asia/Tokyo'"
            )
            await catalog.read(connection)
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SHOW search_path") == "public, pg_catalog"
            async with connection.transaction():
                await catalog.read(connection)
                assert await connection.fetchval("SHOW TimeZone") == "Asia/Tokyo"
                await connection.execute("CREATE TABLE public.still_writing (a integer)")
            await connection.execute("DROP TABLE public.still_writing; SET statement_timeout = 1")
            with pytest.raises(asyncpg.QueryCanceledError):
                await catalog.read(connection)
            assert not connection.is_in_transaction()
        finally:
            await connection.close()

    asyncio.run(work())


def test_an_invalid_index_is_seen(database: dict[str, Any]) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves is not the index that was wanted."""

    async def work() -> None:
        connection = await asyncpg.connect(**database)
        try:
            await connection.execute(
                "CREATE TABLE public.t (a integer); INSERT INTO t VALUES (1), (1)"
            )
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON public.t (a)")
            found = (await catalog.read(connection)).objects
            await connection.execute("DROP TABLE public.t")
        finally:
            await connection.close()
        assert found["index public.broken"] == "on public.t unique USING btree (a), invalid"

    asyncio.run(work())
