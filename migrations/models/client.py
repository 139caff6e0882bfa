"""Clients (taxpayers) and the append-only log of what is known about them."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, IdentityKey, UuidKey

__all__ = ["Client", "ClientProfileEntry"]


class Client(Base):
    """A taxpayer whom the practice works for."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("length(btrim(name)) > 0", name="name_not_blank"),
        CheckConstraint("position('@' in email) > 1", name="email_has_at_sign"),
        # The whole number is never kept: what isn't stored can't leak.
        CheckConstraint("ssn_last4 ~ '^[0-9]{4}$'", name="ssn_last4_four_digits"),
        {"comment": "Taxpayers whom the practice works for"},
    )

    id: Mapped[UuidKey]
    name: Mapped[str]
    external_id: Mapped[str | None] = mapped_column(
        unique=True, comment="Key of the client in the practice's own system"
    )
    email: Mapped[str | None]
    ssn_last4: Mapped[str | None] = mapped_column(comment="Last four digits of the SSN, never more")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class ClientProfileEntry(Base):
    """One fact about a client, as it was learned: entries are added, never changed."""

    __tablename__ = "client_profile_entries"
    __table_args__ = (
        CheckConstraint("author IN ('human', 'ai')", name="author_human_or_ai"),
        CheckConstraint("tax_year BETWEEN 1900 AND 2999", name="tax_year_plausible"),
        # The profile is read newest first, one client at a time; it serves the foreign key too.
        Index(
            "ix_client_profile_entries_client_id_created_at",
            "client_id",
            text("created_at DESC"),
        ),
        {"comment": "Append-only log of what is known about a client"},
    )

    id: Mapped[IdentityKey]
    # RESTRICT: a profile is evidence, it is not lost because its client was deleted.
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="RESTRICT"))
    entry_type: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    author: Mapped[str]
    tax_year: Mapped[int | None] = mapped_column(SmallInteger)
    created_at: Mapped[CreatedAt]
