"""Index without a name."""

from alembic import op

revision = "r05"
down_revision = "r04"


def upgrade() -> None:
    """Go up."""
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ON payments (account_id, amount)")


def downgrade() -> None:
    """Go down."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY payments_account_id_amount_idx")
