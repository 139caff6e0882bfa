"""Partitions."""

from alembic import op

revision = "r07"
down_revision = "r06"


def upgrade() -> None:
    """Go up."""
    op.execute("CREATE TABLE entries (id int NOT NULL, year int NOT NULL) PARTITION BY LIST (year)")
    for year in (2023, 2024, 2025):
        op.execute(f"CREATE TABLE entries_{year} PARTITION OF entries FOR VALUES IN ({year})")
    op.execute("INSERT INTO entries SELECT n, 2023 + n % 3 FROM generate_series(1, 3000) n")


def downgrade() -> None:
    """Go down."""
    op.execute("DROP TABLE entries")
