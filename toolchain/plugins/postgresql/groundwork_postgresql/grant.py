"""Privileges on objects that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.properties import Failure, Property, text
from groundwork_plugin.values import UNKNOWN

from .grant_targets import (
    WITHOUT_SCHEMA,
    columns_granted,
    existing_objects,
    owners,
    privileges_granted,
    target,
)
from .privileges import PUBLIC, as_wanted, privilege_failures, words
from .resource import Resource
from .sql import acting_for, identifier, identifiers, name_problem, role_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from groundwork_plugin.values import Values

    from .configuration import Configuration
    from .server import Server
    from .session import Session

__all__ = ["Grant"]

_TYPES = (
    "database",
    "schema",
    "table",
    "sequence",
    "function",
    "procedure",
    "routine",
    "foreign_data_wrapper",
    "foreign_server",
    "column",
)
_FOREIGN = ("foreign_data_wrapper", "foreign_server")


class Grant(Resource):
    """`postgresql.Grant`."""

    token: ClassVar[str] = "postgresql:index/grant:Grant"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "grant"
    delete_before_replace: ClassVar[bool] = True
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="columns", kind="set", replaces=True),
        Property(name="database", required=True, replaces=True, problem=name_problem),
        Property(name="objectType", required=True, replaces=True, choices=_TYPES),
        Property(name="objects", kind="set", replaces=True),
        Property(name="privileges", kind="set", required=True),
        Property(name="role", required=True, replaces=True, problem=name_problem),
        Property(name="schema", replaces=True, problem=name_problem),
        Property(name="withGrantOption", kind="boolean", default=False, replaces=True),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        object_type = inputs.get("objectType")
        if isinstance(object_type, str):
            yield from _misfits(object_type, inputs)
        yield from privilege_failures(inputs)

    def identity(self, values: Values, configuration: Configuration) -> str:
        """See `Resource.identity`."""
        del configuration
        parts = [text(values, "role"), text(values, "database")]
        if text(values, "objectType") not in WITHOUT_SCHEMA:
            parts.append(text(values, "schema"))
        parts.append(text(values, "objectType"))
        parts += sorted(words(values.get("objects"))) + sorted(words(values.get("columns")))
        return "_".join(parts)

    def title(self, values: Values) -> str:
        """See `Resource.title`."""
        place = f"database {text(values, 'database')!r}"
        if schema := text(values, "schema"):
            place = f"schema {schema!r} of {place}"
        rights = f"{text(values, 'objectType')} privileges"
        return f"grant of {rights} to {text(values, 'role')!r} in {place}"

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`."""
        database, object_type = text(values, "database"), text(values, "objectType")
        if not await server.has_database(database):
            return None
        wanted = words(values.get("privileges"))
        found = {prop.name: values.get(prop.name) for prop in self.properties}
        async with server.session(database) as session:
            if not await _has_participants(session, values):
                return None
            if object_type == "column":
                found["columns"] = list(await columns_granted(session, values))
                return found
            for held in await privileges_granted(session, values):
                seen = as_wanted(object_type, wanted, held)
                if seen != wanted:
                    # One object that differs is enough to have all of them granted again.
                    found["privileges"] = seen
                    break
        return found

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        await _apply(server, wanted, previous=wanted)

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`; what the state holds is revoked and what is wanted granted."""
        await _apply(server, wanted, previous=state)

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""

        async def work(session: Session) -> None:
            left = await existing_objects(session, state)
            # An empty list of objects would stand for all of the schema's.
            if left is not None:
                async with acting_for(session, await owners(session, state)):
                    await _revoke(session, state | {"objects": left})

        await server.transact(work, database=text(state, "database"))


async def _apply(server: Server, wanted: Values, *, previous: Values) -> None:
    privileges = words(wanted.get("privileges"))

    async def work(session: Session) -> None:
        async with acting_for(session, await owners(session, wanted)):
            await _revoke(session, previous)
            if privileges:
                await session.execute(await _grant_statement(session, wanted, privileges))

    await server.transact(work, database=text(wanted, "database"))


async def _grant_statement(session: Session, wanted: Values, privileges: Iterable[str]) -> str:
    rights = ", ".join(_with_columns(wanted, privileges))
    option = " WITH GRANT OPTION" if wanted.get("withGrantOption") else ""
    place = await target(session, wanted)
    return f"GRANT {rights} ON {place} TO {identifier(text(wanted, 'role'))}{option}"


async def _revoke(session: Session, values: Values) -> None:
    object_type, privileges = text(values, "objectType"), words(values.get("privileges"))
    if object_type == "column":
        if not privileges or not words(values.get("columns")):
            return
        rights = _with_columns(values, privileges)
    elif words(values.get("objects")) and object_type not in _FOREIGN and privileges:
        # Revoking everything from a table would take column grants with it.
        rights = privileges
    else:
        rights = ["ALL PRIVILEGES"]
    place = await target(session, values)
    role = identifier(text(values, "role"))
    await session.execute(f"REVOKE {', '.join(rights)} ON {place} FROM {role}")


def _with_columns(values: Values, privileges: Iterable[str]) -> list[str]:
    if text(values, "objectType") != "column":
        return list(privileges)
    columns = identifiers(words(values.get("columns")))
    return [f"{privilege} ({columns})" for privilege in privileges]


async def _has_participants(session: Session, values: Values) -> bool:
    role, schema = text(values, "role"), text(values, "schema")
    if role != PUBLIC and not await role_exists(session, role):
        return False
    if text(values, "objectType") in WITHOUT_SCHEMA or not schema:
        return True
    query = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
    return bool(await session.fetchval(query, schema))


def _misfits(object_type: str, inputs: Values) -> Iterator[Failure]:
    def count(key: str) -> int | None:
        value = inputs.get(key)
        return None if value is UNKNOWN else len(value) if isinstance(value, list) else 0

    if object_type not in WITHOUT_SCHEMA and inputs.get("schema") in (None, ""):
        yield Failure("schema", f"it is missing; a {object_type} is in a schema")
    if object_type in ("database", "schema") and count("objects"):
        yield Failure("objects", f"they cannot be given for the object type {object_type!r}")
    if object_type != "column" and count("columns"):
        yield Failure("columns", "they can be given for the object type 'column' only")
    if object_type in ("column", *_FOREIGN) and count("objects") not in (None, 1):
        yield Failure("objects", f"the object type {object_type!r} takes exactly one")
    if object_type == "column":
        if count("columns") == 0:
            yield Failure("columns", "the object type 'column' needs at least one")
        if count("privileges") not in (None, 1):
            yield Failure("privileges", "the object type 'column' takes exactly one")
