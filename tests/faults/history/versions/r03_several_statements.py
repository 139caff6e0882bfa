"""Several statements."""

import sqlalchemy as sa
from alembic import op

revision = "r03"
down_revision = "r02"


def upgrade() -> None:
    """Go up."""
    op.add_column("accounts", sa.Column("email", sa.Text))
    op.execute("UPDATE accounts SET email = 'a' || id || '@example.org'")
    op.execute("SELECT pg_sleep(0.1)")
    op.alter_column("accounts", "email", nullable=False)
    op.create_unique_constraint("accounts_email", "accounts", ["email"])
    op.execute("UPDATE accounts SET balance = balance + 1")
    op.create_check_constraint("accounts_balance", "accounts", "balance >= 0")


def downgrade() -> None:
    """Go down."""
    op.drop_constraint("accounts_balance", "accounts")
    op.execute("UPDATE accounts SET balance = balance - 1")
    op.drop_column("accounts", "email")
