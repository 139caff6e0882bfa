# ruff: noqa: D415 - the first line is the message that Alembic shows
"""HNSW index on document embeddings

Revision ID: 7f4d02b9ae61
Revises: 83c01ef4c8fc
Create Date: 2026-01-12 11:00:00+00:00

Built CONCURRENTLY: a graph over a million vectors takes minutes to hours, in which nobody has to
stop writing. A run that is killed leaves an INVALID index behind; the next run drops it first.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic import op

if TYPE_CHECKING:
    from collections.abc import Iterator

revision = "7f4d02b9ae61"
down_revision = "83c01ef4c8fc"
branch_labels = None
depends_on = None

TABLE = "document_embeddings"
INDEX = "ix_document_embeddings_embedding"

# CONCURRENTLY waits for every transaction that is older than itself, and nobody queues behind it
# meanwhile. So the short lock_timeout of a run, which protects others, would protect nobody here
# and only make it fail beside any transaction that takes longer; statement_timeout still ends it.
# What it was before is kept in the session, also where a run is repeated in the same one.
WAIT = (
    """
    SELECT set_config(
        'groundwork.lock_timeout',
        COALESCE(
            NULLIF(current_setting('groundwork.lock_timeout', true), ''),
            current_setting('lock_timeout')
        ),
        false
    )
    """,
    "SET lock_timeout = 0",
)
WAIT_AS_BEFORE = (
    "SELECT set_config('lock_timeout', current_setting('groundwork.lock_timeout'), false)",
    "RESET groundwork.lock_timeout",
)


def upgrade() -> None:
    """Find the nearest chunks of documents by cosine distance, `embedding <=> $1`."""
    with _outside_transaction():
        op.drop_index(INDEX, TABLE, postgresql_concurrently=True, if_exists=True)
        op.create_index(
            INDEX,
            TABLE,
            ["embedding"],
            postgresql_concurrently=True,
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
            # pgvector's defaults, written out: another version may take others.
            postgresql_with={"m": 16, "ef_construction": 64},
        )


def downgrade() -> None:
    """Take the index away; no data is lost."""
    with _outside_transaction():
        op.drop_index(INDEX, TABLE, postgresql_concurrently=True, if_exists=True)


@contextmanager
def _outside_transaction() -> Iterator[None]:
    """Commit each statement by itself and wait for as long as it takes, inside the block only."""
    with op.get_context().autocommit_block():
        for statement in WAIT:
            op.execute(statement)
        try:
            yield
        finally:
            for statement in WAIT_AS_BEFORE:
                op.execute(statement)
