"""Runs the Alembic histories of published packages beside plain Alembic; see docs/histories.md."""
