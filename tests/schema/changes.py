"""A schema with one object of every kind, and for each kind a change that a hand may make."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CASES", "MIGRATOR", "READER", "SETUP", "Case"]

MIGRATOR = "catalog_migrator"
READER = '"the ""reader"" 📖"'

SETUP = """
CREATE TABLE app.clients (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE app.scratch (id bigint GENERATED ALWAYS AS IDENTITY);
CREATE TYPE app.status AS ENUM ('open', 'done');
CREATE TYPE app.pair AS (a integer, b text);
CREATE DOMAIN app.amount AS numeric(10, 2) CONSTRAINT positive CHECK (VALUE > 0);
CREATE TYPE app.span AS RANGE (subtype = date);
CREATE TABLE app.tasks (
    id serial PRIMARY KEY,
    client bigint CONSTRAINT of_client REFERENCES app.clients ON DELETE CASCADE,
    status app.status NOT NULL DEFAULT 'open',
    kind varchar(20) CONSTRAINT known CHECK (kind IN ('a', 'b')),
    due timestamptz DEFAULT '2024-01-01 12:00+02',
    cost app.amount,
    words integer GENERATED ALWAYS AS (length(kind)) STORED
);
CREATE INDEX ix_tasks_status ON app.tasks (status) WHERE kind <> 'b';
CREATE INDEX ix_tasks_client ON app.tasks (client);
CREATE FUNCTION app.f(a integer, b text DEFAULT 'x') RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.p() LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE AGGREGATE app.total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE TRIGGER touch BEFORE UPDATE ON app.tasks FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE VIEW app.open AS SELECT id, kind FROM app.tasks WHERE kind IN ('a', 'b');
CREATE MATERIALIZED VIEW app.counted AS SELECT status, count(*) AS n FROM app.tasks GROUP BY 1;
CREATE RULE quiet AS ON DELETE TO app.open DO INSTEAD NOTHING;
CREATE POLICY mine ON app.tasks FOR SELECT USING (client = 1);
CREATE STATISTICS app.together (dependencies) ON status, kind FROM app.tasks;
CREATE SEQUENCE app.numbers;
CREATE TABLE app.log (id integer, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.log_2024 PARTITION OF app.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX ix_log_id ON app.log (id);
CREATE TABLE app.kin (a integer);
CREATE TABLE app.child (b integer) INHERITS (app.kin);
CREATE COLLATION app.plain (provider = libc, locale = 'C');
CREATE OPERATOR app.=== (leftarg = integer, rightarg = integer, function = int4eq);
CREATE TEXT SEARCH DICTIONARY app.words (template = simple);
CREATE TEXT SEARCH CONFIGURATION app.search (copy = pg_catalog.simple);
CREATE PUBLICATION changes FOR TABLE app.clients;
GRANT SELECT ON app.tasks TO "the ""reader"" 📖";
COMMENT ON TABLE app.tasks IS 'what there is to do';
"""


class Case(NamedTuple):
    """A change by hand, the way back from it, and what is seen of it."""

    change: str
    back: str
    seen: tuple[tuple[str, str], ...]


def _added(name: str) -> tuple[tuple[str, str], ...]:
    return (("added", name),)


def _changed(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple(("changed", name) for name in names)


_TASKS = "ALTER TABLE app.tasks"
CASES = {
    "schema": Case("CREATE SCHEMA more", "DROP SCHEMA more", _added("schema more")),
    "table": Case(
        "CREATE TABLE app.new (id serial PRIMARY KEY, a text); CREATE INDEX ON app.new (a);"
        " GRANT SELECT ON app.new TO PUBLIC; COMMENT ON COLUMN app.new.a IS 'a'",
        "DROP TABLE app.new",
        _added("table app.new"),
    ),
    "kind of table": Case(
        "ALTER TABLE app.scratch SET UNLOGGED",
        "ALTER TABLE app.scratch SET LOGGED",
        # None for the identity's own sequence, which follows its table.
        _changed("table app.scratch"),
    ),
    "option of a table": Case(
        f"{_TASKS} SET (fillfactor = 70)",
        f"{_TASKS} RESET (fillfactor)",
        _changed("table app.tasks"),
    ),
    "option of a toast table": Case(
        f"{_TASKS} SET (toast.autovacuum_enabled = off)",
        f"{_TASKS} RESET (toast.autovacuum_enabled)",
        _changed("table app.tasks"),
    ),
    "row security": Case(
        f"{_TASKS} ENABLE ROW LEVEL SECURITY",
        f"{_TASKS} DISABLE ROW LEVEL SECURITY",
        _changed("table app.tasks"),
    ),
    "row security of the owner": Case(
        f"{_TASKS} FORCE ROW LEVEL SECURITY",
        f"{_TASKS} NO FORCE ROW LEVEL SECURITY",
        _changed("table app.tasks"),
    ),
    "replica identity": Case(
        f"{_TASKS} REPLICA IDENTITY FULL",
        f"{_TASKS} REPLICA IDENTITY DEFAULT",
        _changed("table app.tasks"),
    ),
    "owner": Case(
        "RESET ROLE; ALTER TABLE app.log_2024 OWNER TO CURRENT_USER",
        f"RESET ROLE; ALTER TABLE app.log_2024 OWNER TO {MIGRATOR}",
        _changed("table app.log_2024"),
    ),
    "partition": Case(
        "CREATE TABLE app.log_2025 PARTITION OF app.log"
        " FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "DROP TABLE app.log_2025",
        _added("table app.log_2025"),
    ),
    "bounds of a partition": Case(
        "ALTER TABLE app.log DETACH PARTITION app.log_2024; ALTER TABLE app.log ATTACH PARTITION"
        " app.log_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-07-01')",
        "ALTER TABLE app.log DETACH PARTITION app.log_2024; ALTER TABLE app.log ATTACH PARTITION"
        " app.log_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        _changed("table app.log_2024"),
    ),
    "column of a partitioned table": Case(
        "ALTER TABLE app.log ADD what text",
        "ALTER TABLE app.log DROP what",
        _added("column app.log.what"),
    ),
    "column that others inherit": Case(
        "ALTER TABLE app.kin ADD c text", "ALTER TABLE app.kin DROP c", _added("column app.kin.c")
    ),
    "column of one partition": Case(
        "ALTER TABLE app.log_2024 ALTER id SET DEFAULT 7",
        "ALTER TABLE app.log_2024 ALTER id DROP DEFAULT",
        _added("column app.log_2024.id"),
    ),
    "column": Case(
        f"{_TASKS} ADD note text", f"{_TASKS} DROP note", _added("column app.tasks.note")
    ),
    "type of a column": Case(
        "ALTER TABLE app.clients ALTER name TYPE varchar(50)",
        "ALTER TABLE app.clients ALTER name TYPE text",
        _changed("column app.clients.name"),
    ),
    "not null": Case(
        "ALTER TABLE app.clients ALTER name DROP NOT NULL",
        "ALTER TABLE app.clients ALTER name SET NOT NULL",
        _changed("column app.clients.name"),
    ),
    "default": Case(
        f"{_TASKS} ALTER status DROP DEFAULT",
        f"{_TASKS} ALTER status SET DEFAULT 'open'",
        _changed("column app.tasks.status"),
    ),
    "identity": Case(
        "ALTER TABLE app.clients ALTER id SET GENERATED BY DEFAULT SET INCREMENT 10",
        "ALTER TABLE app.clients ALTER id SET GENERATED ALWAYS SET INCREMENT 1",
        _changed("column app.clients.id"),
    ),
    "generated column": Case(
        f"{_TASKS} ALTER words DROP EXPRESSION",
        f"{_TASKS} DROP words;"
        f" {_TASKS} ADD words integer GENERATED ALWAYS AS (length(kind)) STORED",
        _changed("column app.tasks.words"),
    ),
    "collation": Case(
        'ALTER TABLE app.clients ALTER name TYPE text COLLATE "C"',
        "ALTER TABLE app.clients ALTER name TYPE text",
        _changed("column app.clients.name"),
    ),
    "storage": Case(
        "ALTER TABLE app.clients ALTER name SET STORAGE EXTERNAL",
        "ALTER TABLE app.clients ALTER name SET STORAGE DEFAULT",
        _changed("column app.clients.name"),
    ),
    "compression": Case(
        "ALTER TABLE app.clients ALTER name SET COMPRESSION pglz",
        "ALTER TABLE app.clients ALTER name SET COMPRESSION DEFAULT",
        _changed("column app.clients.name"),
    ),
    "statistics target": Case(
        "ALTER TABLE app.clients ALTER name SET STATISTICS 500",
        "ALTER TABLE app.clients ALTER name SET STATISTICS -1",
        _changed("column app.clients.name"),
    ),
    "constraint": Case(
        f"{_TASKS} ADD CONSTRAINT one_of CHECK (id > 0)",
        f"{_TASKS} DROP CONSTRAINT one_of",
        _added("constraint app.tasks.one_of"),
    ),
    "constraint that is not valid": Case(
        f"{_TASKS} DROP CONSTRAINT known,"
        " ADD CONSTRAINT known CHECK (kind IN ('a', 'b')) NOT VALID",
        f"{_TASKS} VALIDATE CONSTRAINT known",
        _changed("constraint app.tasks.known"),
    ),
    "foreign key": Case(
        f"{_TASKS} DROP CONSTRAINT of_client,"
        " ADD CONSTRAINT of_client FOREIGN KEY (client) REFERENCES app.clients",
        f"{_TASKS} DROP CONSTRAINT of_client,"
        " ADD CONSTRAINT of_client FOREIGN KEY (client) REFERENCES app.clients ON DELETE CASCADE",
        _changed("constraint app.tasks.of_client"),
    ),
    "foreign key that is switched off": Case(
        f"RESET ROLE; {_TASKS} DISABLE TRIGGER ALL",
        f"RESET ROLE; {_TASKS} ENABLE TRIGGER ALL",
        _changed("constraint app.tasks.of_client", "trigger app.tasks.touch"),
    ),
    "unique constraint": Case(
        "ALTER TABLE app.clients ADD CONSTRAINT one_name UNIQUE (name) DEFERRABLE",
        "ALTER TABLE app.clients DROP CONSTRAINT one_name",
        _added("constraint app.clients.one_name"),
    ),
    "index": Case(
        "DROP INDEX app.ix_tasks_client",
        "CREATE INDEX ix_tasks_client ON app.tasks (client)",
        (("removed", "index app.ix_tasks_client"),),
    ),
    "definition of an index": Case(
        "DROP INDEX app.ix_tasks_client; CREATE UNIQUE INDEX ix_tasks_client ON app.tasks (client)",
        "DROP INDEX app.ix_tasks_client; CREATE INDEX ix_tasks_client ON app.tasks (client)",
        _changed("index app.ix_tasks_client"),
    ),
    "clustered": Case(
        f"{_TASKS} CLUSTER ON ix_tasks_client",
        f"{_TASKS} SET WITHOUT CLUSTER",
        _changed("index app.ix_tasks_client"),
    ),
    "index of a partitioned table": Case(
        "CREATE INDEX ix_log_at ON app.log (at)",
        "DROP INDEX app.ix_log_at",
        _added("index app.ix_log_at"),
    ),
    "view": Case(
        "CREATE OR REPLACE VIEW app.open AS SELECT id, kind FROM app.tasks WHERE kind = 'a'",
        "CREATE OR REPLACE VIEW app.open AS SELECT id, kind FROM app.tasks"
        " WHERE kind IN ('a', 'b')",
        _changed("view app.open"),
    ),
    "option of a view": Case(
        "ALTER VIEW app.open SET (security_barrier)",
        "ALTER VIEW app.open RESET (security_barrier)",
        _changed("view app.open"),
    ),
    "materialized view": Case(
        "CREATE MATERIALIZED VIEW app.other AS SELECT 1 AS one",
        "DROP MATERIALIZED VIEW app.other",
        _added("materialized view app.other"),
    ),
    "sequence": Case(
        "ALTER SEQUENCE app.numbers INCREMENT 5 CYCLE",
        "ALTER SEQUENCE app.numbers INCREMENT 1 NO CYCLE",
        _changed("sequence app.numbers"),
    ),
    "owner of a sequence": Case(
        "ALTER SEQUENCE app.tasks_id_seq OWNED BY NONE",
        "ALTER SEQUENCE app.tasks_id_seq OWNED BY app.tasks.id",
        _changed("sequence app.tasks_id_seq"),
    ),
    "trigger": Case(
        "DROP TRIGGER touch ON app.tasks",
        "CREATE TRIGGER touch BEFORE UPDATE ON app.tasks FOR EACH ROW EXECUTE FUNCTION app.touch()",
        (("removed", "trigger app.tasks.touch"),),
    ),
    "trigger that is switched off": Case(
        f"{_TASKS} DISABLE TRIGGER touch",
        f"{_TASKS} ENABLE TRIGGER touch",
        _changed("trigger app.tasks.touch"),
    ),
    "rule": Case(
        "DROP RULE quiet ON app.open",
        "CREATE RULE quiet AS ON DELETE TO app.open DO INSTEAD NOTHING",
        (("removed", "rule app.open.quiet"),),
    ),
    "function": Case(
        "CREATE OR REPLACE FUNCTION app.f(a integer, b text DEFAULT 'x') RETURNS integer"
        " LANGUAGE sql AS 'SELECT 2'",
        "CREATE OR REPLACE FUNCTION app.f(a integer, b text DEFAULT 'x') RETURNS integer"
        " LANGUAGE sql AS 'SELECT 1'",
        _changed("function app.f(integer, text)"),
    ),
    "setting of a function": Case(
        "ALTER FUNCTION app.f SECURITY DEFINER SET search_path = app, pg_temp",
        "ALTER FUNCTION app.f SECURITY INVOKER RESET search_path",
        _changed("function app.f(integer, text)"),
    ),
    "overloaded function": Case(
        "CREATE FUNCTION app.f(text) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION app.f(text)",
        _added("function app.f(text)"),
    ),
    "procedure": Case(
        "DROP PROCEDURE app.p()",
        "CREATE PROCEDURE app.p() LANGUAGE plpgsql AS 'BEGIN NULL; END'",
        (("removed", "procedure app.p()"),),
    ),
    "aggregate": Case(
        "CREATE OR REPLACE AGGREGATE app.total(integer)"
        " (sfunc = int4pl, stype = integer, initcond = '1')",
        "CREATE OR REPLACE AGGREGATE app.total(integer)"
        " (sfunc = int4pl, stype = integer, initcond = '0')",
        _changed("aggregate app.total(integer)"),
    ),
    "enum": Case(
        "ALTER TYPE app.status RENAME VALUE 'done' TO 'closed'",
        "ALTER TYPE app.status RENAME VALUE 'closed' TO 'done'",
        _changed("type app.status"),
    ),
    "composite type": Case(
        "ALTER TYPE app.pair ADD ATTRIBUTE c integer",
        "ALTER TYPE app.pair DROP ATTRIBUTE c",
        _changed("type app.pair"),
    ),
    "domain": Case(
        "ALTER DOMAIN app.amount SET DEFAULT 1",
        "ALTER DOMAIN app.amount DROP DEFAULT",
        _changed("domain app.amount"),
    ),
    "constraint of a domain": Case(
        "ALTER DOMAIN app.amount ADD CONSTRAINT small CHECK (VALUE < 1000)",
        "ALTER DOMAIN app.amount DROP CONSTRAINT small",
        _added("constraint app.amount.small"),
    ),
    "range": Case(
        "CREATE TYPE app.floats AS RANGE (subtype = float8, subtype_diff = float8mi)",
        "DROP TYPE app.floats",
        _added("type app.floats"),
    ),
    "policy": Case(
        f"ALTER POLICY mine ON app.tasks TO {READER} USING (client = 2)",
        "ALTER POLICY mine ON app.tasks TO PUBLIC USING (client = 1)",
        _changed("policy app.tasks.mine"),
    ),
    "statistics": Case(
        "DROP STATISTICS app.together",
        "CREATE STATISTICS app.together (dependencies) ON status, kind FROM app.tasks",
        (("removed", "statistics app.together"),),
    ),
    "collation object": Case(
        "CREATE COLLATION app.other (provider = libc, locale = 'C')",
        "DROP COLLATION app.other",
        _added("collation app.other"),
    ),
    "operator": Case(
        "DROP OPERATOR app.=== (integer, integer)",
        "CREATE OPERATOR app.=== (leftarg = integer, rightarg = integer, function = int4eq)",
        (("removed", "operator app.===(integer,integer)"),),
    ),
    "text search configuration": Case(
        "ALTER TEXT SEARCH CONFIGURATION app.search ALTER MAPPING FOR word WITH app.words",
        "ALTER TEXT SEARCH CONFIGURATION app.search ALTER MAPPING FOR word WITH simple",
        _changed("text search configuration app.search"),
    ),
    "text search dictionary": Case(
        "ALTER TEXT SEARCH DICTIONARY app.words (accept = false)",
        "ALTER TEXT SEARCH DICTIONARY app.words (accept)",
        _changed("text search dictionary app.words"),
    ),
    "publication": Case(
        "ALTER PUBLICATION changes SET (publish = 'insert')",
        "ALTER PUBLICATION changes SET (publish = 'insert, update, delete, truncate')",
        _changed("publication changes"),
    ),
    "grant": Case(
        f"GRANT UPDATE ON app.tasks TO {READER} WITH GRANT OPTION",
        f"REVOKE UPDATE ON app.tasks FROM {READER}",
        _changed(f"grant app.tasks to {READER}"),
    ),
    "grant to everybody": Case(
        "GRANT SELECT ON app.clients TO PUBLIC",
        "REVOKE SELECT ON app.clients FROM PUBLIC",
        _added("grant app.clients to PUBLIC"),
    ),
    "grant on a column": Case(
        f"GRANT UPDATE (kind) ON app.tasks TO {READER}",
        f"REVOKE UPDATE (kind) ON app.tasks FROM {READER}",
        _added(f"grant app.tasks.kind to {READER}"),
    ),
    "grant on a function": Case(
        "REVOKE EXECUTE ON FUNCTION app.f FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION app.f TO PUBLIC",
        (("removed", "grant function app.f(integer, text) to PUBLIC"),),
    ),
    "grant on a schema": Case(
        f"GRANT USAGE ON SCHEMA app TO {READER}",
        f"REVOKE USAGE ON SCHEMA app FROM {READER}",
        _added(f"grant schema app to {READER}"),
    ),
    "right of the owner": Case(
        f"REVOKE DELETE ON app.clients FROM {MIGRATOR}",
        f"GRANT DELETE ON app.clients TO {MIGRATOR}",
        _added(f"grant app.clients to {MIGRATOR}"),
    ),
    "default privileges": Case(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT EXECUTE ON FUNCTIONS TO {READER}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE EXECUTE ON FUNCTIONS FROM {READER}",
        _added(f"default privileges in app on functions to {READER}"),
    ),
    "comment": Case(
        "COMMENT ON TABLE app.tasks IS NULL",
        "COMMENT ON TABLE app.tasks IS 'what there is to do'",
        (("removed", "comment on table app.tasks"),),
    ),
    "comment on a column of a view": Case(
        "COMMENT ON COLUMN app.open.kind IS 'a, b'",
        "COMMENT ON COLUMN app.open.kind IS NULL",
        _added("comment on column app.open.kind"),
    ),
    "extension": Case(
        "RESET ROLE; CREATE EXTENSION vector SCHEMA app",
        "RESET ROLE; DROP EXTENSION vector",
        # None of its types, functions and operators.
        _added("extension vector"),
    ),
    "event trigger": Case(
        "RESET ROLE; CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql"
        " AS 'BEGIN END'; CREATE EVENT TRIGGER seen ON ddl_command_end"
        " EXECUTE FUNCTION public.seen()",
        "RESET ROLE; DROP EVENT TRIGGER seen; DROP FUNCTION public.seen()",
        (),  # a superuser's, in a schema that the migrator has nothing to do with
    ),
}
