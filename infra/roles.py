"""The roles of a database: what they are for, and how they are named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["Roles", "role_names"]

_NAME_BYTES = 63
# A login of asyncpg fails with a comma in the name: it ends a part of a SCRAM message.
_NOT_IN_LOGIN = ","
_IN_ITS_PLACE = ";"


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The names of the roles.

    Attributes:
        owner: Owns database and objects; nobody logs in as it.
        migrator: Logs in for migrations and then acts as the owner; owns nothing.
        readwrite: A group that reads and writes rows and makes nothing.
        readonly: A group that reads rows.
        app: Logs in for the application; a member of `readwrite`.
        reader: Logs in for reports; a member of `readonly`.
        auditor: Logs in to see every row of every client; "" where there is none.
    """

    owner: str
    migrator: str
    readwrite: str
    readonly: str
    app: str
    reader: str
    auditor: str = ""


def role_names(database: str, *, auditor: bool = False, **chosen: str) -> Roles:
    """Name the roles after their database, since roles are shared by a whole cluster.

    A name that would be longer than PostgreSQL's 63 bytes is cut, one with a comma gets another
    character in its place, and both are told apart by a digest.

    Args:
        database: Its name.
        auditor: Whether there is an auditor.
        chosen: Other names than these, by the attributes of `Roles`; "" is none.
    """

    def name(suffix: str) -> str:
        if chosen.get(suffix):
            return chosen[suffix]
        whole = f"{database}_{suffix}"
        if len(whole.encode()) <= _NAME_BYTES and _NOT_IN_LOGIN not in database:
            return whole
        tail = f"_{hashlib.sha256(database.encode()).hexdigest()[:8]}_{suffix}"
        fit = database.replace(_NOT_IN_LOGIN, _IN_ITS_PLACE).encode()[: _NAME_BYTES - len(tail)]
        return fit.decode(errors="ignore") + tail

    kinds = ("owner", "migrator", "readwrite", "readonly", "app", "reader")
    names = {kind: name(kind) for kind in kinds}
    return Roles(**names, auditor=name("auditor") if auditor else "")
