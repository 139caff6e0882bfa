-- One of everything that a database may have; several odd names.
CREATE EXTENSION vector;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE COLLATION german (provider = libc, locale = 'POSIX');
CREATE SEQUENCE "num bers" INCREMENT 5 CACHE 3;
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.note || ''!''; RETURN NEW; END';
CREATE FUNCTION alert() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE PROCEDURE nothing() LANGUAGE sql AS '';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===);
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR word WITH plain;

CREATE TABLE parent (
    id bigint GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY,
    n int NOT NULL DEFAULT nextval('"num bers"'),
    doubled int GENERATED ALWAYS AS (twice(n)) STORED,
    note text COLLATE german DEFAULT 'x' CHECK (note <> ''),
    m mood, p pair, s span, positive positive, v vector(3),
    CONSTRAINT "odd ""check" CHECK (n > 0) NOT VALID
);
COMMENT ON TABLE parent IS 'it''s a table';
COMMENT ON COLUMN parent.note IS 'a note';
ALTER TABLE parent ALTER note SET STORAGE EXTERNAL, ALTER n SET STATISTICS 500;
ALTER TABLE parent SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
CREATE TABLE "we""ird 😀 table" (
    "a b" int, parent bigint REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY ("a b") INCLUDE (parent)
);
CREATE TABLE aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg (id int);
CREATE TABLE child (extra int) INHERITS (parent);
CREATE UNLOGGED TABLE quick (id int);
CREATE TABLE typed OF pair;
CREATE TABLE booking (room int, during tsrange, EXCLUDE USING gist (during WITH &&));
CREATE TABLE ev (at timestamptz NOT NULL, region text NOT NULL, PRIMARY KEY (at, region)) PARTITION BY RANGE (at);
CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE ev2 PARTITION OF ev FOR VALUES FROM ('2024-02-01') TO (MAXVALUE) PARTITION BY LIST (region);
CREATE TABLE ev2a PARTITION OF ev2 FOR VALUES IN ('eu', 'it''s, us');
CREATE TABLE ev2b PARTITION OF ev2 DEFAULT;
CREATE INDEX ON ev (region);

CREATE INDEX "half index" ON parent (lower(note)) WHERE n > 5;
CREATE INDEX ON parent USING hnsw (v vector_cosine_ops) WITH (m = 8);
CREATE UNIQUE INDEX for_replicas ON parent (n);
ALTER TABLE parent REPLICA IDENTITY USING INDEX for_replicas;
ALTER TABLE parent CLUSTER ON parent_pkey;
CREATE STATISTICS together ON n, doubled FROM parent;
CREATE TRIGGER stamp BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE parent DISABLE TRIGGER stamp;
CREATE RULE quiet AS ON DELETE TO quick DO INSTEAD NOTHING;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON parent FOR SELECT USING (note = current_user);
CREATE VIEW seen WITH (security_barrier) AS SELECT id, note FROM parent WHERE n > 0;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM parent;
CREATE UNIQUE INDEX ON kept (n);
CREATE PUBLICATION "pub lic" FOR TABLE typed WHERE (a > 3) WITH (publish = 'insert');
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION alert();
GRANT SELECT (note), UPDATE (n) ON parent TO PUBLIC;
REVOKE ALL ON FUNCTION twice(int) FROM PUBLIC;
CREATE SCHEMA "o""ther 😀\ s$chema";
CREATE TABLE "o""ther 😀\ s$chema"."T" (id serial PRIMARY KEY);
INSERT INTO quick VALUES (1);
