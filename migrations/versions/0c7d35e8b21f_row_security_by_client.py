# ruff: noqa: D415 - the first line is the message that Alembic shows
"""row security by client

Revision ID: 0c7d35e8b21f
Revises: e62a9d70c4b8
Create Date: 2026-01-12 14:00:00+00:00

A session works for one client, which it names by `SET app.client_id`: it sees and writes the rows
of that client, and without the setting none. Not FORCEd: the owner, under which revisions run and
nobody logs in, isn't subject to it, or a revision that changes data would silently touch no row.

A table has four policies. The permissive one says which rows there are for a session. What may be
written is said by two restrictive ones, since PostgreSQL names only these when it refuses a row.
The last one lets auditors read everything: members of pg_read_all_data, because a role of our own
would belong to the whole cluster, which a revision of one database has no business with.
"""

from __future__ import annotations

from alembic import op

revision = "0c7d35e8b21f"
down_revision = "e62a9d70c4b8"
branch_labels = None
depends_on = None

# SET LOCAL leaves an empty string behind, which is no client.
SESSION_CLIENT = "NULLIF(current_setting('app.client_id', true), '')::uuid"

# Evaluated once a query, so that the index on task_id serves; and by the client outright, so that
# it is right also for who is not subject to the policies of tasks.
TASK_IN_SESSION = f"task_id = ANY (ARRAY(SELECT id FROM tasks WHERE client_id = {SESSION_CLIENT}))"  # noqa: S608 - put together from constants
# For a row that is written the one task is looked up, however many tasks the client has.
TASK_OF_SESSION = (
    f"EXISTS (SELECT FROM tasks AS own WHERE own.id = task_id AND own.client_id = {SESSION_CLIENT})"
)

OF_CLIENT = f"client_id = {SESSION_CLIENT}"

# By table: what a session sees, what it may write.
RULES = {
    "clients": (f"id = {SESSION_CLIENT}", f"id = {SESSION_CLIENT}"),
    "client_profile_entries": (OF_CLIENT, OF_CLIENT),
    "tasks": (OF_CLIENT, OF_CLIENT),
    "document_embeddings": (OF_CLIENT, OF_CLIENT),
    "escalations": (TASK_IN_SESSION, TASK_OF_SESSION),
    "task_artifacts": (TASK_IN_SESSION, TASK_OF_SESSION),
    "feedback_entries": (TASK_IN_SESSION, TASK_OF_SESSION),
    # A line may name a client, a task, both or neither; one of neither is for auditors.
    "agent_logs": (
        f"{OF_CLIENT} OR client_id IS NULL AND {TASK_IN_SESSION}",
        f"(client_id IS NULL OR {OF_CLIENT}) AND (task_id IS NULL OR {TASK_OF_SESSION})",
    ),
}


def upgrade() -> None:
    """Show and take only rows of the client that the session works for."""
    for table, (visible, writable) in RULES.items():
        op.execute(
            f"CREATE POLICY session_client ON {table} FOR ALL TO PUBLIC"
            f" USING ({visible}) WITH CHECK (true)"
        )
        for verb in ("insert", "update"):
            op.execute(
                f"CREATE POLICY {verb}_only_for_session_client ON {table} AS RESTRICTIVE"
                f" FOR {verb.upper()} TO PUBLIC WITH CHECK ({writable})"
            )
        op.execute(
            f"CREATE POLICY auditor_reads_all ON {table}"
            " FOR SELECT TO pg_read_all_data USING (true)"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Show all rows to every role that may read the tables; no data is lost."""
    for table in RULES:
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY auditor_reads_all ON {table}")
        for verb in ("insert", "update"):
            op.execute(f"DROP POLICY {verb}_only_for_session_client ON {table}")
        op.execute(f"DROP POLICY session_client ON {table}")
