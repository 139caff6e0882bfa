"""Memberships of roles in roles, with what they hand on: the provider `postgresql` can't say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi import dynamic

from infra.database import admin
from infra.database.watched import Watched
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

__all__ = ["Membership", "Memberships", "MembershipsProvider"]

# Since this major version a membership says itself what it hands on; before, the member's
# own INHERIT said it, and every member could SET ROLE.
_OWN_OPTIONS = 16

_HELD = """
SELECT g.rolname::text AS group, u.rolname::text AS member,
       bool_or(m.inherit_option) AS inherit, bool_or(m.set_option) AS set,
       string_agg(DISTINCT pg_get_userbyid(m.grantor)::text, ', ') AS grantors
FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
WHERE (g.rolname, u.rolname) IN (SELECT * FROM unnest($1::text[], $2::text[]))
GROUP BY 1, 2
"""
_HELD_BEFORE = _HELD.replace("m.inherit_option", "u.rolinherit").replace("m.set_option", "true")


@dataclass(frozen=True, kw_only=True)
class Membership:
    """One role's membership in another.

    Attributes:
        member: Who is one.
        group: In what.
        inherit: Whether the member has the group's privileges without a word.
        set: Whether the member may SET ROLE to the group.
    """

    member: pulumi.Input[str]
    group: str
    inherit: bool
    set: bool = True


class MembershipsProvider(Watched):
    """Grants memberships and sets their options. They go with their roles."""

    inputs: ClassVar[tuple[str, ...]] = ("memberships",)
    watched: ClassVar[str] = "memberships"
    noun: ClassVar[str] = "memberships of roles"

    async def find(self, props: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `Watched.find`: those that are held, in the order of those that are wanted."""
        async with admin.session(props["admin"]) as connection:
            held = await _held(connection, props["memberships"])
        return [held[_key(each)][0] for each in props["memberships"] if _key(each) in held]

    async def bring(self, props: Mapping[str, Any]) -> None:
        """See `Watched.bring`."""
        wanted = props["memberships"]
        async with admin.session(props["admin"]) as connection:
            statements = _statements(connection, await _held(connection, wanted), wanted)
            await admin.execute(connection, statements, doing="granting roles to roles")
            held = await _held(connection, wanted)
        for each in wanted:
            found, grantors = held[_key(each)]
            if found != each:
                raise admin.AccessError(
                    f"The membership of role {each['member']!r} in {each['group']!r} hands on more"
                    f" than it should, by a grant of: {grantors}. The roles are as they were"
                    f" otherwise. Let that role REVOKE {identifier(each['group'])} FROM"
                    f" {identifier(each['member'])}, and run `pulumi up` again."
                )


class Memberships(dynamic.Resource, module="groundwork", name="Memberships"):
    """Who is a member of what, and what that hands on."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        memberships: Sequence[Membership],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare memberships between roles that exist."""
        wanted = [dict(vars(each)) for each in memberships]  # the copies of asdict fail on outputs
        super().__init__(MembershipsProvider(), name, {"admin": admin, "memberships": wanted}, opts)


def _key(membership: Mapping[str, Any]) -> tuple[str, str]:
    return membership["member"], membership["group"]


async def _held(
    connection: Any, wanted: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], tuple[dict[str, Any], str]]:
    """Give what is held of what is wanted, and who granted it."""
    own = connection.get_server_version().major >= _OWN_OPTIONS
    groups, members = [each["group"] for each in wanted], [each["member"] for each in wanted]
    rows = await connection.fetch(_HELD if own else _HELD_BEFORE, groups, members)
    by_key = {_key(each): each for each in wanted}
    held = {}
    for row in rows:
        found = {key: row[key] for key in ("member", "group", "inherit", "set")}
        if not own:  # nothing of a membership's own that could differ
            found = dict(by_key[_key(row)])
        held[_key(row)] = (found, row["grantors"])
    return held


def _statements(
    connection: Any,
    held: Mapping[tuple[str, str], tuple[dict[str, Any], str]],
    wanted: Sequence[Mapping[str, Any]],
) -> list[str]:
    statements = []
    for each in wanted:
        found, _ = held.get(_key(each), (None, ""))
        if found == each:
            continue
        options = ""
        if connection.get_server_version().major >= _OWN_OPTIONS:
            options = f" WITH INHERIT {each['inherit']}, SET {each['set']}"
        grant = f"GRANT {identifier(each['group'])} TO {identifier(each['member'])}"
        statements.append(f"{grant}{options}")
    return statements
