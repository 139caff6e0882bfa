# ruff: noqa: S608 - all SQL is put together from constants of this file
"""What the tables refuse, by the name of the constraint, and what goes with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from .place import Place

_CLIENT = "11111111-1111-1111-1111-111111111111"
_TASK = "22222222-2222-2222-2222-222222222222"
_SKILL = "33333333-3333-3333-3333-333333333333"
_ZEROS = "('[' || repeat('0,', {n} - 1) || '0]')::vector"
_PERIOD = "'2026-01-01Z', '2026-02-01Z'"

_ROWS = f"""
INSERT INTO clients (id, name, external_id, email, ssn_last4)
VALUES ('{_CLIENT}', 'Ada', 'A-1', 'ada@example.org', '0042');
INSERT INTO client_profile_entries (client_id, entry_type, author) VALUES ('{_CLIENT}', 'x', 'ai');
INSERT INTO tasks (id, client_id, task_type, agent_type)
VALUES ('{_TASK}', '{_CLIENT}', 'return', 'preparer');
INSERT INTO task_artifacts (task_id, artifact_type, file_path) VALUES ('{_TASK}', 'pdf', 'a.pdf');
INSERT INTO skill_files (id, name, version, effective_date, content)
VALUES ('{_SKILL}', 'depreciation', '1.0', '2026-01-01', 'text');
"""


@pytest.fixture
def place(migrated: Place) -> Place:
    """A database at head with a row of each kind that others refer to."""
    migrated.execute(_ROWS)
    return migrated


def _client(columns: str, values: str) -> str:
    return f"INSERT INTO clients ({columns}) VALUES ({values})"


def _task(columns: str, values: str) -> str:
    return (
        f"INSERT INTO tasks (client_id, task_type, agent_type, {columns})"
        f" VALUES ('{_CLIENT}', 'return', 'preparer', {values})"
    )


def _metric(column: str, value: str) -> str:
    return (
        f"INSERT INTO agent_metrics (agent_type, period_start, period_end, {column})"
        f" VALUES ('preparer', {_PERIOD}, {value})"
    )


def _document(values: str) -> str:
    return (
        "INSERT INTO document_embeddings"
        " (client_id, document_type, file_path, content, document_year, chunk_index, embedding)"
        f" VALUES ('{_CLIENT}', 'w2', 'a.pdf', 'text', {values})"
    )


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (_client("name, ssn_last4", "'B', '123456789'"), "ck_clients_ssn_last4_four_digits"),
        (_client("name, ssn_last4", "'B', '12a4'"), "ck_clients_ssn_last4_four_digits"),
        (_client("name, ssn_last4", "'B', ''"), "ck_clients_ssn_last4_four_digits"),
        (_client("name, ssn_last4", "'B', E'1234\\n'"), "ck_clients_ssn_last4_four_digits"),
        (_client("name, ssn_last4", "'B', '١٢٣٤'"), "ck_clients_ssn_last4_four_digits"),
        (_client("name", "'  '"), "ck_clients_name_not_blank"),
        (_client("name, email", "'B', 'no address'"), "ck_clients_email_has_at_sign"),
        (_client("name, external_id", "'B', 'A-1'"), "uq_clients_external_id"),
        (_client("id, name", f"'{_CLIENT}', 'B'"), "pk_clients"),
        (_task("status", "'completed'"), "ck_tasks_completed_has_time"),
        (
            _task("started_at, completed_at", "'2026-01-02Z', '2026-01-01Z'"),
            "ck_tasks_completed_after_started",
        ),
        (
            (
                "INSERT INTO client_profile_entries (client_id, entry_type, author)"
                f" VALUES ('{_CLIENT}', 'x', 'robot')"
            ),
            "ck_client_profile_entries_author_human_or_ai",
        ),
        (
            (
                "INSERT INTO client_profile_entries (client_id, entry_type, author, tax_year)"
                f" VALUES ('{_CLIENT}', 'x', 'ai', 26)"
            ),
            "ck_client_profile_entries_tax_year_plausible",
        ),
        (
            (
                "INSERT INTO client_profile_entries (client_id, entry_type, author)"
                f" VALUES ('{_TASK}', 'x', 'ai')"
            ),
            "fk_client_profile_entries_client_id_clients",
        ),
        (
            f"INSERT INTO escalations (task_id, reason, resolution) VALUES ('{_TASK}', 'x', 'y')",
            "ck_escalations_resolved_as_a_pair",
        ),
        (
            f"INSERT INTO task_artifacts (task_id, artifact_type) VALUES ('{_TASK}', 'pdf')",
            "ck_task_artifacts_has_file_or_content",
        ),
        (
            (
                "INSERT INTO feedback_entries (task_id, feedback_type, reviewer)"
                f" VALUES ('{_TASK}', 'loud', 'Eve')"
            ),
            "ck_feedback_entries_feedback_type_known",
        ),
        (
            "INSERT INTO agent_logs (agent, level, message) VALUES ('a', 'shouted', 'm')",
            "ck_agent_logs_level_known",
        ),
        (
            (
                "INSERT INTO skill_files (name, version, effective_date, content)"
                " VALUES ('depreciation', '1.0', '2026-02-01', 'other text')"
            ),
            "uq_skill_files_name_version",
        ),
        (
            _document(f"2025, -1, {_ZEROS.format(n=1536)}"),
            "ck_document_embeddings_chunk_index_not_negative",
        ),
        (
            _document(f"5, 0, {_ZEROS.format(n=1536)}"),
            "ck_document_embeddings_document_year_plausible",
        ),
        (_metric("tasks_completed", "-1"), "ck_agent_metrics_tasks_completed_not_negative"),
        (_metric("tasks_failed", "-1"), "ck_agent_metrics_tasks_failed_not_negative"),
        (_metric("tasks_escalated", "-1"), "ck_agent_metrics_tasks_escalated_not_negative"),
        (_metric("input_tokens", "-1"), "ck_agent_metrics_input_tokens_not_negative"),
        (_metric("output_tokens", "-1"), "ck_agent_metrics_output_tokens_not_negative"),
        (_metric("mean_duration_ms", "-0.5"), "ck_agent_metrics_mean_duration_ms_not_negative"),
        (
            (
                "INSERT INTO agent_metrics (agent_type, period_start, period_end)"
                " VALUES ('preparer', '2026-01-01Z', '2026-01-01Z')"
            ),
            "ck_agent_metrics_period_not_empty",
        ),
        (
            f"{_metric('tasks_failed', '1')}, ('preparer', {_PERIOD}, 2)",
            "uq_agent_metrics_agent_type_period_start_period_end",
        ),
    ],
)
def test_a_bad_row_is_refused_by_name(place: Place, statement: str, constraint: str) -> None:
    """The database refuses the row and names the rule that it breaks."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        place.execute(statement)

    assert caught.value.constraint_name == constraint


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (_task("status", "'forgotten'"), "invalid input value for enum taskstatus"),
        (_document(f"2025, 0, {_ZEROS.format(n=1535)}"), "expected 1536 dimensions, not 1535"),
        (_document(f"2025, 0, {_ZEROS.format(n=1537)}"), "expected 1536 dimensions, not 1537"),
        (_document("2025, 0, NULL"), '"embedding".*not-null'),
        ("INSERT INTO agent_logs (id, agent, level, message) VALUES (1, 'a', 'info', 'm')", "id"),
    ],
)
def test_a_bad_value_is_refused(place: Place, statement: str, message: str) -> None:
    """What a type already excludes needs no constraint."""
    with pytest.raises(asyncpg.PostgresError, match=message):
        place.execute(statement)


def test_a_nul_byte_in_text_is_refused(place: Place) -> None:
    """PostgreSQL keeps no text with a NUL in it."""
    with pytest.raises(asyncpg.PostgresError, match="0x00"):
        place.fetch("INSERT INTO clients (name) VALUES ($1)", "A\0B")


def test_good_rows_get_their_defaults(place: Place) -> None:
    """Keys, times, status and documents come from the server."""
    row = place.fetch("SELECT * FROM tasks")[0]
    entry = place.fetch("SELECT * FROM client_profile_entries")[0]

    assert (row["status"], row["created_at"].tzinfo is None) == ("pending", False)
    assert (entry["id"], entry["data"]) == (1, "{}")


@pytest.mark.parametrize(
    ("table", "row", "constraint"),
    [
        (
            "client_profile_entries",
            f"(client_id, entry_type, author) VALUES ('{_CLIENT}', 'x', 'ai')",
            "fk_client_profile_entries_client_id_clients",
        ),
        (
            "agent_logs",
            f"(client_id, agent, level, message) VALUES ('{_CLIENT}', 'a', 'info', 'm')",
            "fk_agent_logs_client_id_clients",
        ),
        (
            "tasks",
            f"(client_id, task_type, agent_type) VALUES ('{_CLIENT}', 'x', 'x')",
            "fk_tasks_client_id_clients",
        ),
    ],
)
def test_a_client_with_a_history_stays(
    migrated: Place, table: str, row: str, constraint: str
) -> None:
    """Deleting a client never takes the audit trail along."""
    migrated.execute(
        _client("id, name", f"'{_CLIENT}', 'Ada'"),
        f"INSERT INTO {table} {row}",
    )

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        migrated.execute("DELETE FROM clients")

    assert caught.value.constraint_name == constraint


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("escalations", f"(task_id, reason) VALUES ('{_TASK}', 'x')"),
        (
            "feedback_entries",
            f"(task_id, feedback_type, reviewer) VALUES ('{_TASK}', 'implicit', 'Eve')",
        ),
        ("agent_logs", f"(task_id, agent, level, message) VALUES ('{_TASK}', 'a', 'info', 'm')"),
    ],
)
def test_a_task_with_a_history_stays(place: Place, table: str, row: str) -> None:
    """Deleting a task never takes the audit trail along."""
    place.execute(f"INSERT INTO {table} {row}")

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        place.execute("DELETE FROM tasks")

    assert caught.value.constraint_name == f"fk_{table}_task_id_tasks"


def test_what_is_derived_goes_with_its_source(migrated: Place) -> None:
    """Embeddings go with their client or skill, outputs with their task."""
    vector = _ZEROS.format(n=1536)
    migrated.execute(
        _ROWS.replace("INSERT INTO client_profile_entries", "-- INSERT"),
        _document(f"2025, 0, {vector}"),
        "INSERT INTO skill_embeddings (skill_file_id, chunk_text, embedding)"
        f" VALUES ('{_SKILL}', 'text', {vector})",
        "DELETE FROM tasks",
        "DELETE FROM clients",
        "DELETE FROM skill_files",
    )

    for table in ("task_artifacts", "document_embeddings", "skill_embeddings"):
        assert migrated.value(f"SELECT count(*) FROM {table}") == 0


def test_every_foreign_key_has_an_index(migrated: Place) -> None:
    """Deleting a parent never reads a whole child table."""
    missing = migrated.fetch("""
        SELECT k.conname FROM pg_constraint k
        WHERE k.contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1] AND i.indpred IS NULL
        )
    """)

    assert missing == []


def test_every_time_has_a_zone(migrated: Place) -> None:
    """No column means another instant to each reader."""
    assert (
        migrated.fetch("""
            SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'
        """)
        == []
    )


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            (
                "SELECT * FROM client_profile_entries WHERE client_id = gen_random_uuid()"
                " ORDER BY created_at DESC"
            ),
            "ix_client_profile_entries_client_id_created_at",
        ),
        (
            "SELECT * FROM tasks WHERE status = 'pending' AND agent_type = 'x'",
            "ix_tasks_status_agent_type",
        ),
        (
            "SELECT * FROM agent_logs WHERE task_id = gen_random_uuid() ORDER BY created_at",
            "ix_agent_logs_task_id_created_at",
        ),
    ],
)
def test_the_named_indexes_serve_their_queries(migrated: Place, query: str, index: str) -> None:
    """The query that an index was made for can be answered by it without a sort."""
    for planner in ("seqscan", "bitmapscan", "sort"):  # an empty table is read as it is
        migrated.execute(f"ALTER DATABASE {migrated.database} SET enable_{planner} = off")

    plan = migrated.fetch(f"EXPLAIN {query.replace('gen_random_uuid()', repr(_CLIENT))}")
    lines = "\n".join(row[0] for row in plan)

    assert index in lines
    assert "Sort" not in lines
