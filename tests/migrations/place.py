"""One database of the tests, and Alembic on it."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import asyncpg
from alembic import command
from alembic.config import Config

from tests.forking import servers

from .catalog import CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from infra.servers.throwaway import Throwaway

__all__ = ["MIGRATIONS", "ROOT", "Place", "cli", "quoted"]

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "migrations"


def quoted(name: str) -> str:
    """Return `name` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database, and the login that the test reaches it with."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def main(cls, server: Throwaway) -> Place:
        """Give the database of a server from which others are made, for its superuser."""
        return cls(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database="postgres",
        )

    @property
    def url(self) -> str:
        """The URL, every part percent-encoded."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.database, safe='')}"

    def as_user(self, user: str, password: str) -> Place:
        """Return the same database for another login."""
        return replace(self, user=user, password=password)

    def execute(self, *statements: str) -> None:
        """Run SQL; each string may hold several statements."""

        async def run(connection: asyncpg.Connection) -> None:
            for statement in statements:
                await connection.execute(statement)

        self._connected(run)

    def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Return the rows of a query."""
        return list(self._connected(lambda connection: connection.fetch(query, *arguments)))

    def value(self, query: str, *arguments: object) -> Any:
        """Return the one value of a query."""
        return self._connected(lambda connection: connection.fetchval(query, *arguments))

    def catalog(self) -> list[str]:
        """Return what is in the database, the version table apart: no revision drops it."""
        return [row[0] for row in self.fetch(CATALOG) if "alembic_version" not in row[0]]

    def alembic(
        self,
        run: str,
        *arguments: Any,
        attributes: Mapping[str, Any] | None = None,
        folder: Path = MIGRATIONS,
        x: Sequence[str] = (),
        **options: Any,
    ) -> str:
        """Run a command of Alembic in this process, as a caller from Python does.

        Args:
            run: The command.
            *arguments: Its arguments.
            attributes: What the caller puts into `config.attributes`; else the URL of this place.
            folder: Where alembic.ini is.
            x: What `-x` would give on the command line.
            **options: The command's options.

        Returns:
            What the command wrote.
        """
        output = io.StringIO()
        config = Config(str(folder / "alembic.ini"), stdout=output, output_buffer=output)
        config.attributes.update({"url": self.url} if attributes is None else attributes)
        if x:
            config.cmd_opts = Namespace(x=list(x))
        getattr(command, run)(config, *arguments, **options)
        return output.getvalue()

    def _connected(self, work: Callable[[Any], Any]) -> Any:
        async def run() -> Any:
            connection = await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.database,
                ssl=False,
            )
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(run())


def cli(
    *arguments: str, cwd: Path = ROOT, url: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the plain `alembic` command as a user does, with `url` as DATABASE_URL."""
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    if url is not None:
        environ["DATABASE_URL"] = url
    return subprocess.run(
        [*servers.command("alembic"), *arguments],
        cwd=cwd,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
