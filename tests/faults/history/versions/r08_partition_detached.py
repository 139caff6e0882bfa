"""Partition detached."""

from alembic import op

revision = "r08"
down_revision = "r07"


def upgrade() -> None:
    """Go up."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE entries DETACH PARTITION entries_2023 CONCURRENTLY")


def downgrade() -> None:
    """Go down."""
    op.execute("ALTER TABLE entries_2023 DROP CONSTRAINT IF EXISTS entries_2023_year_check")
    op.execute("ALTER TABLE entries ATTACH PARTITION entries_2023 FOR VALUES IN (2023)")
