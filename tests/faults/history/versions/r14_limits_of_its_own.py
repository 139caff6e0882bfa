"""Limits of its own."""

from alembic import op

revision = "r14"
down_revision = "r13"
lock_timeout = "2s"
statement_timeout = "1min"


def upgrade() -> None:
    """Go up."""
    op.execute("ALTER TABLE invoices ADD COLUMN due date")
    op.execute("UPDATE invoices SET due = date '2026-01-01' + id WHERE due IS NULL")


def downgrade() -> None:
    """Go down."""
    op.execute("ALTER TABLE invoices DROP COLUMN due")
