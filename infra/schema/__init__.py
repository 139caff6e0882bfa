"""The schema node: what an Alembic directory says, what a database has, and the way between."""
