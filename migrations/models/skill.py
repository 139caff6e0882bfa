"""Instructions for agents, and their chunks for retrieval."""

import uuid
from datetime import date

from pgvector.sqlalchemy import Vector
from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.artifact import EMBEDDING_DIMENSIONS
from models.base import Base, CreatedAt, IdentityKey, UuidKey

__all__ = ["SkillEmbedding", "SkillFile"]


class SkillFile(Base):
    """One version of the instructions for a skill, in force from a date."""

    __tablename__ = "skill_files"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        {"comment": "Instructions for agents"},
    )

    id: Mapped[UuidKey]
    name: Mapped[str]
    version: Mapped[str]
    effective_date: Mapped[date]
    content: Mapped[str]
    created_at: Mapped[CreatedAt]


class SkillEmbedding(Base):
    """A chunk of a skill file with its embedding."""

    __tablename__ = "skill_embeddings"
    __table_args__ = (
        # Full-text search: a query has to say the same expression, configuration included.
        Index(
            "ix_skill_embeddings_chunk_text_english",
            text("to_tsvector('english', chunk_text)"),
            postgresql_using="gin",
        ),
        # Nearest neighbours by cosine distance, `embedding <=> $1`.
        Index(
            None,
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
            postgresql_with={"m": 16, "ef_construction": 64},
        ),
        {"comment": "Chunks of skill files with their embeddings"},
    )

    id: Mapped[IdentityKey]
    # CASCADE: derived from the file.
    skill_file_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("skill_files.id", ondelete="CASCADE"), index=True
    )
    chunk_text: Mapped[str]
    embedding: Mapped[list[float]] = mapped_column(Vector(EMBEDDING_DIMENSIONS))
    created_at: Mapped[CreatedAt]
