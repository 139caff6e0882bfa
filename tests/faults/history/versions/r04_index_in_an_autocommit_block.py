"""Index in an autocommit block."""

import sqlalchemy as sa
from alembic import op

revision = "r04"
down_revision = "r03"


def upgrade() -> None:
    """Go up."""
    op.add_column("payments", sa.Column("note", sa.Text))
    op.execute("UPDATE payments SET note = coalesce(note, '') || 'once'")
    with op.get_context().autocommit_block():
        op.create_index("payments_amount", "payments", ["amount"], postgresql_concurrently=True)
    op.execute("UPDATE payments SET note = note || ', twice'")


def downgrade() -> None:
    """Go down."""
    with op.get_context().autocommit_block():
        op.drop_index("payments_amount", postgresql_concurrently=True)
    op.drop_column("payments", "note")
