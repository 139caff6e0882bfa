"""Branches merged."""

from alembic import op

revision = "r16"
down_revision = ("a15", "b15")


def upgrade() -> None:
    """Go up."""
    op.execute("UPDATE notes SET text = text || '!'")
    op.create_index("notes_text", "notes", ["text"])


def downgrade() -> None:
    """Go down."""
    op.drop_index("notes_text")
    op.execute("UPDATE notes SET text = rtrim(text, '!')")
