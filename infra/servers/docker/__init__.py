"""A PostgreSQL in Docker: what is there, what is made, what is asked of it."""
