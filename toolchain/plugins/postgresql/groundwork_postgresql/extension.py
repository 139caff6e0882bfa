"""Extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.properties import Property, text

from .resource import InDatabase, database_of
from .sql import identifier, name_problem

if TYPE_CHECKING:
    from groundwork_plugin.values import Values

    from .server import Server
    from .session import Session

__all__ = ["Extension"]


class Extension(InDatabase):
    """`postgresql.Extension`."""

    token: ClassVar[str] = "postgresql:index/extension:Extension"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "extension"
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", replaces=True, problem=name_problem),
        Property(name="createCascade", kind="boolean", default=False),
        Property(name="database", computed=True, replaces=True, problem=name_problem),
        Property(name="dropCascade", kind="boolean", default=False),
        Property(name="schema", computed=True, problem=name_problem),
        Property(name="version", computed=True),
    )

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`."""
        name, database = text(values, "name"), database_of(server, values)
        if not await server.has_database(database):
            return None
        async with server.session(database) as session:
            row = await session.fetchrow(
                "SELECT n.nspname::text AS schema, e.extversion AS version FROM pg_extension e"
                " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = $1",
                name,
            )
        if row is None:
            return None
        return {
            "name": name,
            "database": database,
            "schema": row["schema"],
            "version": row["version"],
            "createCascade": values.get("createCascade", False),
            "dropCascade": values.get("dropCascade", False),
        }

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        parts = [f"CREATE EXTENSION IF NOT EXISTS {identifier(text(wanted, 'name'))}"]
        if schema := text(wanted, "schema"):
            parts.append(f"SCHEMA {identifier(schema)}")
        if version := text(wanted, "version"):
            parts.append(f"VERSION {identifier(version)}")
        if wanted.get("createCascade"):
            parts.append("CASCADE")

        async def work(session: Session) -> None:
            await session.execute(" ".join(parts))

        await server.transact(work, database=database_of(server, wanted))

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`."""
        alter = f"ALTER EXTENSION {identifier(text(state, 'name'))}"
        schema, version = text(wanted, "schema"), text(wanted, "version")

        async def work(session: Session) -> None:
            if schema and schema != state.get("schema"):
                await session.execute(f"{alter} SET SCHEMA {identifier(schema)}")
            if version and version != state.get("version"):
                await session.execute(f"{alter} UPDATE TO {identifier(version)}")

        await server.transact(work, database=database_of(server, state))

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""
        mode = "CASCADE" if state.get("dropCascade") else "RESTRICT"

        async def work(session: Session) -> None:
            await session.execute(f"DROP EXTENSION {identifier(text(state, 'name'))} {mode}")

        await server.transact(work, database=database_of(server, state))
