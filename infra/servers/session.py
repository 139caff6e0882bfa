"""A session of a server's superuser, whose failures are worded."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.errors import unreachable
from infra.servers.probe import ProbeError, RefusedError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

__all__ = ["Login", "PasswordError"]

_NAME = "groundwork"


class PasswordError(RefusedError):
    """The server refused the login: it has another password."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to get in.

    Attributes:
        host: Name or address.
        port: TCP port.
        user: The role.
        password: Its password.
        database: Where to.
        tls: What asyncpg takes as `ssl`: False for none, or a context.
        seconds: How long an answer may take.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "postgres"
    tls: ssl.SSLContext | bool = False
    seconds: float = 10.0

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Open a session of asyncpg, and close it.

        Raises:
            ProbeError: No answer; or the connection broke.
            PasswordError: The server has another password.
            RefusedError: The server said no, to the login or to a statement.
        """
        import asyncpg  # noqa: PLC0415 - 160 ms that a process without a server saves

        place = f"{self.host}:{self.port}"
        try:
            connection = await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.database,
                ssl=self.tls,
                timeout=self.seconds,
                command_timeout=self.seconds,
                server_settings={"application_name": _NAME},
            )
            try:
                yield connection
            finally:
                await connection.close(timeout=self.seconds)
        except asyncpg.CannotConnectNowError as exc:
            msg = f"The server at {place} is not ready: {exc}."
            raise ProbeError(msg) from exc
        except asyncpg.InvalidPasswordError as exc:
            raise PasswordError(f"The server at {place} let nobody in: {exc}.") from exc
        except asyncpg.PostgresError as exc:
            msg = f"The server at {place} refused the user '{self.user}': {exc}."
            raise RefusedError(msg) from exc
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as exc:
            msg = f"The connection to the server at {place} broke: {exc}."
            raise ProbeError(msg) from exc
        except OSError as exc:
            raise ProbeError(unreachable(place, exc)) from exc
