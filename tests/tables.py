"""The tables that the schema has, as the tests know them."""

__all__ = ["TABLES"]

TABLES = {
    "agent_logs",
    "agent_metrics",
    "client_profile_entries",
    "clients",
    "document_embeddings",
    "escalations",
    "feedback_entries",
    "skill_embeddings",
    "skill_files",
    "task_artifacts",
    "tasks",
}
