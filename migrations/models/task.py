"""Work given to agents, and the part of it that a human had to take over."""

import enum
import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, IdentityKey, UuidKey

__all__ = ["Escalation", "Task", "TaskStatus"]


class TaskStatus(enum.StrEnum):
    """Where a task stands; the values of the type `taskstatus`, in its order."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    ESCALATED = "escalated"


def _values(members: type[enum.Enum]) -> list[str]:
    """Store the values: by default SQLAlchemy stores the names, in capitals."""
    return [member.value for member in members]


class Task(Base):
    """A piece of work for one client, done by one kind of agent."""

    __tablename__ = "tasks"
    __table_args__ = (
        # How long a finished task is kept counts from this time.
        CheckConstraint(
            "status <> 'completed' OR completed_at IS NOT NULL", name="completed_has_time"
        ),
        CheckConstraint("completed_at >= started_at", name="completed_after_started"),
        # An agent looks for work of its kind by status.
        Index(None, "status", "agent_type"),
        {"comment": "Work given to agents"},
    )

    id: Mapped[UuidKey]
    # RESTRICT: whoever deletes a client decides about its tasks first.
    client_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("clients.id", ondelete="RESTRICT"), index=True
    )
    task_type: Mapped[str]
    agent_type: Mapped[str]
    status: Mapped[TaskStatus] = mapped_column(
        Enum(TaskStatus, name="taskstatus", values_callable=_values),
        server_default=text("'pending'"),
    )
    created_at: Mapped[CreatedAt]
    assigned_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    error_message: Mapped[str | None]


class Escalation(Base):
    """A task handed to a human, and what came of it."""

    __tablename__ = "escalations"
    __table_args__ = (
        CheckConstraint("num_nulls(resolution, resolved_at) IN (0, 2)", name="resolved_as_a_pair"),
        {"comment": "Tasks handed to a human"},
    )

    id: Mapped[IdentityKey]
    # RESTRICT: that a human stepped in is part of the audit trail.
    task_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tasks.id", ondelete="RESTRICT"), index=True
    )
    reason: Mapped[str]
    assigned_to: Mapped[str | None] = mapped_column(comment="The human, once one took it")
    escalated_at: Mapped[CreatedAt]
    resolution: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
