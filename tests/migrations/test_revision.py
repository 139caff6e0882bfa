"""What the revisions make together, that it matches the models, that it goes without a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.util import CommandError

from tests.tables import TABLES

from .history import HEAD, REVISIONS
from .script import run_script

if TYPE_CHECKING:
    from collections.abc import Callable

    from .place import Place

_MARK = "made by c5fc18e7c719"


def _extension(place: Place) -> tuple[str, str] | None:
    rows = place.fetch(
        "SELECT extnamespace::regnamespace::text, obj_description(oid, 'pg_extension')"
        " FROM pg_extension WHERE extname = 'vector'"
    )
    return (rows[0][0], rows[0][1]) if rows else None


def test_upgrade_makes_eleven_tables(migrated: Place) -> None:
    """At head, every table is there and nothing else."""
    tables = migrated.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    assert {row[0] for row in tables} == TABLES | {"alembic_version"}
    assert migrated.value("SELECT version_num FROM alembic_version") == HEAD


def test_models_match_the_tables(migrated: Place) -> None:
    """Autogenerate has nothing to add: `alembic check` is clean."""
    assert "No new upgrade operations detected." in migrated.alembic("check")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE tasks DROP COLUMN agent_type",
        "ALTER TABLE clients ALTER COLUMN email SET NOT NULL",
        "ALTER TABLE clients ALTER COLUMN name TYPE varchar(80)",
        "ALTER TABLE agent_metrics ALTER COLUMN tasks_failed SET DEFAULT 1",
        "ALTER TABLE document_embeddings ALTER COLUMN embedding TYPE vector(1535)",
        "ALTER TABLE tasks ALTER COLUMN completed_at TYPE timestamp",
        "ALTER TABLE clients DROP CONSTRAINT ck_clients_ssn_last4_four_digits",
        "ALTER TABLE skill_files DROP CONSTRAINT uq_skill_files_name_version",
        "DROP INDEX ix_client_profile_entries_client_id_created_at",
        "DROP INDEX ix_agent_logs_client_id",
        "DROP INDEX ix_skill_embeddings_chunk_text_english",
        "DROP INDEX ix_skill_embeddings_skill_file_id",
        "ALTER TABLE task_artifacts DROP CONSTRAINT fk_task_artifacts_task_id_tasks",
        "COMMENT ON COLUMN clients.ssn_last4 IS NULL",
        "CREATE TABLE made_by_hand (id int)",
    ],
)
def test_a_difference_from_the_models_is_seen(migrated: Place, change: str) -> None:
    """A table that is not as its model says makes `alembic check` fail."""
    migrated.execute(change)

    with pytest.raises(CommandError, match="New upgrade operations detected"):
        migrated.alembic("check")


def test_downgrade_leaves_no_trace(empty: Place) -> None:
    """No table, type, sequence, function or extension is left."""
    before = empty.catalog()
    empty.alembic("upgrade", "head")
    assert empty.catalog() != before

    empty.alembic("downgrade", "base")

    assert empty.catalog() == before


def test_upgrade_after_downgrade_gives_the_same(migrated: Place) -> None:
    """Down and up again ends where it began."""
    before = migrated.catalog()

    migrated.alembic("downgrade", "base")
    migrated.alembic("upgrade", "head")

    assert migrated.catalog() == before


def test_offline_sql_gives_the_same_catalog(migrated: Place, empty: Place) -> None:
    """What `--sql` renders without a database makes exactly what `upgrade` makes."""
    run_script(empty, empty.alembic("upgrade", "head", sql=True))

    assert empty.catalog() == migrated.catalog()
    assert empty.value("SELECT version_num FROM alembic_version") == HEAD


def test_offline_downgrade_leaves_no_trace(migrated: Place, empty: Place) -> None:
    """The rendered downgrade takes away what the rendered upgrade made."""
    run_script(migrated, migrated.alembic("downgrade", f"{HEAD}:base", sql=True))

    assert migrated.catalog() == empty.catalog()


def test_offline_sql_has_one_transaction_a_revision(empty: Place) -> None:
    """Each revision has its own BEGIN and COMMIT; one that builds outside has a second pair."""
    sql = empty.alembic("upgrade", "head", sql=True)
    outside = sql.count("CREATE INDEX CONCURRENTLY")

    assert sql.count("BEGIN;") == sql.count("COMMIT;") == len(REVISIONS) + outside
    assert sql.index("BEGIN;") < sql.index("CREATE EXTENSION IF NOT EXISTS vector")
    for block in sql.split("BEGIN;")[1:]:
        assert "CONCURRENTLY" not in block[: block.index("COMMIT;")]


def test_a_failure_leaves_nothing_of_the_revision(empty: Place) -> None:
    """A table in the way undoes the whole revision, and the message says what is kept."""
    empty.execute("CREATE TABLE tasks (id int)")
    before = empty.catalog()

    with pytest.raises(CommandError, match='"tasks" already exists') as caught:
        empty.alembic("upgrade", "head")

    assert empty.catalog() == before
    assert "undone" in str(caught.value)


def test_an_extension_that_was_there_stays(empty: Place) -> None:
    """Downgrade drops the extension only where the revision made it."""
    empty.execute("CREATE EXTENSION vector")
    before = empty.catalog()

    empty.alembic("upgrade", "head")
    empty.alembic("downgrade", "base")

    assert empty.catalog() == before


def test_who_made_the_extension_outlives_a_copy(
    migrated: Place, make_database: Callable[..., Place]
) -> None:
    """The record is in the database itself, so a copy of it can still go down."""
    copy = make_database(template=migrated.database)

    copy.alembic("downgrade", "base")

    assert _extension(copy) is None


def test_an_extension_in_use_elsewhere_stays(migrated: Place) -> None:
    """Downgrade succeeds and leaves an extension that a foreign table has come to need."""
    migrated.execute("CREATE SCHEMA other", "CREATE TABLE other.mine (v vector(3))")

    migrated.alembic("downgrade", "base")

    assert _extension(migrated) is not None
    assert migrated.value("SELECT to_regclass('clients')") is None


def test_the_migrator_needs_no_rights_on_the_extension(prepared: Place) -> None:
    """An ordinary owner migrates where an administrator made the extension, and down again."""
    prepared.alembic("upgrade", "head")

    assert _extension(prepared) == (
        "ext",
        "vector data type and ivfflat and hnsw access methods",
    )
    assert {
        row[0] for row in prepared.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'app'")
    } == TABLES | {"alembic_version"}
    assert "No new upgrade operations detected." in prepared.alembic("check")

    prepared.alembic("downgrade", "base")
    assert _extension(prepared) is not None


def test_without_extension_and_right_the_message_says_who_can_help(
    prepared: Place, empty: Place
) -> None:
    """A role that may not create the extension is told what a superuser has to run."""
    empty.execute("DROP EXTENSION vector")

    with pytest.raises(CommandError, match="may not create it") as caught:
        prepared.alembic("upgrade", "head")

    assert "superuser run CREATE EXTENSION vector" in str(caught.value)
    assert prepared.value("SELECT to_regclass('clients')") is None


def test_an_extension_out_of_reach_is_named_with_its_schema(prepared: Place, empty: Place) -> None:
    """A search_path without the extension's schema is the error, not an unknown type."""
    empty.execute('CREATE SCHEMA "far away"', 'ALTER EXTENSION vector SET SCHEMA "far away"')

    with pytest.raises(CommandError, match='is in schema "far away"') as caught:
        prepared.alembic("upgrade", "head")

    assert "search_path" in str(caught.value)


def test_a_server_without_pgvector_is_told_apart(empty: Place) -> None:
    """Files that are missing on the server have a message of their own."""
    sql = empty.alembic("upgrade", "head", sql=True)
    block = sql[sql.index("DO $do$") : sql.index("$do$;") + len("$do$;")]

    with pytest.raises(Exception, match="does not have pgvector") as caught:
        empty.execute(block.replace("vector", "missing").replace("pgmissing", "pgvector"))

    assert type(caught.value).__name__ == "FeatureNotSupportedError"


def test_a_managed_owner_of_the_extension_is_no_failure(empty: Place) -> None:
    """Where the maker of the extension may not comment on it, upgrade goes on and it stays."""
    sql = empty.alembic("upgrade", "head", sql=True)
    start = sql.index("            COMMENT ON EXTENSION")
    refused = "            RAISE insufficient_privilege;\n"
    end = sql.index("        EXCEPTION", start)
    run_script(empty, sql[:start] + refused + sql[end:])

    empty.alembic("downgrade", "base")

    found = _extension(empty)
    assert found is not None
    assert _MARK not in found[1]
