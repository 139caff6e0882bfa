"""Runs the revisions, as `alembic init -t async` makes it, with a transaction for each."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)


def run_offline() -> None:
    """Write SQL."""
    context.configure(url=URL, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def run(connection: Connection) -> None:
    """Run on a connection."""
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    """Connect, and run."""
    engine = create_async_engine(URL, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    asyncio.run(run_online())
