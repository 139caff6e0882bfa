"""Type of a former revision used again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "r13"
down_revision = "r12"


def upgrade() -> None:
    """Go up."""
    kind = postgresql.ENUM("person", "company", "public", name="kind", create_type=False)
    op.add_column("payments", sa.Column("kind", kind, nullable=False, server_default="person"))
    state = sa.Enum("open", "paid", name="state")
    op.create_table(
        "invoices",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("state", state, nullable=False),
    )
    op.execute(
        "INSERT INTO invoices (number, state)"
        " SELECT 'no. ' || n, 'open' FROM generate_series(1, 50) n"
    )


def downgrade() -> None:
    """Go down."""
    op.drop_table("invoices")
    op.execute("DROP TYPE state")
    op.drop_column("payments", "kind")
