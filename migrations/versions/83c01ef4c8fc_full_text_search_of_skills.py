# ruff: noqa: D415 - the first line is the message that Alembic shows
"""full-text search of skills

Revision ID: 83c01ef4c8fc
Revises: c5fc18e7c719
Create Date: 2026-01-12 10:00:00+00:00

Not CONCURRENTLY: the table holds the practice's own instructions, some thousand chunks. They are
indexed in about a second, for which nobody writes to them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "83c01ef4c8fc"
down_revision = "c5fc18e7c719"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find chunks by their words, and by the file that they are of."""
    # A query uses it that says `to_tsvector('english', chunk_text) @@ ...`, configuration
    # included: without it the result depends on a setting of the session, and is not indexed.
    op.create_index(
        op.f("ix_skill_embeddings_chunk_text_english"),
        "skill_embeddings",
        [sa.text("to_tsvector('english', chunk_text)")],
        postgresql_using="gin",
    )
    op.create_index(
        op.f("ix_skill_embeddings_skill_file_id"), "skill_embeddings", ["skill_file_id"]
    )


def downgrade() -> None:
    """Take the indexes away; no data is lost."""
    op.drop_index(op.f("ix_skill_embeddings_skill_file_id"), "skill_embeddings")
    op.drop_index(op.f("ix_skill_embeddings_chunk_text_english"), "skill_embeddings")
