"""The tables, as SQLAlchemy models: one module a domain.

Import from here: whoever has imported this package has every table in `Base.metadata`.
"""

from models.artifact import EMBEDDING_DIMENSIONS, DocumentEmbedding, FeedbackEntry, TaskArtifact
from models.base import Base
from models.client import Client, ClientProfileEntry
from models.log import AgentLog, AgentMetric
from models.skill import SkillEmbedding, SkillFile
from models.task import Escalation, Task, TaskStatus

__all__ = [
    "EMBEDDING_DIMENSIONS",
    "AgentLog",
    "AgentMetric",
    "Base",
    "Client",
    "ClientProfileEntry",
    "DocumentEmbedding",
    "Escalation",
    "FeedbackEntry",
    "SkillEmbedding",
    "SkillFile",
    "Task",
    "TaskArtifact",
    "TaskStatus",
]
