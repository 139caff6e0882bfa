"""What tasks produce, how humans correct it, and the documents that agents search."""

import uuid
from typing import Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, IdentityKey

__all__ = ["EMBEDDING_DIMENSIONS", "DocumentEmbedding", "FeedbackEntry", "TaskArtifact"]

EMBEDDING_DIMENSIONS = 1536
"""Length of every embedding, given by the embedding model; another one needs a revision."""


class TaskArtifact(Base):
    """An output of a task: a file, its content, or both."""

    __tablename__ = "task_artifacts"
    __table_args__ = (
        CheckConstraint("num_nonnulls(file_path, content) > 0", name="has_file_or_content"),
        {"comment": "Outputs of tasks"},
    )

    id: Mapped[IdentityKey]
    # CASCADE: an output is a part of its task.
    task_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), index=True
    )
    artifact_type: Mapped[str]
    file_path: Mapped[str | None]
    content: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]


class FeedbackEntry(Base):
    """A correction by a human: said outright, or seen from what they changed."""

    __tablename__ = "feedback_entries"
    __table_args__ = (
        CheckConstraint("feedback_type IN ('implicit', 'explicit')", name="feedback_type_known"),
        {"comment": "Human corrections of what agents produced"},
    )

    id: Mapped[IdentityKey]
    # RESTRICT: review by a human is part of the audit trail.
    task_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tasks.id", ondelete="RESTRICT"), index=True
    )
    feedback_type: Mapped[str]
    original_content: Mapped[str | None]
    corrected_content: Mapped[str | None]
    diff_summary: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'::text[]"))
    reviewer: Mapped[str]
    created_at: Mapped[CreatedAt]


class DocumentEmbedding(Base):
    """A chunk of a client's document with its embedding, for retrieval."""

    __tablename__ = "document_embeddings"
    __table_args__ = (
        CheckConstraint("document_year BETWEEN 1900 AND 2999", name="document_year_plausible"),
        CheckConstraint("chunk_index >= 0", name="chunk_index_not_negative"),
        # Nearest neighbours by cosine distance, `embedding <=> $1`.
        Index(
            None,
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
            postgresql_with={"m": 16, "ef_construction": 64},
        ),
        {"comment": "Chunks of client documents with their embeddings"},
    )

    id: Mapped[IdentityKey]
    # CASCADE: derived from documents, can be made again, and must not outlive its client.
    client_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("clients.id", ondelete="CASCADE"), index=True
    )
    document_type: Mapped[str]
    document_year: Mapped[int | None] = mapped_column(SmallInteger)
    file_path: Mapped[str]
    chunk_index: Mapped[int]
    content: Mapped[str]
    embedding: Mapped[list[float]] = mapped_column(Vector(EMBEDDING_DIMENSIONS))
    created_at: Mapped[CreatedAt]
