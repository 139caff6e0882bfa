"""Privileges that objects made in the future will have."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.properties import Failure, Property, text

from .privileges import PUBLIC, as_wanted, privilege_failures, words
from .resource import Resource
from .sql import acting_for, identifier, name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Values

    from .configuration import Configuration
    from .server import Server
    from .session import Session

__all__ = ["DefaultPrivileges"]

_KINDS = {
    "function": "f",
    "routine": "f",
    "schema": "n",
    "sequence": "S",
    "table": "r",
    "type": "T",
}

_READ = """
SELECT DISTINCT a.privilege_type
FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a
LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE pg_get_userbyid(d.defaclrole) = $1 AND d.defaclobjtype::text = $2
  AND COALESCE(n.nspname, '') = $3
  AND CASE WHEN $4 = 'public' THEN a.grantee = 0 ELSE g.rolname = $4 END
"""


class DefaultPrivileges(Resource):
    """`postgresql.DefaultPrivileges`."""

    token: ClassVar[str] = "postgresql:index/defaultPrivileges:DefaultPrivileges"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "default privileges"
    # The old one's REVOKE would take away what its replacement has just granted.
    delete_before_replace: ClassVar[bool] = True
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="database", required=True, replaces=True, problem=name_problem),
        Property(name="objectType", required=True, replaces=True, choices=tuple(_KINDS)),
        Property(name="owner", required=True, replaces=True, problem=name_problem),
        Property(name="privileges", kind="set", required=True),
        Property(name="role", required=True, replaces=True, problem=name_problem),
        Property(name="schema", replaces=True, problem=name_problem),
        Property(name="withGrantOption", kind="boolean", default=False, replaces=True),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        if inputs.get("objectType") == "schema" and inputs.get("schema"):
            yield Failure("schema", "schemas are not made inside of schemas; leave it away")
        if inputs.get("withGrantOption") is True and inputs.get("role") == PUBLIC:
            yield Failure("withGrantOption", "it cannot be given to 'public'")
        yield from privilege_failures(inputs)

    def identity(self, values: Values, configuration: Configuration) -> str:
        """See `Resource.identity`."""
        del configuration
        parts = ("role", "database", "schema", "owner", "objectType")
        return "_".join(text(values, part) or "noschema" for part in parts)

    def title(self, values: Values) -> str:
        """See `Resource.title`."""
        return (
            f"default privileges of role {text(values, 'role')!r} on each "
            f"{text(values, 'objectType')} that {text(values, 'owner')!r} makes in database "
            f"{text(values, 'database')!r}"
        )

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`; without privileges it is gone, unless none were asked for."""
        wanted, kind = words(values.get("privileges")), text(values, "objectType")
        database = text(values, "database")
        if not await server.has_database(database):
            return None
        async with server.session(database) as session:
            rows = await session.fetch(
                _READ,
                text(values, "owner"),
                _KINDS[kind],
                text(values, "schema"),
                text(values, "role"),
            )
        if not rows and wanted:
            return None
        granted = as_wanted(kind, wanted, [row["privilege_type"] for row in rows])
        kept = {prop.name: values.get(prop.name) for prop in self.properties}
        return kept | {"privileges": granted}

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        privileges = words(wanted.get("privileges"))

        async def work(session: Session) -> None:
            async with acting_for(session, [text(wanted, "owner")]):
                await session.execute(_statement(wanted, "REVOKE ALL", "FROM"))
                if privileges:
                    option = " WITH GRANT OPTION" if wanted.get("withGrantOption") else ""
                    grant = _statement(wanted, f"GRANT {', '.join(privileges)}", "TO")
                    await session.execute(grant + option)

        await server.transact(work, database=text(wanted, "database"))

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`; granting begins with a revocation, so this is making it again."""
        del state
        await self.create(server, wanted)

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""

        async def work(session: Session) -> None:
            async with acting_for(session, [text(state, "owner")]):
                await session.execute(_statement(state, "REVOKE ALL", "FROM"))

        await server.transact(work, database=text(state, "database"))


def _statement(values: Values, action: str, direction: str) -> str:
    schema = text(values, "schema")
    place = f" IN SCHEMA {identifier(schema)}" if schema else ""
    return (
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(text(values, 'owner'))}{place} {action} ON "
        f"{text(values, 'objectType').upper()}S {direction} {identifier(text(values, 'role'))}"
    )
