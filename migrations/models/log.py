"""What agents did, and how well."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, IdentityKey

__all__ = ["AgentLog", "AgentMetric"]


class AgentLog(Base):
    """One structured line of an agent's log: added, never changed."""

    __tablename__ = "agent_logs"
    __table_args__ = (
        CheckConstraint(
            "level IN ('debug', 'info', 'warning', 'error', 'critical')", name="level_known"
        ),
        # The log of a task is read in the order of time; it serves the foreign key too.
        Index(None, "task_id", "created_at"),
        {"comment": "Append-only log of what agents did"},
    )

    id: Mapped[IdentityKey]
    # RESTRICT on both: the log is the audit trail. SET NULL would be a change of a line.
    task_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="RESTRICT"))
    client_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("clients.id", ondelete="RESTRICT"), index=True
    )
    agent: Mapped[str]
    level: Mapped[str]
    message: Mapped[str]
    # `metadata` belongs to SQLAlchemy on a model; the column has the plain name.
    details: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=text("'{}'::jsonb"))
    created_at: Mapped[CreatedAt]


class AgentMetric(Base):
    """Figures of one kind of agent over one period, its end excluded."""

    __tablename__ = "agent_metrics"
    __table_args__ = (
        CheckConstraint("period_end > period_start", name="period_not_empty"),
        CheckConstraint("tasks_completed >= 0", name="tasks_completed_not_negative"),
        CheckConstraint("tasks_failed >= 0", name="tasks_failed_not_negative"),
        CheckConstraint("tasks_escalated >= 0", name="tasks_escalated_not_negative"),
        CheckConstraint("input_tokens >= 0", name="input_tokens_not_negative"),
        CheckConstraint("output_tokens >= 0", name="output_tokens_not_negative"),
        CheckConstraint("mean_duration_ms >= 0", name="mean_duration_ms_not_negative"),
        # A period that is counted again replaces its row instead of counting twice.
        UniqueConstraint("agent_type", "period_start", "period_end"),
        {"comment": "Performance figures of agents"},
    )

    id: Mapped[IdentityKey]
    agent_type: Mapped[str]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    tasks_completed: Mapped[int] = mapped_column(server_default=text("0"))
    tasks_failed: Mapped[int] = mapped_column(server_default=text("0"))
    tasks_escalated: Mapped[int] = mapped_column(server_default=text("0"))
    input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    output_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    mean_duration_ms: Mapped[float | None] = mapped_column(comment="NULL when nothing completed")
    created_at: Mapped[CreatedAt]
