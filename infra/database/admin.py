"""The administrator's way to the server, for what the provider `postgresql` can't do."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pulumi

from infra.database.urls import TLS, address, url
from infra.dynamic import known
from infra.errors import GroundworkError
from infra.schema.errors import LiveError
from infra.schema.running import connecting
from infra.schema.statements.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from infra.servers import Endpoint

__all__ = ["AccessError", "execute", "inputs", "look", "session", "set_password"]

_NAME = "groundwork access"


class AccessError(GroundworkError):
    """The server refused a statement about who may do what."""


def inputs(endpoint: Endpoint) -> pulumi.Output[dict[str, Any]]:
    """Give what a dynamic resource keeps to reach the server; secret as a whole."""
    return pulumi.Output.secret(
        pulumi.Output.all(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.password,
            maintenance=endpoint.maintenance,
            **{name: getattr(endpoint, name) for name in TLS},
        )
    )


@asynccontextmanager
async def session(admin: dict[str, Any], database: str = "") -> AsyncIterator[Any]:
    """Open a session of asyncpg as the administrator, with a search_path of nobody's.

    Args:
        admin: What `inputs` gave.
        database: Where to; "" for where the administrator logs in.

    Raises:
        LiveError: Nobody answers, or the server refuses.
        DatabaseMissingError: It has no such database.
    """
    place = address(admin["host"], int(admin["port"]))  # the engine's numbers are floats
    text = url(
        user=admin["user"],
        password=admin["password"],
        addresses=place,
        database=database or admin["maintenance"],
        options={name: admin[name] for name in TLS},
    )
    connection = await connecting.connect(text, _NAME)
    try:
        await connection.execute("SET search_path = pg_catalog")
        yield connection
    finally:
        await connecting.hang_up(connection)


async def execute(connection: Any, statements: Sequence[str], *, doing: str) -> None:
    """Run statements in one transaction.

    Args:
        connection: From `session`.
        statements: Without passwords: the failing one is quoted.
        doing: For the message, "giving roles their settings" for example.

    Raises:
        AccessError: PostgreSQL refused one of them; none has happened.
    """
    import asyncpg  # noqa: PLC0415 - 160 ms that a run without a change may save

    statement = ""
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    except asyncpg.PostgresError as exc:
        raise AccessError(
            f"PostgreSQL refused a statement of {doing}: {exc.message or exc} ({exc.sqlstate})."
            f"\n  {statement}\nNone of it was done. Where somebody changed roles by hand,"
            " `pulumi refresh` tells the state of it; then run `pulumi up` again."
        ) from exc


async def set_password(connection: Any, role: str, verifier: str) -> None:
    """Set the password of a role by its SCRAM verifier, which no message quotes.

    Raises:
        AccessError: PostgreSQL refused.
    """
    import asyncpg  # noqa: PLC0415 - as above

    try:
        await connection.execute(f"ALTER ROLE {identifier(role)} PASSWORD {literal(verifier)}")
    except asyncpg.PostgresError as exc:
        raise AccessError(
            f"PostgreSQL refused a new password of the role {role!r}: {exc.message or exc}"
            f" ({exc.sqlstate}). It has the one that it had. Have the administrator's rights on it"
            " checked, then run `pulumi up` again."
        ) from exc


def look(
    read: Callable[[], Coroutine[Any, Any, Any]], *, place: object
) -> tuple[Any, LiveError | None]:
    """Ask the server, and take it well when it doesn't answer.

    A preview, or a refresh, goes on without: the server may be down, or still to come.

    Args:
        read: Asks.
        place: What it needs to know; in a preview it may be still to come.

    Returns:
        What it said and no failure; or None, and the failure where there was one.
    """
    import asyncio  # noqa: PLC0415 - of a provider's process alone

    if not known(place):
        return None, None
    try:
        return asyncio.run(read()), None
    except LiveError as exc:
        return None, exc
