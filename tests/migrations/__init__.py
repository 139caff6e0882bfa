"""The schema and its environment, on a real PostgreSQL 17."""
