"""Commits between batches."""

import sqlalchemy as sa
from alembic import op

revision = "r12"
down_revision = "r11"


def upgrade() -> None:
    """Go up."""
    connection = op.get_bind()
    op.execute("ALTER TABLE accounts ADD COLUMN IF NOT EXISTS rounded bigint")
    with op.get_context().autocommit_block():
        for first in range(0, connection.scalar(sa.text("SELECT max(id) FROM accounts")), 500):
            connection.execute(
                sa.text(
                    "UPDATE accounts SET rounded = round(total)"
                    " WHERE id > :first AND id <= :first + 500"
                ),
                {"first": first},
            )
        op.create_index(
            "accounts_rounded",
            "accounts",
            ["rounded"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    """Go down."""
    connection = op.get_bind()
    with op.get_context().autocommit_block():
        if connection.scalar(sa.text("SELECT to_regclass('accounts_rounded')")):
            op.drop_index("accounts_rounded", postgresql_concurrently=True, if_exists=True)
    op.execute("ALTER TABLE accounts DROP COLUMN IF EXISTS rounded")
