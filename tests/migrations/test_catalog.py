"""The comparison of catalogs that other tests trust: it sees what a revision could leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .place import Place


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TYPE mood AS ENUM ('good')",
        "ALTER TYPE taskstatus RENAME VALUE 'failed' TO 'broken'",
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE DOMAIN year AS int CHECK (VALUE > 1900)",
        "CREATE SEQUENCE counter",
        "ALTER SEQUENCE agent_logs_id_seq INCREMENT 2",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int)",
        "CREATE VIEW names AS SELECT name FROM clients",
        "CREATE RULE r AS ON INSERT TO clients DO ALSO NOTHING",
        "CREATE STATISTICS s ON name, email FROM clients",
        "CREATE PUBLICATION p FOR TABLE clients",
        "CREATE CAST (bigint AS uuid) WITH INOUT",
        "CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
        "CREATE TEXT SEARCH CONFIGURATION german (COPY = pg_catalog.german)",
        "CREATE INDEX added ON clients (name)",
        "CREATE SCHEMA other",
        (
            "CREATE TRIGGER t BEFORE UPDATE ON clients FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        "CREATE POLICY p ON skill_files USING (name <> '')",
        "ALTER TABLE skill_files ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE skill_files FORCE ROW LEVEL SECURITY",
        "ALTER TABLE clients SET (fillfactor = 50)",
        "ALTER TABLE clients ALTER name SET STORAGE EXTERNAL",
        'ALTER TABLE clients ALTER name TYPE text COLLATE "C"',
        "ALTER TABLE clients DROP CONSTRAINT ck_clients_name_not_blank",
        "GRANT SELECT ON clients TO pg_monitor",
        "GRANT SELECT (name) ON clients TO pg_monitor",
        "REVOKE USAGE ON TYPE taskstatus FROM PUBLIC",
        "GRANT CREATE ON SCHEMA public TO pg_monitor",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
        "ALTER TABLE clients OWNER TO pg_monitor",
        "COMMENT ON COLUMN clients.name IS 'said'",
        "COMMENT ON TYPE taskstatus IS 'said'",
        "COMMENT ON CONSTRAINT pk_clients ON clients IS 'said'",
        "SELECT lo_create(0)",
    ],
)
def test_a_change_is_seen(migrated: Place, change: str) -> None:
    """Whatever a revision makes and forgets, of any kind, shows as a line more or another line."""
    before = migrated.catalog()

    migrated.execute(change)

    assert migrated.catalog() != before


def test_a_trigger_that_is_switched_off_is_seen(migrated: Place) -> None:
    """Neither a disabled trigger nor a changed function body passes for the same."""
    migrated.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER t BEFORE UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION f()",
    )
    enabled = migrated.catalog()
    migrated.execute("ALTER TABLE clients DISABLE TRIGGER t")
    disabled = migrated.catalog()
    migrated.execute(
        "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
    )

    assert len({tuple(lines) for lines in (enabled, disabled, migrated.catalog())}) == 3


def test_granting_and_taking_back_is_no_change(migrated: Place) -> None:
    """Recorded defaults and defaults that were never recorded act alike, so they compare alike."""
    before = migrated.catalog()

    migrated.execute(
        "GRANT SELECT ON clients TO pg_monitor", "REVOKE SELECT ON clients FROM pg_monitor"
    )

    assert migrated.catalog() == before


def test_rows_are_no_change(migrated: Place) -> None:
    """The catalog is about definitions: data, and how far a sequence has come, are not in it."""
    before = migrated.catalog()

    migrated.execute("INSERT INTO agent_logs (agent, level, message) VALUES ('a', 'info', 'm')")

    assert migrated.catalog() == before
