"""Looks into the server, and changes it behind the stack's back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import PostgresServer

__all__ = ["Catalog", "quote"]

_OBJECTS = """
SELECT 'database' AS kind, datname::text AS name FROM pg_database
UNION ALL SELECT 'role', rolname::text FROM pg_roles
"""


class Catalog:
    """Sessions of a superuser, one for each question."""

    def __init__(self, server: PostgresServer) -> None:
        """Connects nowhere yet."""
        self._server = server
        self.user = server.user

    def rows(self, query: str, *args: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The answer to a query."""

        async def ask(session: Any) -> Any:
            return await session.fetch(query, *args)

        return [tuple(row) for row in self._with(ask, database)]

    def value(self, query: str, *args: object, database: str = "postgres") -> Any:
        """The first column of the first row; None without a row."""
        rows = self.rows(query, *args, database=database)
        return rows[0][0] if rows else None

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Executes statements, each for itself."""

        async def execute(session: Any) -> None:
            for statement in statements:
                await session.execute(statement)

        self._with(execute, database)

    def login(self, user: str, password: str, *, database: str = "postgres") -> bool:
        """Whether a user gets in with a password."""

        async def attempt() -> bool:
            try:
                session = await self._connect(database, user, password)
            except asyncpg.InvalidPasswordError:
                return False
            await session.close()
            return True

        return asyncio.run(attempt())

    def hold(self, database: str) -> HeldSession:
        """A session that stays open until the block ends."""
        return HeldSession(lambda: self._connect(database))

    def objects(self) -> set[tuple[str, str]]:
        """Kind and name of each database and role."""
        return {(kind, name) for kind, name in self.rows(_OBJECTS)}

    def remove(self, objects: Iterable[tuple[str, str]]) -> None:
        """Drops databases, then roles."""
        listed = sorted(objects)
        for kind, name in listed:
            if kind == "database":
                quoted = quote(name)
                self.run(
                    f"ALTER DATABASE {quoted} IS_TEMPLATE false",
                    f"DROP DATABASE {quoted} WITH (FORCE)",
                )
        roles = [quote(name) for kind, name in listed if kind == "role"]
        self.run(*(f"DROP OWNED BY {role} CASCADE" for role in roles))
        self.run(*(f"DROP ROLE {role}" for role in roles))

    def _with(self, work: Any, database: str) -> Any:
        async def run() -> Any:
            session = await self._connect(database)
            try:
                return await work(session)
            finally:
                await session.close()

        return asyncio.run(run())

    async def _connect(self, database: str, user: str = "", password: str = "") -> Any:
        server = self._server
        return await asyncpg.connect(
            host=server.host,
            port=server.port,
            user=user or server.user,
            password=password or server.password,
            database=database,
            ssl=False,
        )


class HeldSession:
    """An open session of another user of the server, for the time of a block."""

    def __init__(self, connect: Any) -> None:
        """Takes the function that connects."""
        self._runner = asyncio.Runner()
        self._connect = connect
        self._session: Any = None

    def __enter__(self) -> None:
        """Connects."""
        self._session = self._runner.run(self._connect())

    def __exit__(self, *_: object) -> None:
        """Ends the session, which the server may have ended already."""
        self._session.terminate()
        self._runner.close()


def quote(name: str) -> str:
    """A name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'
