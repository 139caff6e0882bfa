"""Alembic directories as other people have them, made for a test, and the two ways to run them."""
