# ruff: noqa: D415 - the first line is the message that Alembic shows
"""initial schema with all models

Revision ID: c5fc18e7c719
Revises:
Create Date: 2026-01-12 09:00:00+00:00

The extension first, the enum, then the tables in the order of their foreign keys.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects.postgresql import ENUM, JSONB

revision = "c5fc18e7c719"
down_revision = None
branch_labels = None
depends_on = None

# Children before parents: the order in which they can be dropped.
TABLES = (
    "agent_metrics",
    "agent_logs",
    "skill_embeddings",
    "skill_files",
    "document_embeddings",
    "feedback_entries",
    "task_artifacts",
    "escalations",
    "tasks",
    "client_profile_entries",
    "clients",
)

# A comment on the extension records that this revision made it, so that downgrade can tell: it
# is kept by dumps and upgrades of the server. The owner would prove nothing, since the same role
# may have made it by hand before. Some managed servers give the extension to a role of their own,
# which alone may comment: then there is no record, and downgrade takes the safe side.
# Everything is asked inside the server, which keeps the revision renderable without one.
CREATE_EXTENSION = """
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        CREATE EXTENSION IF NOT EXISTS vector;
        BEGIN
            COMMENT ON EXTENSION vector IS
                'vector data type and ivfflat and hnsw access methods (made by c5fc18e7c719)';
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'the extension "vector" belongs to another role, downgrade will leave it';
        END;
    ELSIF to_regtype('vector') IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format(
                'the extension "vector" is in schema %I, which role %I does not reach by %s',
                (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
                 WHERE extname = 'vector'), current_user, current_setting('search_path')),
            HINT = 'Add that schema to search_path, grant USAGE on it, run the upgrade again.';
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format(
                'the extension "vector" is not in database %I, and role %I may not create it: %s',
                current_database(), current_user, SQLERRM),
            HINT = 'Let a superuser run CREATE EXTENSION vector there, then run the upgrade again.';
    WHEN feature_not_supported OR undefined_file THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = format('the server of database %I does not have pgvector: %s',
                current_database(), SQLERRM),
            HINT = 'Install pgvector for PostgreSQL 17 on the server, then run the upgrade again.';
END
$do$
"""

# An extension that something else has come to use stays, made here or not.
DROP_EXTENSION = """
DO $do$
BEGIN
    IF EXISTS (
        SELECT FROM pg_extension
        WHERE extname = 'vector'
        AND obj_description(oid, 'pg_extension') LIKE '%(made by c5fc18e7c719)'
    ) THEN
        DROP EXTENSION vector;
    END IF;
EXCEPTION
    WHEN dependent_objects_still_exist OR insufficient_privilege THEN
        RAISE NOTICE 'the extension "vector" stays: %', SQLERRM;
END
$do$
"""

STATUS = ENUM(name="taskstatus", create_type=False)


def upgrade() -> None:
    """Create everything; refuse before the first table when pgvector can't be had."""
    op.execute(CREATE_EXTENSION)
    op.execute(
        "CREATE TYPE taskstatus AS ENUM"
        " ('pending', 'assigned', 'in_progress', 'completed', 'failed', 'escalated')"
    )
    _create_clients()
    _create_client_profile_entries()
    _create_tasks()
    _create_escalations()
    _create_task_artifacts()
    _create_feedback_entries()
    _create_document_embeddings()
    _create_skill_files()
    _create_skill_embeddings()
    _create_agent_logs()
    _create_agent_metrics()


def downgrade() -> None:
    """Drop everything that upgrade made, with its rows."""
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP TYPE IF EXISTS taskstatus")
    op.execute(DROP_EXTENSION)


def _create_clients() -> None:
    op.create_table(
        "clients",
        _uuid_key(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "external_id", sa.Text(), comment="Key of the client in the practice's own system"
        ),
        sa.Column("email", sa.Text()),
        sa.Column("ssn_last4", sa.Text(), comment="Last four digits of the SSN, never more"),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
        sa.UniqueConstraint("external_id", name=op.f("uq_clients_external_id")),
        _check("clients", "name_not_blank", "length(btrim(name)) > 0"),
        _check("clients", "email_has_at_sign", "position('@' in email) > 1"),
        _check("clients", "ssn_last4_four_digits", "ssn_last4 ~ '^[0-9]{4}$'"),
        comment="Taxpayers whom the practice works for",
    )


def _create_client_profile_entries() -> None:
    op.create_table(
        "client_profile_entries",
        _identity_key(),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("entry_type", sa.Text(), nullable=False),
        sa.Column("data", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("tax_year", sa.SmallInteger()),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_profile_entries")),
        _foreign_key("client_profile_entries", "client_id", "clients", "RESTRICT"),
        _check("client_profile_entries", "author_human_or_ai", "author IN ('human', 'ai')"),
        _check("client_profile_entries", "tax_year_plausible", "tax_year BETWEEN 1900 AND 2999"),
        comment="Append-only log of what is known about a client",
    )
    op.create_index(
        op.f("ix_client_profile_entries_client_id_created_at"),
        "client_profile_entries",
        ["client_id", sa.text("created_at DESC")],
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        _uuid_key(),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("agent_type", sa.Text(), nullable=False),
        sa.Column("status", STATUS, server_default=sa.text("'pending'"), nullable=False),
        _moment("created_at"),
        sa.Column("assigned_at", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("error_message", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        _foreign_key("tasks", "client_id", "clients", "RESTRICT"),
        _check("tasks", "completed_has_time", "status <> 'completed' OR completed_at IS NOT NULL"),
        _check("tasks", "completed_after_started", "completed_at >= started_at"),
        comment="Work given to agents",
    )
    op.create_index(op.f("ix_tasks_client_id"), "tasks", ["client_id"])
    op.create_index(op.f("ix_tasks_status_agent_type"), "tasks", ["status", "agent_type"])


def _create_escalations() -> None:
    op.create_table(
        "escalations",
        _identity_key(),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("assigned_to", sa.Text(), comment="The human, once one took it"),
        _moment("escalated_at"),
        sa.Column("resolution", sa.Text()),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
        _foreign_key("escalations", "task_id", "tasks", "RESTRICT"),
        _check("escalations", "resolved_as_a_pair", "num_nulls(resolution, resolved_at) IN (0, 2)"),
        comment="Tasks handed to a human",
    )
    op.create_index(op.f("ix_escalations_task_id"), "escalations", ["task_id"])


def _create_task_artifacts() -> None:
    op.create_table(
        "task_artifacts",
        _identity_key(),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_type", sa.Text(), nullable=False),
        sa.Column("file_path", sa.Text()),
        sa.Column("content", JSONB()),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_artifacts")),
        _foreign_key("task_artifacts", "task_id", "tasks", "CASCADE"),
        _check("task_artifacts", "has_file_or_content", "num_nonnulls(file_path, content) > 0"),
        comment="Outputs of tasks",
    )
    op.create_index(op.f("ix_task_artifacts_task_id"), "task_artifacts", ["task_id"])


def _create_feedback_entries() -> None:
    op.create_table(
        "feedback_entries",
        _identity_key(),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("feedback_type", sa.Text(), nullable=False),
        sa.Column("original_content", sa.Text()),
        sa.Column("corrected_content", sa.Text()),
        sa.Column("diff_summary", sa.Text()),
        sa.Column(
            "tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False
        ),
        sa.Column("reviewer", sa.Text(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_entries")),
        _foreign_key("feedback_entries", "task_id", "tasks", "RESTRICT"),
        _check(
            "feedback_entries", "feedback_type_known", "feedback_type IN ('implicit', 'explicit')"
        ),
        comment="Human corrections of what agents produced",
    )
    op.create_index(op.f("ix_feedback_entries_task_id"), "feedback_entries", ["task_id"])


def _create_document_embeddings() -> None:
    op.create_table(
        "document_embeddings",
        _identity_key(),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("document_type", sa.Text(), nullable=False),
        sa.Column("document_year", sa.SmallInteger()),
        sa.Column("file_path", sa.Text(), nullable=False),
        sa.Column("chunk_index", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("embedding", Vector(1536), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_embeddings")),
        _foreign_key("document_embeddings", "client_id", "clients", "CASCADE"),
        _check(
            "document_embeddings",
            "document_year_plausible",
            "document_year BETWEEN 1900 AND 2999",
        ),
        _check("document_embeddings", "chunk_index_not_negative", "chunk_index >= 0"),
        comment="Chunks of client documents with their embeddings",
    )
    op.create_index(op.f("ix_document_embeddings_client_id"), "document_embeddings", ["client_id"])


def _create_skill_files() -> None:
    op.create_table(
        "skill_files",
        _uuid_key(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skill_files")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_skill_files_name_version")),
        comment="Instructions for agents",
    )


def _create_skill_embeddings() -> None:
    op.create_table(
        "skill_embeddings",
        _identity_key(),
        sa.Column("skill_file_id", sa.Uuid(), nullable=False),
        sa.Column("chunk_text", sa.Text(), nullable=False),
        sa.Column("embedding", Vector(1536), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skill_embeddings")),
        _foreign_key("skill_embeddings", "skill_file_id", "skill_files", "CASCADE"),
        comment="Chunks of skill files with their embeddings",
    )


def _create_agent_logs() -> None:
    op.create_table(
        "agent_logs",
        _identity_key(),
        sa.Column("task_id", sa.Uuid()),
        sa.Column("client_id", sa.Uuid()),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("metadata", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_logs")),
        _foreign_key("agent_logs", "task_id", "tasks", "RESTRICT"),
        _foreign_key("agent_logs", "client_id", "clients", "RESTRICT"),
        _check(
            "agent_logs",
            "level_known",
            "level IN ('debug', 'info', 'warning', 'error', 'critical')",
        ),
        comment="Append-only log of what agents did",
    )
    op.create_index(op.f("ix_agent_logs_client_id"), "agent_logs", ["client_id"])
    op.create_index(
        op.f("ix_agent_logs_task_id_created_at"), "agent_logs", ["task_id", "created_at"]
    )


def _create_agent_metrics() -> None:
    counts = ("tasks_completed", "tasks_failed", "tasks_escalated")
    tokens = ("input_tokens", "output_tokens")
    op.create_table(
        "agent_metrics",
        _identity_key(),
        sa.Column("agent_type", sa.Text(), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        *(_count(name, sa.Integer()) for name in counts),
        *(_count(name, sa.BigInteger()) for name in tokens),
        sa.Column("mean_duration_ms", sa.Double(), comment="NULL when nothing completed"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_metrics")),
        sa.UniqueConstraint(
            "agent_type",
            "period_start",
            "period_end",
            name=op.f("uq_agent_metrics_agent_type_period_start_period_end"),
        ),
        _check("agent_metrics", "period_not_empty", "period_end > period_start"),
        *(
            _check("agent_metrics", f"{name}_not_negative", f"{name} >= 0")
            for name in (*counts, *tokens, "mean_duration_ms")
        ),
        comment="Performance figures of agents",
    )


def _uuid_key() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False)


def _identity_key() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _count(name: str, kind: sa.Integer) -> sa.Column[Any]:
    return sa.Column(name, kind, server_default=sa.text("0"), nullable=False)


def _check(table: str, rule: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{rule}"))


def _foreign_key(table: str, column: str, parent: str, on_delete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{parent}")
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=name, ondelete=on_delete)
