# ruff: noqa: D415 - the first line is the message that Alembic shows
"""keep completed tasks for seven years

Revision ID: 4b8e15a7f0d3
Revises: d1903c6e58fb
Create Date: 2026-01-12 12:00:00+00:00

Triggers instead of privileges: they bind the owner and a superuser too, and hold in a session that
sets session_replication_role (ENABLE ALWAYS). What the function says is found in pg_catalog alone,
so no search_path of a session changes its meaning.
"""

from __future__ import annotations

from alembic import op

revision = "4b8e15a7f0d3"
down_revision = "d1903c6e58fb"
branch_labels = None
depends_on = None

# A task that leaves `completed`, or was completed earlier than it was, could be deleted: both are
# refused. A later time is not, since it only keeps the task for longer.
KEEP_COMPLETED_TASK = """
CREATE FUNCTION keep_completed_task() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $function$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = format('%I holds tasks that are kept for seven years: TRUNCATE refused',
                TG_TABLE_NAME),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
            HINT = 'DELETE takes those that are not completed, and those that are old enough.';
    END IF;
    IF OLD.status = 'completed' AND OLD.completed_at > now() - interval '7 years'
        AND (TG_OP = 'DELETE'
            OR NEW.status <> 'completed'
            OR NEW.completed_at IS NULL
            OR NEW.completed_at < OLD.completed_at)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = format('task %s is completed and kept until %s: %s refused',
                OLD.id, (OLD.completed_at + interval '7 years')::date,
                CASE TG_OP WHEN 'DELETE' THEN 'DELETE' ELSE 'UPDATE of status or completed_at' END),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
            HINT = 'What is wrong with it is said by feedback, an escalation or a new task.';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$function$
"""

ROW_TRIGGER = """
CREATE TRIGGER tg_tasks_kept_seven_years
BEFORE DELETE OR UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION keep_completed_task()
"""
TRUNCATE_TRIGGER = """
CREATE TRIGGER tg_tasks_not_truncated
BEFORE TRUNCATE ON tasks FOR EACH STATEMENT EXECUTE FUNCTION keep_completed_task()
"""


def upgrade() -> None:
    """Refuse to delete, reopen or backdate a task that was completed in the last seven years."""
    op.execute(KEEP_COMPLETED_TASK)
    op.execute(ROW_TRIGGER)
    op.execute(TRUNCATE_TRIGGER)
    op.execute("ALTER TABLE tasks ENABLE ALWAYS TRIGGER tg_tasks_kept_seven_years")
    op.execute("ALTER TABLE tasks ENABLE ALWAYS TRIGGER tg_tasks_not_truncated")


def downgrade() -> None:
    """Let go of completed tasks; no data is lost."""
    op.execute("DROP TRIGGER tg_tasks_not_truncated ON tasks")
    op.execute("DROP TRIGGER tg_tasks_kept_seven_years ON tasks")
    op.execute("DROP FUNCTION keep_completed_task()")
