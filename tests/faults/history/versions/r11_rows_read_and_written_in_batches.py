"""Rows read and written in batches."""

import sqlalchemy as sa
from alembic import op

revision = "r11"
down_revision = "r10"


def upgrade() -> None:
    """Go up."""
    connection = op.get_bind()
    op.add_column("accounts", sa.Column("total", sa.Numeric(12, 2)))
    last = 0
    while True:
        ids = connection.scalars(
            sa.text("SELECT id FROM accounts WHERE id > :last ORDER BY id LIMIT 250"),
            {"last": last},
        ).all()
        if not ids:
            break
        connection.execute(
            sa.text(
                "UPDATE accounts SET total ="
                " (SELECT sum(amount) FROM payments WHERE account_id = accounts.id)"
                " WHERE id = ANY (:ids)"
            ),
            {"ids": list(ids)},
        )
        last = ids[-1]


def downgrade() -> None:
    """Go down."""
    count = op.get_bind().scalar(sa.text("SELECT count(*) FROM accounts WHERE total IS NOT NULL"))
    if count:
        op.drop_column("accounts", "total")
