"""Indexes built again."""

from alembic import op

revision = "r06"
down_revision = "r05"


def upgrade() -> None:
    """Go up."""
    with op.get_context().autocommit_block():
        op.execute("REINDEX INDEX CONCURRENTLY payments_amount")
        op.execute("REINDEX TABLE CONCURRENTLY accounts")


def downgrade() -> None:
    """Go down."""
    with op.get_context().autocommit_block():
        op.execute("REINDEX INDEX CONCURRENTLY payments_amount")
