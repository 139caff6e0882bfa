"""Rows."""

from alembic import op

revision = "r02"
down_revision = "r01"


def upgrade() -> None:
    """Go up."""
    op.execute(
        "INSERT INTO accounts (id, name, kind) SELECT n, 'account ' || n, 'person'"
        " FROM generate_series(1, 2000) n"
    )
    op.execute(
        "INSERT INTO payments SELECT n, 1 + n % 2000, n % 97 FROM generate_series(1, 10000) n"
    )
    op.execute("UPDATE accounts SET kind = 'company' WHERE id % 7 = 0")


def downgrade() -> None:
    """Go down."""
    op.execute("DELETE FROM payments")
    op.execute("DELETE FROM accounts")
