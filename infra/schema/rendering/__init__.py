"""How Alembic's files become SQL without a database."""
