"""Row counts and statistics: taken along to a throwaway server, without a value of a row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from infra.schema.rehearsing import statistics, surroundings
from tests.schema.applying import database
from tests.schema.remaking import at, copy, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.rehearsing.statistics import Statistics
    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

pytestmark = pytest.mark.long  # two servers each

_TABLES = """
CREATE TABLE people (id int PRIMARY KEY, name varchar(40), born date, tags text[]);
INSERT INTO people
SELECT g, 'Eve Adams ' || g % 10, CASE WHEN g % 4 = 0 THEN '2000-01-01'::date END, ARRAY['x']
FROM generate_series(1, 2000) g;
CREATE TABLE "ne""ver 😀" (id int);
INSERT INTO "ne""ver 😀" SELECT generate_series(1, 50);
CREATE TABLE ev (at date) PARTITION BY RANGE (at);
CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-06-01');
CREATE TABLE ev2 PARTITION OF ev DEFAULT;
INSERT INTO ev SELECT '2024-01-01'::date + g % 300 FROM generate_series(1, 900) g;
ANALYZE people; ANALYZE ev1; ANALYZE ev2;
"""
_PLANNER = """
SELECT relname::text, reltuples, relpages FROM pg_class
WHERE relname IN ('people', 'people_pkey', 'ev1', 'ev2') ORDER BY 1
"""
_KNOWN = """
SELECT tablename::text, attname::text, null_frac, avg_width, n_distinct, correlation
FROM pg_stats WHERE schemaname = 'public' ORDER BY 1, 2
"""
_VALUES = """
SELECT count(*) FROM pg_stats WHERE schemaname = 'public'
AND (most_common_vals IS NOT NULL OR histogram_bounds IS NOT NULL OR most_common_elems IS NOT NULL)
"""


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A live database with rows."""
    with database(postgres_server) as made:
        made.execute(_TABLES)
        yield made


def _read(place: Place, server: PostgresServer, *schemas: str) -> Statistics:
    async def read() -> Statistics:
        connection: Any = await surroundings.connect(server, place.database)
        try:
            return await statistics.read(connection, schemas)
        finally:
            await connection.close()

    return asyncio.run(read())


def test_the_planner_thinks_as_on_the_live_server(
    place: Place, postgres_server: PostgresServer, target: PostgresServer
) -> None:
    """Rows, pages and what is known of columns are as there; values of rows did not come along."""
    remade = copy(target, place)

    here = at(remade.admin)
    assert remade.notes == ()
    assert here.fetch(_PLANNER) == place.fetch(_PLANNER)
    assert [row[:5] for row in map(tuple, here.fetch(_KNOWN))] == [
        row[:5] for row in map(tuple, place.fetch(_KNOWN))
    ]
    assert place.value(_VALUES) > 0
    assert here.value(_VALUES) == 0
    correlation = "SELECT correlation FROM pg_stats WHERE tablename = 'people' AND attname = 'name'"
    assert here.value(correlation) == place.value(correlation) is not None
    assert here.fetch("SELECT FROM people") == []
    found = _read(place, postgres_server, "public")
    assert "Eve" not in repr(found)


def test_rows_are_known_as_far_as_anybody_knows(place: Place, target: PostgresServer) -> None:
    """By the planner; where nothing was analysed by the server's count; of partitions together."""
    remade = copy(target, place)

    assert remade.rows["public.people"] == 2000
    assert remade.rows["public.ev"] == 900
    assert remade.rows.get('public."ne""ver 😀"', 50) == 50  # told by the server some time later
    assert remade.bytes["public.people"] == place.value("SELECT pg_relation_size('people')")
    assert "public.people_pkey" not in remade.rows


def test_nothing_is_known_of_what_the_role_may_not_read(
    postgres_server: PostgresServer, target: PostgresServer
) -> None:
    """A table behind forced row security has its rows, and no statistics of its columns."""
    with stack(postgres_server) as place:
        place.execute(
            "CREATE TABLE app.open (id int)",
            "INSERT INTO app.open SELECT generate_series(1, 100)",
            "CREATE TABLE app.closed (id int)",
            "INSERT INTO app.closed SELECT generate_series(1, 100)",
            "ANALYZE",
            "ALTER TABLE app.closed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        )
        remade = copy(target, place)

        known = "SELECT tablename::text FROM pg_stats WHERE schemaname = 'app'"
        assert (remade.rows["app.open"], remade.rows["app.closed"]) == (100, 100)
        assert [name for (name,) in at(remade.admin).fetch(known)] == ["open"]
