"""A history with every kind of revision: a plain Alembic directory."""
