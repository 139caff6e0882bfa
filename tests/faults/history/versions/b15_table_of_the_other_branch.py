"""Table of the other branch."""

import sqlalchemy as sa
from alembic import op

revision = "b15"
down_revision = "r14"


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text)
    )
    op.bulk_insert(
        sa.table("notes", sa.column("id", sa.Integer), sa.column("text", sa.Text)),
        [{"id": number, "text": f"note {number}"} for number in range(20)],
    )


def downgrade() -> None:
    """Go down."""
    op.drop_table("notes")
