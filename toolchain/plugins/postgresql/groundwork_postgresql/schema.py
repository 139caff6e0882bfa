"""Schemas: the namespaces of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.errors import PluginError
from groundwork_plugin.properties import Failure, Property, text

from .resource import InDatabase, database_of
from .sql import acting_for, identifier, name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Values

    from .server import Server
    from .session import Session

__all__ = ["Schema"]

_OWNER = """
SELECT pg_get_userbyid(nspowner)::text AS owner FROM pg_namespace WHERE nspname = $1
"""
_DATABASE_OWNER = """
SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()
"""


class Schema(InDatabase):
    """`postgresql.Schema`."""

    token: ClassVar[str] = "postgresql:index/schema:Schema"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "schema"
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", problem=name_problem),
        Property(name="database", computed=True, replaces=True, problem=name_problem),
        Property(name="dropCascade", kind="boolean", default=False),
        Property(name="ifNotExists", kind="boolean", default=True),
        Property(name="owner", computed=True, problem=name_problem),
        Property(name="policies", kind="opaque", computed=True),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        yield from super().validate(inputs)
        if inputs.get("policies"):
            yield Failure(
                "policies",
                "it is deprecated and the offline plugin does not cover it; use a Grant with the "
                "object type 'schema'",
            )

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`."""
        name, database = text(values, "name"), database_of(server, values)
        if not await server.has_database(database):
            return None
        async with server.session(database) as session:
            row = await session.fetchrow(_OWNER, name)
        if row is None:
            return None
        return {
            "name": name,
            "database": database,
            "owner": row["owner"],
            "dropCascade": values.get("dropCascade", False),
            "ifNotExists": values.get("ifNotExists", True),
            "policies": [],
        }

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        name, owner = text(wanted, "name"), text(wanted, "owner")

        async def work(session: Session) -> None:
            existing = await session.fetchrow(_OWNER, name)
            if existing is None:
                await _make(session, name, owner)
            elif not wanted.get("ifNotExists"):
                raise PluginError(
                    f"schema {name!r} exists already; nothing was changed; import it, or set "
                    "`if_not_exists` to true to take it over"
                )
            elif owner and owner != existing["owner"]:
                await _give(session, name, previous=existing["owner"], owner=owner)

        await server.transact(work, database=database_of(server, wanted))

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`."""
        old, name = text(state, "name"), text(wanted, "name")
        previous, owner = text(state, "owner"), text(wanted, "owner")

        async def work(session: Session) -> None:
            if old != name:
                async with acting_for(session, [await _database_owner(session), previous]):
                    await session.execute(
                        f"ALTER SCHEMA {identifier(old)} RENAME TO {identifier(name)}"
                    )
            if owner and owner != previous:
                await _give(session, name, previous=previous, owner=owner)

        await server.transact(work, database=database_of(server, state))

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""
        name, database = text(state, "name"), database_of(server, state)
        mode = "CASCADE" if state.get("dropCascade") else "RESTRICT"

        async def work(session: Session) -> None:
            existing = await session.fetchrow(_OWNER, name)
            if existing is not None:
                async with acting_for(session, [existing["owner"]]):
                    await session.execute(f"DROP SCHEMA {identifier(name)} {mode}")

        await server.transact(work, database=database)


async def _database_owner(session: Session) -> str:
    return str(await session.fetchval(_DATABASE_OWNER))


async def _make(session: Session, name: str, owner: str) -> None:
    borrowed = [await _database_owner(session), *([owner] if owner else [])]
    async with acting_for(session, borrowed):
        authorization = f" AUTHORIZATION {identifier(owner)}" if owner else ""
        await session.execute(f"CREATE SCHEMA {identifier(name)}{authorization}")


async def _give(session: Session, name: str, *, previous: str, owner: str) -> None:
    async with acting_for(session, [await _database_owner(session), previous, owner]):
        await session.execute(f"ALTER SCHEMA {identifier(name)} OWNER TO {identifier(owner)}")
