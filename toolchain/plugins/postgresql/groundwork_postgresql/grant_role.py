"""Memberships of roles in roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.properties import Property, text

from .resource import Resource
from .sql import identifier, name_problem

if TYPE_CHECKING:
    from groundwork_plugin.values import Values

    from .configuration import Configuration
    from .server import Server
    from .session import Session

__all__ = ["GrantRole"]

# Since PostgreSQL 16 a membership can be held several times, once for each grantor. The ones
# that the current user gave come first, as REVOKE will take those.
_READ = """
SELECT m.admin_option FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
JOIN pg_roles u ON u.oid = m.member LEFT JOIN pg_roles b ON b.oid = m.grantor
WHERE u.rolname = $1 AND g.rolname = $2
ORDER BY (b.rolname = current_user) DESC, m.admin_option DESC LIMIT 1
"""


class GrantRole(Resource):
    """`postgresql.GrantRole`."""

    token: ClassVar[str] = "postgresql:index/grantRole:GrantRole"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "role grant"
    # The old one's REVOKE would take away what its replacement has just granted.
    delete_before_replace: ClassVar[bool] = True
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="grantRole", required=True, replaces=True, problem=name_problem),
        Property(name="role", required=True, replaces=True, problem=name_problem),
        Property(name="withAdminOption", kind="boolean", default=False, replaces=True),
    )

    def identity(self, values: Values, configuration: Configuration) -> str:
        """See `Resource.identity`."""
        del configuration
        admin = "true" if values.get("withAdminOption") else "false"
        return f"{text(values, 'role')}_{text(values, 'grantRole')}_{admin}"

    def title(self, values: Values) -> str:
        """See `Resource.title`."""
        return f"membership of role {text(values, 'role')!r} in {text(values, 'grantRole')!r}"

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`."""
        role, group = text(values, "role"), text(values, "grantRole")
        async with server.session() as session:
            admin = await session.fetchval(_READ, role, group)
        if admin is None:
            return None
        return {"role": role, "grantRole": group, "withAdminOption": admin}

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        role, group = identifier(text(wanted, "role")), identifier(text(wanted, "grantRole"))
        option = " WITH ADMIN OPTION" if wanted.get("withAdminOption") else ""

        async def work(session: Session) -> None:
            # A membership from before may have the admin option, which a GRANT does not remove.
            if await session.fetchval(_READ, text(wanted, "role"), text(wanted, "grantRole")):
                await session.execute(f"REVOKE {group} FROM {role}")
            await session.execute(f"GRANT {group} TO {role}{option}")

        await server.transact(work)

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`; every property replaces, so this makes the grant again."""
        del state
        await self.create(server, wanted)

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""
        role, group = text(state, "role"), text(state, "grantRole")

        async def work(session: Session) -> None:
            if await session.fetchval(_READ, role, group) is not None:
                await session.execute(f"REVOKE {identifier(group)} FROM {identifier(role)}")

        await server.transact(work)
