"""Value of an enum in an autocommit block."""

from alembic import op

revision = "r10"
down_revision = "r09"


def upgrade() -> None:
    """Go up."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE kind ADD VALUE 'public'")
    op.execute("UPDATE accounts SET kind = 'public' WHERE id % 11 = 0")


def downgrade() -> None:
    """Go down."""
    op.execute("UPDATE accounts SET kind = 'person' WHERE kind = 'public'")
    op.execute("UPDATE accounts SET kind = 'company' WHERE id % 7 = 0")
    op.execute("ALTER TABLE accounts ALTER kind TYPE text")
    op.execute("DROP TYPE kind")
    op.execute("CREATE TYPE kind AS ENUM ('person', 'company')")
    op.execute("ALTER TABLE accounts ALTER kind TYPE kind USING kind::kind")
