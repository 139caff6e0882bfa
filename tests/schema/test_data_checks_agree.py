"""What is said of the rows agrees with what PostgreSQL does to the same statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.schema import live, plan
from infra.schema.data_checks import live_rows
from infra.schema.model import Live, Policy
from infra.schema.options import parse
from tests.schema.applying import database
from tests.schema.linted import chain, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

# ruff: noqa: E501 - a statement a line

pytestmark = pytest.mark.long

_TABLES = """
CREATE SCHEMA app; SET search_path = app, public;
CREATE DOMAIN pos AS int CHECK (VALUE > 0);
CREATE DOMAIN need AS text NOT NULL;
CREATE TYPE mood AS ENUM ('good','bad','none');
CREATE TABLE t (id int PRIMARY KEY, a int, b int, s text, v varchar(20), n numeric, ts timestamptz, j json, arr int[], m mood, bo text, u text, c char(5), bits bit(4), d date);
INSERT INTO t SELECT g, nullif(g % 10, 0), g % 3, 'x' || g, CASE WHEN g=1 THEN 'abc  ' ELSE 'abc' END, g * 1.5, now(), '{}', ARRAY[g, null], CASE WHEN g % 2 = 0 THEN 'good'::mood ELSE 'bad' END, 'true', '{}', 'ab', B'0101', date '2026-01-01' + g FROM generate_series(1, 50) g;
CREATE TABLE p (x int, y int, PRIMARY KEY (x, y)); INSERT INTO p SELECT g % 10, g % 3 FROM generate_series(0,9) g ON CONFLICT DO NOTHING;
CREATE TABLE q (x bigint UNIQUE); INSERT INTO q SELECT generate_series(1, 40);
CREATE TABLE par (id int, z int); CREATE TABLE child () INHERITS (par);
INSERT INTO par VALUES (1, 1); INSERT INTO child VALUES (1, NULL);
CREATE TABLE lp (k text, id int) PARTITION BY LIST (lower(k)); CREATE TABLE lp_a PARTITION OF lp FOR VALUES IN ('a');
CREATE TABLE lp_d PARTITION OF lp DEFAULT; INSERT INTO lp VALUES ('A', 1), ('zz', 2), (NULL, 3);
CREATE TABLE lone (k text, id int); INSERT INTO lone VALUES ('B', 1), (NULL, 2);
CREATE TABLE hp (id int) PARTITION BY HASH (id); CREATE TABLE h0 (id int); INSERT INTO h0 SELECT generate_series(1,20);
CREATE TABLE rp (a int, b int) PARTITION BY RANGE (a, b); CREATE TABLE r1 (a int, b int); INSERT INTO r1 VALUES (1, 5), (2, 100), (2, -7);
CREATE TABLE ex (room int, during tsrange); INSERT INTO ex VALUES (1, '[2026-01-01,2026-01-03)'), (2, '[2026-01-02,2026-01-05)');
CREATE TABLE self (id int PRIMARY KEY, up int); INSERT INTO self VALUES (1, NULL), (2, 1), (3, 9);
CREATE MATERIALIZED VIEW mv AS SELECT b FROM t;
CREATE TABLE "Weird ""T" ("Select" int, "x y" text); INSERT INTO "Weird ""T" VALUES (1, NULL), (1, 'a');
CREATE TABLE uq (k int UNIQUE, ts timestamptz UNIQUE, s text, n numeric CONSTRAINT big CHECK (n > 10));
CREATE UNIQUE INDEX uq_lower ON uq (s);
INSERT INTO uq VALUES (1, '2026-01-01 10:00Z', '1', 10.2), (2, '2026-01-01 11:00Z', '01', 10.4), (3, NULL, NULL, NULL);
CREATE TABLE up (x timestamp, y int, UNIQUE (x, y)) PARTITION BY LIST (y); CREATE TABLE up1 PARTITION OF up FOR VALUES IN (1);
INSERT INTO up VALUES ('2026-01-01 10:00', 1), ('2026-01-01 11:00', 1);
ANALYZE;
"""

_STATEMENTS = r"""ALTER TABLE t ALTER a SET NOT NULL
ALTER TABLE t ALTER b SET NOT NULL, ALTER s SET NOT NULL
ALTER TABLE app.t ALTER COLUMN b SET NOT NULL, ALTER COLUMN a SET NOT NULL
ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL)
ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)
ALTER TABLE t ADD CONSTRAINT c CHECK (1 / (b - 5) < 0)
ALTER TABLE t ADD CONSTRAINT c CHECK (1 / (b - 2) < 5)
ALTER TABLE t ADD CONSTRAINT c CHECK (s LIKE 'x%' AND length(s) <= 3), ADD CHECK (b <> 2)
ALTER TABLE t ADD CHECK (m <> 'none')
ALTER TABLE t ADD CHECK (m = 'good')
ALTER TABLE t ADD CHECK (t.id > 0 AND app.t.b >= 0) -- comment with CHECK (
ALTER TABLE t ADD CHECK (t IS NOT NULL)
ALTER TABLE t ADD CHECK (s IN ('x1', $$x2$$) OR s ~ E'^x\\d+$')
ALTER TABLE t ADD UNIQUE (a, b)
ALTER TABLE t ADD UNIQUE (s), ADD UNIQUE (n, a)
ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a)
ALTER TABLE t ADD UNIQUE (j)
ALTER TABLE t ADD CONSTRAINT k UNIQUE (s) DEFERRABLE INITIALLY DEFERRED
CREATE UNIQUE INDEX ON t (a) WHERE b = 7
CREATE UNIQUE INDEX ON t ((a + b), s)
CREATE UNIQUE INDEX ON t (upper(m::text))
CREATE UNIQUE INDEX ON t ((10 / (b - 1)))
CREATE UNIQUE INDEX ON ONLY par (id)
CREATE UNIQUE INDEX ON par (id)
CREATE UNIQUE INDEX ON mv (b)
CREATE UNIQUE INDEX i ON t (s text_pattern_ops) INCLUDE (b) WITH (fillfactor = 70)
CREATE UNIQUE INDEX i ON t USING btree (v COLLATE "C" varchar_pattern_ops DESC NULLS LAST)
ALTER TABLE par ALTER z SET NOT NULL
ALTER TABLE ONLY par ALTER z SET NOT NULL
ALTER TABLE par ADD CONSTRAINT c CHECK (z IS NOT NULL) NO INHERIT
ALTER TABLE par ADD CONSTRAINT c CHECK (z IS NOT NULL)
ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES p
ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES p (x, y) MATCH FULL
ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES q (x)
ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES q (x)
ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES q (x)
ALTER TABLE self ADD FOREIGN KEY (up) REFERENCES self
ALTER TABLE self ADD FOREIGN KEY (up) REFERENCES self (id) ON DELETE SET NULL NOT VALID
ALTER TABLE ex ADD EXCLUDE USING gist (during WITH &&)
ALTER TABLE ex ADD EXCLUDE USING gist (during WITH &&) WHERE (room = 1)
ALTER TABLE ex ADD CONSTRAINT e EXCLUDE USING gist (int4range(room, room, '[]') WITH =, during WITH &&)
ALTER TABLE t ALTER n TYPE int
ALTER TABLE t ALTER n TYPE numeric(3, 1)
ALTER TABLE t ALTER n TYPE numeric(2, 1)
ALTER TABLE t ALTER id TYPE smallint
ALTER TABLE t ALTER id TYPE pos
ALTER TABLE t ALTER b TYPE pos
ALTER TABLE t ALTER s TYPE varchar(3)
ALTER TABLE t ALTER s TYPE varchar(2)
ALTER TABLE t ALTER v TYPE varchar(3)
ALTER TABLE t ALTER v TYPE char(3)
ALTER TABLE t ALTER c TYPE varchar(2)
ALTER TABLE t ALTER s TYPE varchar(2) USING substr(s, 1, 2)
ALTER TABLE t ALTER s TYPE varchar(2) USING s::varchar(2)
ALTER TABLE t ALTER u TYPE json USING u::json
ALTER TABLE t ALTER u TYPE jsonb USING s::jsonb
ALTER TABLE t ALTER u TYPE uuid USING u::uuid
ALTER TABLE t ALTER bo TYPE boolean USING bo::boolean
ALTER TABLE t ALTER bo TYPE boolean USING s::boolean
ALTER TABLE t ALTER s TYPE date USING ('2026-01-' || substr(s, 2))::date
ALTER TABLE t ALTER arr TYPE smallint[]
ALTER TABLE t ALTER ts TYPE date
ALTER TABLE t ALTER bits TYPE bit(3)
ALTER TABLE t ALTER bits TYPE bit(3) USING bits::bit(3)
ALTER TABLE t ALTER m TYPE text, ADD CHECK (m <> 'good')
ALTER TABLE t ALTER id TYPE bigint, ALTER a SET NOT NULL
ALTER TYPE mood RENAME TO old_mood; CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; DROP TYPE old_mood
ALTER TYPE mood RENAME TO old_mood; CREATE TYPE mood AS ENUM ('good'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; DROP TYPE old_mood
ALTER TYPE mood RENAME TO old_mood; CREATE TYPE app.mood AS ENUM ('good'); ALTER TABLE t ALTER m TYPE app.mood USING (CASE m::text WHEN 'bad' THEN 'good' ELSE m::text END)::app.mood
ALTER TABLE t ADD x need
ALTER TABLE t ADD x need DEFAULT 'a'
ALTER TABLE t ADD x int DEFAULT 0 CHECK (x > 0)
ALTER TABLE t ADD x int CHECK (x IS NOT NULL)
ALTER TABLE t ADD x int DEFAULT 77 REFERENCES q (x)
ALTER TABLE t ADD x int DEFAULT 7 REFERENCES q (x)
ALTER TABLE t ADD x int GENERATED ALWAYS AS (a) STORED NOT NULL
ALTER TABLE t ADD x int GENERATED ALWAYS AS (b) STORED NOT NULL
ALTER TABLE t ADD x uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE
ALTER TABLE t ADD x int NOT NULL DEFAULT (1 + 1) UNIQUE
ALTER TABLE t ADD x int PRIMARY KEY
ALTER TABLE q ADD PRIMARY KEY (x)
ALTER TABLE lp ALTER k SET NOT NULL
ALTER TABLE lp_a ALTER k SET NOT NULL
ALTER TABLE lp ADD UNIQUE (id)
ALTER TABLE lp ATTACH PARTITION lone FOR VALUES IN ('b', NULL)
ALTER TABLE lp ATTACH PARTITION lone FOR VALUES IN ('b')
ALTER TABLE lp DETACH PARTITION lp_d; ALTER TABLE lp ATTACH PARTITION lone FOR VALUES IN ('b', NULL)
ALTER TABLE lp DETACH PARTITION lp_d; ALTER TABLE lp ATTACH PARTITION lone DEFAULT
CREATE TABLE lp_z PARTITION OF lp FOR VALUES IN ('zz')
CREATE TABLE lp_y PARTITION OF lp FOR VALUES IN ('yy')
ALTER TABLE hp ATTACH PARTITION h0 FOR VALUES WITH (MODULUS 1, REMAINDER 0)
ALTER TABLE hp ATTACH PARTITION h0 FOR VALUES WITH (MODULUS 2, REMAINDER 0)
ALTER TABLE rp ATTACH PARTITION r1 FOR VALUES FROM (1, 5) TO (2, 101)
ALTER TABLE rp ATTACH PARTITION r1 FOR VALUES FROM (1, 5) TO (2, 100)
ALTER TABLE rp ATTACH PARTITION r1 FOR VALUES FROM (1, MINVALUE) TO (2, MAXVALUE)
ALTER TABLE rp ATTACH PARTITION r1 FOR VALUES FROM (MINVALUE, MINVALUE) TO (2, MINVALUE)
ALTER TABLE rp ATTACH PARTITION r1 FOR VALUES FROM (1, MAXVALUE) TO (MAXVALUE, MAXVALUE)
ALTER DOMAIN pos ADD CHECK (VALUE < 10)
ALTER TABLE "Weird ""T" ALTER "x y" SET NOT NULL
ALTER TABLE "Weird ""T" ADD CONSTRAINT "a ""b" CHECK ("Select" > 0), ADD UNIQUE ("Select")
ALTER TABLE "Weird ""T" RENAME TO w; ALTER TABLE w RENAME "x y" TO z; CREATE UNIQUE INDEX ON w (lower(z))
ALTER TABLE "Weird ""T" RENAME "Select" TO a; ALTER TABLE "Weird ""T" ADD CHECK (a = 1 AND "Weird ""T".a < 2); ALTER TABLE "Weird ""T" ADD UNIQUE (a)
ALTER TABLE t RENAME a TO b2; ALTER TABLE t RENAME b TO a; ALTER TABLE t ALTER a SET NOT NULL
ALTER TABLE t RENAME a TO b2; ALTER TABLE t RENAME b TO a; ALTER TABLE t ALTER b2 SET NOT NULL
ALTER TABLE t RENAME a TO tmp; ALTER TABLE t RENAME b TO a; ALTER TABLE t ADD CHECK (a IS NOT NULL)
ALTER TABLE t SET SCHEMA public; ALTER TABLE public.t ALTER a SET NOT NULL
ALTER TABLE t ADD CONSTRAINT c CHECK (a > 100) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c
ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL
ALTER TABLE t ALTER type TYPE int
ALTER TABLE IF EXISTS t ALTER a SET NOT NULL
ALTER TABLE IF EXISTS nope ALTER a SET NOT NULL
ALTER TABLE ONLY t ADD CONSTRAINT pk2 UNIQUE (b)
DROP TABLE self; CREATE TABLE self (id int, up int); ALTER TABLE self ALTER up SET NOT NULL
CREATE TABLE n1 (LIKE t INCLUDING ALL); ALTER TABLE n1 ALTER a SET NOT NULL
CREATE TABLE n2 AS SELECT * FROM t; ALTER TABLE n2 ALTER a SET NOT NULL
SELECT * INTO n3 FROM t; ALTER TABLE n3 ALTER a SET NOT NULL
ALTER TABLE t DISABLE TRIGGER ALL; ALTER TABLE t ALTER a SET NOT NULL
TRUNCATE t; ALTER TABLE t ALTER a SET NOT NULL
DELETE FROM t; ALTER TABLE t ADD x int NOT NULL
ALTER TABLE t ALTER a DROP NOT NULL, ALTER a SET NOT NULL
ALTER TABLE t ADD COLUMN x int, ALTER COLUMN x SET NOT NULL
ALTER TABLE t ADD COLUMN x int; ALTER TABLE t ADD CHECK (x IS NOT NULL)
ALTER TABLE t ADD COLUMN x int; ALTER TABLE t ALTER x TYPE text; ALTER TABLE t ALTER x SET NOT NULL
ALTER TABLE t ADD COLUMN x int; ALTER TABLE t ALTER x SET DEFAULT 5; ALTER TABLE t ALTER x SET NOT NULL
ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a int; ALTER TABLE t ALTER a SET NOT NULL
ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 3; ALTER TABLE t ADD UNIQUE (a)
ALTER TABLE t DROP COLUMN a, ADD COLUMN a int NOT NULL
SET search_path = public; ALTER TABLE app.t ALTER a SET NOT NULL
ALTER INDEX t_pkey RENAME TO x; ALTER TABLE t ALTER a SET NOT NULL
CREATE UNIQUE INDEX ui ON t (s); ALTER TABLE t ADD CONSTRAINT ui UNIQUE USING INDEX ui
CREATE UNIQUE INDEX ui ON t (a) WHERE false; DROP INDEX ui
ALTER TABLE t ALTER a SET NOT NULL, ADD COLUMN y int
ALTER TABLE lp DETACH PARTITION lp_d; ALTER TABLE lp ALTER k SET NOT NULL
DROP TABLE lp_d; ALTER TABLE lp ALTER k SET NOT NULL
ALTER TABLE child NO INHERIT par; ALTER TABLE par ALTER z SET NOT NULL
ALTER TABLE t ADD COLUMN IF NOT EXISTS a int NOT NULL
ALTER TABLE t ADD x pos DEFAULT 0
ALTER TABLE t ADD x pos
ALTER TYPE mood RENAME TO old_mood; CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; ALTER TABLE t ALTER m SET NOT NULL; ALTER TABLE t ADD CHECK (m <> 'bad')
ALTER TABLE t ALTER s TYPE varchar(9); ALTER TABLE t RENAME s TO s2; ALTER TABLE t ALTER s2 SET NOT NULL; ALTER TABLE t ADD UNIQUE (s2)
ALTER TABLE t RENAME a TO a2; ALTER TABLE t ALTER a2 TYPE bigint; ALTER TABLE t ALTER a2 SET NOT NULL
ALTER TABLE t ALTER n TYPE int USING (n / 10); ALTER TABLE t ADD UNIQUE (n)
ALTER TABLE t ALTER n TYPE int USING 1; ALTER TABLE t ADD UNIQUE (n)
ALTER TABLE t ALTER n TYPE int USING (n * 4); ALTER TABLE t ADD CHECK (n % 2 = 0), ADD UNIQUE (n)
CREATE TYPE kind AS ENUM ('a'); ALTER TABLE t ADD k kind NOT NULL DEFAULT 'a'; ALTER TABLE t ADD UNIQUE (b)
ALTER TABLE t ADD x timestamptz DEFAULT CURRENT_TIMESTAMP UNIQUE
ALTER TABLE t ADD "default" int DEFAULT NULL CONSTRAINT "check" CHECK ("default" IS NOT NULL)
ALTER TABLE t ADD x int NOT NULL DEFAULT -1 CHECK (x < 0) REFERENCES q (x)
ALTER TABLE t ADD x int GENERATED ALWAYS AS (10 / b) STORED
ALTER TABLE t ADD x int GENERATED ALWAYS AS (10 / (b + 1)) STORED
CREATE INDEX ON t ((10 / b))
CREATE INDEX ON t ((10 / b)) WHERE b > 0
CREATE INDEX CONCURRENTLY ON t (lower(s), (s::int))
CREATE INDEX ON "Weird ""T" ((10 / ("Select" - 1)), "x y")
ALTER TABLE t RENAME b TO b2; CREATE INDEX ON t ((10 / b2))
ALTER TABLE uq ALTER ts TYPE date
ALTER TABLE uq ALTER ts TYPE date USING ts
ALTER TABLE uq ALTER s TYPE int USING s::int
ALTER TABLE uq RENAME s TO "S x"; ALTER TABLE uq ALTER "S x" TYPE int USING "S x"::int
ALTER TABLE uq ALTER s TYPE varchar(9)
ALTER TABLE uq ALTER n TYPE int
ALTER TABLE uq ALTER n TYPE numeric(4, 1)
ALTER TABLE uq ALTER k TYPE bigint
ALTER TABLE uq ALTER k TYPE bigint USING 7
ALTER TABLE uq ALTER k TYPE int USING k / 2
ALTER TABLE uq ALTER k TYPE int USING k * 2
ALTER TABLE uq DROP CONSTRAINT uq_ts_key, ALTER ts TYPE date
DROP INDEX uq_lower; ALTER TABLE uq ALTER s TYPE int USING s::int
ALTER TABLE uq DROP CONSTRAINT big; ALTER TABLE uq ALTER n TYPE int
ALTER TABLE up ALTER x TYPE date
ALTER TABLE uq ADD PRIMARY KEY USING INDEX uq_lower
CREATE UNIQUE INDEX "My i" ON uq (k, n); ALTER TABLE uq ADD PRIMARY KEY USING INDEX "My i"
CREATE UNIQUE INDEX "My i" ON uq (k); ALTER TABLE uq ADD CONSTRAINT pk PRIMARY KEY USING INDEX "My i"
CREATE UNIQUE INDEX "My i" ON uq (s); ALTER TABLE uq ADD UNIQUE USING INDEX "My i"
CREATE UNIQUE INDEX "My i" ON uq (n); DELETE FROM uq WHERE n IS NULL; ALTER TABLE uq ADD PRIMARY KEY USING INDEX "My i"
CREATE UNIQUE INDEX "My i" ON uq (s); ALTER TABLE uq RENAME s TO s2; ALTER TABLE uq ADD PRIMARY KEY USING INDEX "My i"
ALTER TABLE uq RENAME s TO s2; ALTER TABLE uq ADD PRIMARY KEY USING INDEX uq_lower"""

# What an earlier statement makes is no live row, and is left to a rehearsal.
_REHEARSED = ("CREATE TABLE n2 AS", "SELECT * INTO n3")
_UNKNOWN = 'ALTER TABLE uq RENAME s TO "S x"'


@pytest.fixture(scope="module")
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """Tables of many kinds, with rows."""
    with database(postgres_server) as made:
        made.execute(_TABLES)
        made.execute(f'ALTER DATABASE "{made.database}" SET search_path = app, public')
        yield made


def _refused(place: Place, sql: str) -> str:
    """Try it, and undo it; gives the SQLSTATE of a refusal."""
    now = "SET CONSTRAINTS ALL IMMEDIATE"
    try:
        place.execute(f"BEGIN; SET LOCAL search_path = app, public; {sql}\n; {now}; ROLLBACK")
    except asyncpg.PostgresError as exc:
        return str(exc.sqlstate)
    return ""


@pytest.mark.parametrize("sql", _STATEMENTS.strip().splitlines())
def test_the_answers_are_those_of_postgresql(place: Place, sql: str) -> None:
    """What rows refuse is violated, and what runs is not; other refusals are no question of rows."""
    files = chain(sql)
    there = live.read_for(files, url_of(place))
    made = plan.make(files, Live(database=there.database), Policy())
    found = live_rows.check(made, files, there, url_of(place), parse({})).checks
    refused = _refused(place, sql)

    said = {(each.outcome, each.text) for each in found}
    outcomes = {outcome for outcome, _ in said}
    if sql.startswith(_REHEARSED):
        assert outcomes == {"unchecked"}
    elif sql.startswith(_UNKNOWN):
        assert outcomes == {"holds", "unchecked"}
    elif refused[:2] in {"22", "23"}:
        assert "violated" in outcomes, (refused, said)
    elif not refused:
        assert "violated" not in outcomes, said
