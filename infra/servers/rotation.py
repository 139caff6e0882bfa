"""Gives a role another password while the server runs and everybody works on."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema.statements.sql import identifier, literal
from infra.scram import scram_verifier
from infra.servers.session import PasswordError

if TYPE_CHECKING:
    from infra.servers.session import Login

__all__ = ["change_password"]

_SALT_BYTES = 16
# The statement holds no password, only what PostgreSQL keeps of it; that needs no readers
# either. Who may not change these settings logs the verifier where the server is told to.
_UNHEARD = (
    "log_statement = 'none'",
    "log_min_duration_statement = -1",
    "log_min_duration_sample = -1",
    "log_min_error_statement = 'panic'",
    "log_transaction_sample_rate = 0",
)


def change_password(login: Login, *, former: str) -> bool:
    """Have a role's password be the one of `login`.

    Open sessions go on: PostgreSQL asks for a password at the beginning of a session alone.
    Killed at any moment, it can be called again.

    Args:
        login: With the new password; ASCII. The role must be allowed to change its own.
        former: The password that it has now, unless it has the new one already.

    Returns:
        Whether it was changed.

    Raises:
        ProbeError: The server doesn't answer.
        PasswordError: It takes neither password.
        RefusedError: It doesn't let the role change its own, or takes no sessions.
    """
    return asyncio.run(_change(login, former))


async def _change(login: Login, former: str) -> bool:
    try:
        async with login.session():
            return False
    except PasswordError:
        if former == login.password:
            raise
    verifier = scram_verifier(login.password, salt=secrets.token_bytes(_SALT_BYTES))
    async with replace(login, password=former).session() as session, session.transaction():
        superuser = await session.fetchval("SELECT current_setting('is_superuser') = 'on'")
        for setting in _UNHEARD if superuser else ():
            await session.execute(f"SET LOCAL {setting}")
        await session.execute(f"ALTER ROLE {identifier(login.user)} PASSWORD {literal(verifier)}")
    return True
