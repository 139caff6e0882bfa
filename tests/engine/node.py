"""A stack of the schema node alone, on a database that is there already: quick, and all its own."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.engine import histories
from tests.engine.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer

__all__ = ["PROGRAM", "Database", "Node", "make_database"]

PROGRAM = """
import subprocess
import sys
from pathlib import Path
import pulumi
from infra import settings
from infra.password import Password
from infra.schema.resource import Schema

if Path("between.py").exists() and not pulumi.runtime.is_dry_run():
    subprocess.run([sys.executable, "between.py"], check=True)
config = pulumi.Config("node")
url = config.require_secret("url")
if config.get_bool("later"):  # known only once something else is made
    url = pulumi.Output.all(url, Password("later").password).apply(lambda both: both[0])
chosen = settings.load()
schema = Schema("schema", url=url, migrations=chosen.migrations, options=chosen.schema)
pulumi.export("revision", schema.revision)
"""
"""The schema node and nothing else, on the database of `node:url`."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database, by its URL."""

    url: str

    def run(self, *statements: str) -> list[Any]:
        """Run statements; gives the rows of the last one."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                for statement in statements[:-1]:
                    await connection.execute(statement)
                return [tuple(row) for row in await connection.fetch(statements[-1])]
            finally:
                await connection.close()

        return asyncio.run(run())

    @contextmanager
    def hold_lock(self, number: int) -> Iterator[Callable[[], None]]:
        """Hold an advisory lock; gives what releases it before the end."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self.url))
            runner.run(connection.execute(f"SELECT pg_advisory_lock({number})"))
            try:
                yield lambda: runner.run(connection.execute("SELECT pg_advisory_unlock_all()"))
            finally:
                runner.run(connection.close())


def make_database(server: PostgresServer, name: str) -> str:
    """Make an empty database, with pgvector in a schema of its own; gives its URL."""
    quoted = '"' + name.replace('"', '""') + '"'
    Database(url=server.url(user=server.user, database="postgres")).run(
        f"CREATE DATABASE {quoted} TEMPLATE template0 STRATEGY file_copy"
    )
    return server.url(user=server.user, database=name)


class Node(Project):
    """A stack whose program declares the schema node and nothing else."""

    def __init__(self, folder: Path, *, url: str, migrations: Path) -> None:
        """Lay it out for the database at `url` and the files of `migrations`."""
        super().__init__(folder, program=PROGRAM, migrations=migrations)
        self.url = url
        self.database = Database(url=url)
        self.configure_secret("node:url", url)

    def shown(self) -> dict[str, Any]:
        """Give the node's properties as a preview says them in JSON, and `op`."""
        step = self.previewed()["schema"]
        inputs: dict[str, Any] = step["newState"]["inputs"]
        return {**inputs, "op": step["op"]}

    def resource(self) -> dict[str, Any]:
        """Give the node as it is in the state."""
        resources = json.loads(self.state())["checkpoint"]["latest"]["resources"]
        (found,) = [each for each in resources if each["urn"].endswith("::schema")]
        return dict(found)

    def add_fourth(self) -> None:
        """Give the files one more revision than the three of the tests."""
        histories.add(
            self.migrations,
            "ddd4",
            "ccc3",
            "op.execute('CREATE TABLE two (id int)')",
            "op.execute('DROP TABLE two')",
        )
