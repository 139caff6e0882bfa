"""Enum and tables."""

import sqlalchemy as sa
from alembic import op

revision = "r01"
down_revision = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("kind", sa.Enum("person", "company", name="kind"), nullable=False),
        sa.Column("balance", sa.Numeric(12, 2), nullable=False, server_default="0"),
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("amount", sa.Numeric(12, 2), nullable=False),
    )


def downgrade() -> None:
    """Go down."""
    op.drop_table("payments")
    op.drop_table("accounts")
    op.execute("DROP TYPE kind")
