"""The two ways to run a history: compiled SQL on asyncpg, and Alembic's own commands."""

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import asyncpg

from tests.forking import servers
from tests.migrations.catalog import CATALOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import History, Script
    from tests.conftest import PostgresServer
    from tests.schema.histories.project import Project

__all__ = ["DIRECTIONS", "Base", "Content", "compiled", "made", "online"]

Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, ...] = ("up", "down")
Content = list[str]

_ONLINE = Path(__file__).with_name("alembic_command.py")

_TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema' AND tablename !~ 'alembic'
"""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A database of a test."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """As SQLAlchemy wants it."""
        password = quote(self.server.password, safe="")
        place = f"{self.server.host}:{self.server.port}/{self.name}"
        return f"postgresql+asyncpg://{self.server.user}:{password}@{place}"

    async def connect(self) -> Any:
        """Open a connection."""
        return await asyncpg.connect(
            host=self.server.host,
            port=self.server.port,
            user=self.server.user,
            password=self.server.password,
            database=self.name,
        )

    def execute(self, sql: str) -> None:
        """Run some SQL."""

        async def run() -> None:
            connection = await self.connect()
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        asyncio.run(run())

    def content(self) -> Content:
        """Give the definitions, and the rows of every table, a line each, but Alembic's own."""

        async def read() -> Content:
            connection = await self.connect()
            try:
                lines = [row[0] for row in await connection.fetch(CATALOG)]
                tables = [row[0] for row in await connection.fetch(_TABLES)]
                rows = {
                    table: [
                        row[0]
                        for row in await connection.fetch(
                            f"SELECT t::text FROM {table} t ORDER BY 1"  # noqa: S608 - quoted
                        )
                    ]
                    for table in tables
                }
            finally:
                await connection.close()
            return [
                *(line for line in lines if "alembic" not in line),
                *(f"row of {table}: {row}" for table, found in rows.items() for row in found),
            ]

        return asyncio.run(read())


@contextmanager
def made(server: PostgresServer) -> Iterator[Base]:
    """Make an empty database, and take it away again."""
    maintenance = Base(server=server, name="postgres")
    base = Base(server=server, name=f"h_{uuid.uuid4().hex}")
    maintenance.execute(f"CREATE DATABASE {base.name} TEMPLATE template0 STRATEGY file_copy")
    yield base
    maintenance.execute(f"DROP DATABASE {base.name} WITH (FORCE)")


def compiled(history: History, direction: Direction, base: Base) -> Content:
    """Run the rendered SQL of all revisions, each in a transaction of its own."""
    revisions = history.revisions if direction == "up" else history.revisions[::-1]
    scripts = [r.upgrade if direction == "up" else r.downgrade for r in revisions]
    assert [script.live for script in scripts if script.live] == []

    async def run() -> None:
        connection = await base.connect()
        try:
            for statement in history.prologue:
                await connection.execute(statement)
            for script in scripts:
                await _apply(connection, script)
        finally:
            await connection.close()

    asyncio.run(run())
    return base.content()


async def _apply(connection: Any, script: Script) -> None:
    for part in script.parts:
        if part.autocommit:
            for statement in part.statements:
                await connection.execute(statement)
        else:
            await connection.execute(f"BEGIN;{';'.join(part.statements)};COMMIT")


def online(project: Project, direction: Direction, base: Base, *, variable: str = "") -> Content:
    """Run Alembic's own command on the project."""
    done = subprocess.run(
        servers.command(str(_ONLINE)),
        cwd=project.root,
        input=f"{direction} {base.url} {'sync' if project.sync else 'async'}",
        env={**os.environ, variable or "DATABASE_URL": base.url},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return base.content()
