"""Small pieces of SQL: quoting, and the rights that a role without superuser must borrow."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from .session import Session

__all__ = ["acting_for", "identifier", "identifiers", "literal", "name_problem", "role_exists"]

_NAME_LIMIT = 63
"""Bytes of a name that PostgreSQL keeps; it cuts longer ones without an error."""

_SEPARATE_INHERITANCE = 16
"""Since this major version a grant of a role says itself whether its rights are inherited."""

_MEMBERSHIP = """
SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
JOIN pg_roles u ON u.oid = m.member WHERE r.rolname = $1 AND u.rolname = $2 {effective}
"""


def identifier(name: str) -> str:
    """The name in double quotes, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def name_problem(name: str) -> str:
    """What is wrong with a name of an object; empty where nothing is."""
    size = len(name.encode())
    if size <= _NAME_LIMIT:
        return ""
    return f"{name!r} has {size} bytes; PostgreSQL would cut the name after {_NAME_LIMIT}"


def identifiers(names: Iterable[str]) -> str:
    """Quoted names with commas between them."""
    return ", ".join(identifier(name) for name in names)


def literal(text: str) -> str:
    """The text as a string constant that reads the same under any setting of the server."""
    quoted = "'" + text.replace("'", "''") + "'"
    if "\\" in text:
        return " E" + quoted.replace("\\", "\\\\")
    return quoted


async def role_exists(session: Session, name: str) -> bool:
    """Whether the server has a role of that name.

    Args:
        session: An open session, in any database.
        name: The role's name, unquoted.
    """
    return bool(await session.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name))


@asynccontextmanager
async def acting_for(session: Session, roles: Iterable[str]) -> AsyncIterator[None]:
    """Lends the membership in some roles to the current user for the time of the block.

    An administrator without superuser, as managed servers have, may only give away or change
    what belongs to a role that it is a member of. Roles that cannot be members, superusers and
    the administrator itself are passed over.

    Args:
        session: An open session; inside a transaction, a failure leaves the clean-up to the
            rollback.
        roles: The roles to act for.
    """
    me = await session.fetchrow(
        "SELECT rolname::text AS name, rolsuper FROM pg_roles WHERE rolname = current_user"
    )
    if me is None or me["rolsuper"]:
        yield
        return
    undo: list[str] = []
    for role in dict.fromkeys(roles):
        if role != me["name"]:
            undo += await _borrow(session, role=role, member=me["name"])
    try:
        yield
    except BaseException:
        if not session.is_in_transaction():
            await _undo(session, undo)
        raise
    await _undo(session, undo)


async def _borrow(session: Session, *, role: str, member: str) -> list[str]:
    if not await session.fetchval("SELECT NOT rolsuper FROM pg_roles WHERE rolname = $1", role):
        return []
    undo: list[str] = []
    if await _is_member(session, role=member, member=role):
        # Two roles cannot be members of each other: the other direction has to wait.
        await session.execute(f"REVOKE {identifier(member)} FROM {identifier(role)}")
        undo.append(f"GRANT {identifier(member)} TO {identifier(role)}")
    if not await _is_member(session, role=role, member=member):
        options = ""
        if session.get_server_version().major >= _SEPARATE_INHERITANCE:
            options = " WITH INHERIT TRUE, SET TRUE"
        await session.execute(f"GRANT {identifier(role)} TO {identifier(member)}{options}")
        undo.insert(0, f"REVOKE {identifier(role)} FROM {identifier(member)}")
    return undo


async def _is_member(session: Session, *, role: str, member: str) -> bool:
    effective = ""
    if session.get_server_version().major >= _SEPARATE_INHERITANCE:
        effective = "AND m.set_option AND m.inherit_option"
    query = _MEMBERSHIP.format(effective=effective)
    return bool(await session.fetchval(query, role, member))


async def _undo(session: Session, statements: Iterable[str]) -> None:
    for statement in statements:
        await session.execute(statement)
