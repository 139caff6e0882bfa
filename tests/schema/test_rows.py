"""Made-up rows: as many as wanted, in keeping with every rule of the tables."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import apply, history, live, plan
from infra.schema.model import Policy
from infra.schema.rehearsing import rows, surroundings
from infra.schema.rehearsing.statistics import Column, Statistics, Table
from tests.migrations.place import MIGRATIONS
from tests.schema.applying import database
from tests.schema.remaking import at, copy, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.rehearsing.rows import Generated
    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

pytestmark = pytest.mark.long  # thousands of rows

_TYPES = """
CREATE EXTENSION vector;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(5) NOT NULL CHECK (VALUE IN ('a', 'b'));
CREATE TYPE pair AS (a int, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE kinds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ser serial,
    s2 smallint CHECK (s2 < 10), i int NOT NULL CHECK (i > 0), n numeric(6,2) CHECK (n > 5),
    n0 numeric, nn numeric(3,3), f real CHECK (f BETWEEN 0 AND 1), d double precision, m money,
    b boolean NOT NULL, t text NOT NULL CHECK (char_length(t) BETWEEN 20 AND 30),
    v varchar(3) CHECK (v IN ('x', 'yy')), c char(2), ch "char", nm name, u uuid UNIQUE, dt date,
    ts timestamp, tz timestamptz, tm time, tmz timetz, iv interval, j json, jb jsonb, by bytea,
    ip inet, ci cidr, ma macaddr, ma8 macaddr8, bi bit(7), vb varbit(5), tv tsvector, tq tsquery,
    po point, ls lseg, bo box, pa path, pg polygon, ce circle, li line, lsn pg_lsn, o oid,
    ar int[], at text[], ae mood[], r1 int4range, r2 tstzrange, r3 numrange, r4 span, r5 daterange,
    mr int4multirange, mo mood NOT NULL, dom positive NOT NULL, co code, p pair, vec vector(8),
    hv halfvec(4), sv sparsevec(5), gen int GENERATED ALWAYS AS (i * 2) STORED CHECK (gen > 0)
)
"""
_RELATED = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE tenant (id int PRIMARY KEY, slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9 ]+$'),
    parent int REFERENCES tenant, boss int NOT NULL REFERENCES tenant);
CREATE UNIQUE INDEX ON tenant (lower(slug));
CREATE TABLE "weird ""ta.b😀le" ("a b" int, "c""d" text, tenant int NOT NULL REFERENCES tenant,
    PRIMARY KEY ("a b", tenant));
CREATE TABLE child (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, ab int NOT NULL,
    tenant int NOT NULL, other int NOT NULL REFERENCES tenant,
    FOREIGN KEY (ab, tenant) REFERENCES "weird ""ta.b😀le");
CREATE TABLE link (t int REFERENCES tenant, c uuid REFERENCES child, PRIMARY KEY (t, c));
CREATE TABLE one (tenant int PRIMARY KEY REFERENCES tenant, note text);
CREATE TABLE loop_a (id int PRIMARY KEY, b int);
CREATE TABLE loop_b (id int PRIMARY KEY, a int NOT NULL REFERENCES loop_a);
ALTER TABLE loop_a ADD FOREIGN KEY (b) REFERENCES loop_b;
CREATE TABLE job (id int PRIMARY KEY, state mood NOT NULL, finished timestamptz,
    CHECK ((state = 'happy') = (finished IS NOT NULL)));
CREATE TABLE booking (room int, during tsrange, EXCLUDE USING gist (during WITH &&));
CREATE TABLE deferred (a int UNIQUE DEFERRABLE);
CREATE TABLE no_columns ();
CREATE FUNCTION like_it(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TABLE counted (id serial PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY,
    same int GENERATED ALWAYS AS (like_it(id)) STORED,
    twice bigint GENERATED ALWAYS AS (n * 2) STORED,
    CHECK (same > 0), CHECK (twice > 0), CHECK (id < 1000));
CREATE TABLE guarded (a int PRIMARY KEY);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
CREATE TRIGGER no BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION no();
CREATE TABLE ev (at timestamptz NOT NULL, region text NOT NULL, n int, PRIMARY KEY (at, region))
    PARTITION BY RANGE (at);
CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE ev2 PARTITION OF ev FOR VALUES FROM ('2024-02-01') TO (MAXVALUE)
    PARTITION BY LIST (region);
CREATE TABLE ev2a PARTITION OF ev2 FOR VALUES IN ('eu', 'it''s, us');
CREATE TABLE ev2b PARTITION OF ev2 DEFAULT;
CREATE TABLE hashed (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE hashed0 PARTITION OF hashed FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE hashed1 PARTITION OF hashed FOR VALUES WITH (modulus 2, remainder 1)
"""
_REFERENCES = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace
"""
_NAMES = """
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """An empty database."""
    with database(postgres_server) as made:
        yield made


def _generate(
    place: Place, server: PostgresServer, most: int, found: Statistics | None = None, **more: Any
) -> Generated:
    async def work() -> Generated:
        connection: Any = await surroundings.connect(server, place.database)
        try:
            return await rows.generate(
                connection,
                ["public"],
                found or Statistics(),
                most,
                left_out=("public", "alembic_version"),
                **more,
            )
        finally:
            await connection.close()

    return asyncio.run(work())


def _counts(place: Place) -> dict[str, int]:
    names = [name for (name,) in place.fetch(_NAMES)]
    return {name: place.value(f"SELECT count(*) FROM {name}") for name in names}  # noqa: S608 - names of PostgreSQL's own making


def test_there_are_values_of_every_type(place: Place, postgres_server: PostgresServer) -> None:
    """In keeping with checks and domains; what PostgreSQL numbers or computes is left to it."""
    place.execute(_TYPES)
    made = _generate(place, postgres_server, 40)

    assert made.notes == []
    assert made.rows == {"public.kinds": 40}
    (row,) = place.fetch("SELECT * FROM kinds WHERE id = 3")
    assert row["gen"] == 2 * row["i"]
    assert {v for (v,) in place.fetch("SELECT DISTINCT v FROM kinds")} == {None, "x", "yy"}
    counted = ", ".join(f'count("{column}")' for column in dict(row))
    assert 0 not in tuple(place.fetch(f"SELECT {counted} FROM kinds")[0])  # noqa: S608 - the same
    vectors = "SELECT count(DISTINCT vec::text), count(vec) FROM kinds"
    (different, all_of_them) = place.fetch(vectors)[0]
    assert different == all_of_them


def test_keys_references_checks_and_partitions_hold(
    place: Place, postgres_server: PostgresServer
) -> None:
    """Parents come before children, odd names too; triggers don't run; partitions share."""
    place.execute(_RELATED)
    made = _generate(place, postgres_server, 60)

    assert made.notes == []
    assert _counts(place) == dict.fromkeys(_counts(place), 60)
    assert place.value("SELECT nextval('counted_id_seq') > max(id) FROM counted")
    for table, name, definition in place.fetch(_REFERENCES):
        place.execute(
            f"ALTER TABLE {table} DROP CONSTRAINT {name}",
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}",  # it looks at every row
        )
    for table in ("ev", "hashed"):
        assert place.value(f"SELECT count(DISTINCT tableoid) FROM {table}") == 2  # noqa: S608 - as above


def test_rows_are_the_same_at_every_run(place: Place, postgres_server: PostgresServer) -> None:
    """Nothing in them is left to chance."""
    place.execute("CREATE TABLE t (id int PRIMARY KEY, a text, b uuid, c timestamptz, d float8)")
    digest = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t"
    _generate(place, postgres_server, 100)
    first = place.value(digest)
    place.execute("TRUNCATE t")
    _generate(place, postgres_server, 100)

    assert place.value(digest) == first


def test_statistics_say_how_many_and_of_what_kind(
    place: Place, postgres_server: PostgresServer
) -> None:
    """A table gets what it has there, up to the number; nulls, widths and repetition are alike."""
    place.execute(
        "CREATE TABLE small (id int)",
        "CREATE TABLE large (id int)",
        "CREATE TABLE kinds (nothing int, half int, few text, wide text)",
    )

    def table(name: str, count: int) -> Table:
        return Table(
            schema="public", name=name, kind="r", label=f"public.{name}", rows=count,
            tuples=count, pages=1, visible=0, bytes=8192,
        )  # fmt: skip

    def column(name: str, nulls: float, width: int, distinct: float) -> Column:
        return Column(
            schema="public", table="kinds", name=name, inherited=False, nulls=nulls, width=width,
            distinct=distinct, correlation=None,
        )  # fmt: skip

    found = Statistics(
        tables=(table("small", 7), table("large", 10**9)),
        columns=(
            column("nothing", 1, 4, 0),
            column("half", 0.5, 4, -1),
            column("few", 0, 8, 3),
            column("wide", 0, 500, -1),
        ),
    )
    made = _generate(place, postgres_server, 1000, found)

    assert made.rows == {"public.small": 7, "public.large": 1000, "public.kinds": 1000}
    assert made.notes == []
    query = "SELECT count(nothing), count(half), count(DISTINCT few), avg(length(wide)) FROM kinds"
    nothing, half, few, wide = place.fetch(query)[0]
    assert (nothing, few, round(wide)) == (0, 3, 500)
    assert half == pytest.approx(500, abs=50)


def test_a_table_that_can_t_be_filled_says_why(
    place: Place, postgres_server: PostgresServer
) -> None:
    """It stays empty, and so does what needs it; the others have their rows."""
    place.execute(
        "CREATE FUNCTION never(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false'",
        'CREATE TABLE hopeless (id int PRIMARY KEY CONSTRAINT "ne ver" CHECK (never(id)))',
        "CREATE TABLE needs (id int NOT NULL REFERENCES hopeless)",
        "CREATE DOMAIN vowel AS text CHECK (VALUE ~ '^[aeiou]$')",
        "CREATE TABLE vowels (v vowel NOT NULL)",
        "CREATE TABLE flags (b boolean UNIQUE NOT NULL)",
        "CREATE TABLE easy (id int)",
    )
    made = _generate(place, postgres_server, 20)

    assert made.rows == {"public.easy": 20, "public.flags": 2}
    told = "\n".join(made.notes)
    assert "made up for public.hopeless: none that was tried passes its checks ne ver" in told
    assert "made up for public.needs: public.hopeless, which it refers to, has none" in told
    assert "made up for public.vowels: value for domain public.vowel violates check" in told
    assert "public.flags has 2 made-up rows, not 20" in told
    assert _counts(place)["vowels"] == 0


def test_it_ends_when_its_time_is_up(place: Place, postgres_server: PostgresServer) -> None:
    """A table that takes too long is given up, with those that are still to come."""
    place.execute(
        "CREATE FUNCTION slow(int) RETURNS bool LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(0.2); RETURN true; END'",
        "CREATE TABLE slow (id int PRIMARY KEY CHECK (slow(id)))",
        "CREATE TABLE later (id int REFERENCES slow)",
    )
    begin = time.monotonic()
    made = _generate(place, postgres_server, 10_000, seconds=1.5)

    assert time.monotonic() - begin < 300
    assert made.rows == {}
    assert any("statement timeout" in note for note in made.notes)


def test_the_project_s_own_tables_are_filled(
    postgres_server: PostgresServer, target: PostgresServer
) -> None:
    """All of them, those with vectors and row security too; the copy is as it was otherwise."""
    files = history.read(MIGRATIONS)
    with stack(postgres_server) as place:
        url = f"{place.url}?sslmode=disable"
        made = plan.make(files, live.read_for(files, url), Policy())
        apply.run(made, files, apply.Terms(url=url, folder=MIGRATIONS))
        remade = copy(target, place, files, generate=50)

    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'app'"
    assert remade.notes == ()
    assert len(remade.generated) == at(remade.admin).value(tables) - 1  # the version table
    assert set(remade.generated.values()) == {50}


@pytest.mark.long
def test_a_hundred_thousand_rows_take_seconds(
    place: Place, postgres_server: PostgresServer
) -> None:
    """Twelve tables in a row of references, 100,000 rows in all."""
    place.execute(
        "CREATE TABLE t0 (id int PRIMARY KEY, note text)",
        *(
            f"CREATE TABLE t{n} (id int PRIMARY KEY, up int NOT NULL REFERENCES t{n - 1}, a text,"
            " b jsonb, at timestamptz NOT NULL, UNIQUE (up, at))"
            for n in range(1, 12)
        ),
    )
    begin = time.monotonic()
    made = _generate(place, postgres_server, 100_000 // 12)

    assert time.monotonic() - begin < 300  # 3 s on two idle cores
    assert set(made.rows.values()) == {100_000 // 12}
    assert made.notes == []
