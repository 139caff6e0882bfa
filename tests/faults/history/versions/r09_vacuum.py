"""Vacuum."""

from alembic import op

revision = "r09"
down_revision = "r08"


def upgrade() -> None:
    """Go up."""
    with op.get_context().autocommit_block():
        op.execute("VACUUM (ANALYZE) payments")


def downgrade() -> None:
    """Go down."""
    with op.get_context().autocommit_block():
        op.execute("VACUUM payments")
