"""Whether the administrator may give what a stack asks for, found out before anything is made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pulumi import dynamic

from infra.database import admin
from infra.dynamic import Provider, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

__all__ = ["READ_ALL", "GrantableRole", "GrantableRoleProvider"]

READ_ALL = "pg_read_all_data"
"""Whose members the policies of row security show every row."""

# Until 15 whoever has CREATEROLE may grant every role that is no superuser's.
_MAY_GRANT = """
SELECT rolsuper OR pg_has_role(current_user, $1, 'MEMBER WITH ADMIN OPTION')
    OR rolcreaterole AND current_setting('server_version_num')::int < 160000
FROM pg_roles WHERE rolname = current_user
"""


class GrantableRoleProvider(Provider):
    """Refuses, in a preview where the server answers, a role that its administrator can't grant."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Ask early; a server that doesn't answer yet is asked when it does."""
        may, _ = admin.look(lambda: _may(news), place=news["admin"])
        if may is False:
            raise _refusal(news)
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Only another role or another administrator has to be asked about again."""
        same = known(news["admin"]) and all(olds[key] == news[key] for key in ("role", "admin"))
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Ask before the roles are made."""
        return dynamic.CreateResult(props["role"], _asked(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Ask again."""
        return dynamic.UpdateResult(_asked(news))


class GrantableRole(dynamic.Resource, module="groundwork", name="GrantableRole"):
    """A role of the server's own that the administrator may grant."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        role: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare that `role` can be granted by whom `infra.database.admin.inputs` names."""
        super().__init__(GrantableRoleProvider(), name, {"admin": admin, "role": role}, opts)


def _asked(props: Mapping[str, Any]) -> dict[str, Any]:
    if not asyncio.run(_may(props)):
        raise _refusal(props)
    return {"admin": props["admin"], "role": props["role"]}


async def _may(props: Mapping[str, Any]) -> bool:
    async with admin.session(props["admin"]) as connection:
        return bool(await connection.fetchval(_MAY_GRANT, props["role"]))


def _refusal(props: Mapping[str, Any]) -> admin.AccessError:
    user, role = props["admin"]["user"], props["role"]
    return admin.AccessError(
        f"The administrator {user!r} may not grant {role}, which an auditor needs to see every"
        " row. Nothing was changed. Let a superuser run"
        f" GRANT {role} TO {user} WITH ADMIN OPTION, or do without: "
        "pulumi config set groundwork:auditor false"
    )
