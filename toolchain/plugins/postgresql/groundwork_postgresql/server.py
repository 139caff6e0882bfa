"""Sessions and transactions on the server that the provider is configured for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from groundwork_plugin.errors import OperationFailedError, PluginError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .configuration import Configuration
    from .session import Session

__all__ = ["Server"]

_ATTEMPTS = 12
_FIRST_PAUSE = 0.05
"""Seconds before the second attempt; it doubles from one attempt to the next."""
_LONGEST_PAUSE = 1.0
_CONFLICTS = ("40001", "40P01")
_TAKEN = ("42710", "42P04", "42P06")
"""What PostgreSQL answers where a role, database or schema of that name exists."""
_CONFLICT_TEXT = "tuple concurrently updated"
_OFF = "disable"
_Result = TypeVar("_Result")


class Server:
    """Opens a session for each operation and closes it at its end.

    No session outlives its operation, since an idle one would keep its database from being
    dropped or used as a template.
    """

    def __init__(self, configuration: Configuration) -> None:
        """Connects nowhere yet.

        Args:
            configuration: How to reach the server.
        """
        self.configuration = configuration
        limit = configuration.max_connections
        self._seats = asyncio.Semaphore(limit) if limit > 0 else None
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def session(self, database: str | None = None) -> AsyncIterator[Session]:
        """An open session, in autocommit.

        Args:
            database: Its name; None: the one of the configuration.

        Raises:
            PluginError: The server cannot be reached or refuses the login.
            OperationFailedError: It refuses a statement of the block.
        """
        # 140 ms that a run without changes does not need.
        import asyncpg  # noqa: PLC0415 - see above

        if self._seats is not None:
            await self._seats.acquire()
        try:
            session = await self._connect(database or self.configuration.database)
            try:
                yield session
            except asyncpg.PostgresError as error:
                taken = error.sqlstate in _TAKEN
                raise OperationFailedError(self._wording(error), taken=taken) from error
            except (OSError, asyncpg.InterfaceError) as error:
                raise OperationFailedError(f"the session was lost: {error}") from error
            finally:
                await _close(session)
        finally:
            if self._seats is not None:
                self._seats.release()

    async def transact(
        self, work: Callable[[Session], Awaitable[_Result]], *, database: str | None = None
    ) -> _Result:
        """Runs the work in one transaction, again from its start where another writer got between.

        Concurrent grants on one object end in 'tuple concurrently updated': within this process
        writers take turns, against other processes the whole transaction is tried again.

        Args:
            work: Reads and writes with the session that it is given.
            database: Its name; None: the one of the configuration.

        Raises:
            PluginError: The server cannot be reached or refuses the login.
            OperationFailedError: It refuses a statement; the transaction is rolled back.
        """
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.writing(database) as session, session.transaction():
                    return await work(session)
            except OperationFailedError as error:
                if attempt == _ATTEMPTS or not _is_conflict(error.__cause__):
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def has_database(self, name: str) -> bool:
        """Whether the server has a database of that name.

        Args:
            name: Unquoted.
        """
        if name == self.configuration.database:
            return True
        async with self.session() as session:
            query = "SELECT 1 FROM pg_database WHERE datname = $1"
            return bool(await session.fetchval(query, name))

    @asynccontextmanager
    async def writing(self, database: str | None = None) -> AsyncIterator[Session]:
        """An open session in autocommit, while no other operation of this process writes.

        Args:
            database: Its name; None: the one of the configuration.
        """
        async with self._writing, self.session(database) as session:
            yield session

    async def _connect(self, database: str) -> Session:
        import asyncpg  # noqa: PLC0415 - see `session`

        chosen = self.configuration
        try:
            session = await asyncpg.connect(
                host=chosen.host or "localhost",
                port=chosen.port,
                user=chosen.username,
                password=chosen.password or None,
                database=database,
                timeout=chosen.connect_timeout if chosen.connect_timeout > 0 else None,
                ssl=self._encryption(),
                statement_cache_size=0,
                server_settings={"application_name": "pulumi-resource-postgresql"},
            )
            return cast("Session", session)
        except asyncpg.PostgresError as error:
            raise self._refused(database, error.message or str(error)) from error
        except TimeoutError as error:
            reason = f"no answer within {chosen.connect_timeout} s"
            raise self._refused(database, reason) from error
        except (OSError, ValueError, asyncpg.InterfaceError) as error:
            raise self._refused(database, str(error)) from error

    def _encryption(self) -> ssl.SSLContext | bool:
        chosen = self.configuration
        if chosen.sslmode == _OFF or chosen.host.startswith("/"):
            return False
        import ssl  # noqa: PLC0415 - only where it is asked for

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = chosen.sslmode == "verify-full"
        if chosen.sslmode == "require" and not chosen.sslrootcert:
            context.verify_mode = ssl.CERT_NONE
        elif chosen.sslrootcert:
            context.load_verify_locations(cafile=chosen.sslrootcert)
        else:
            context.load_default_certs()
        if chosen.clientcert:
            context.load_cert_chain(*chosen.clientcert)
        return context

    def _refused(self, database: str, reason: str) -> PluginError:
        chosen = self.configuration
        advice = "check the configuration of the postgresql provider"
        if "SSL" in reason and chosen.sslmode != _OFF:
            advice = "a server without TLS needs `sslmode` 'disable'"
        return PluginError(
            self._redacted(
                f"cannot connect to PostgreSQL at {chosen.address}, database {database!r}, "
                f"as {chosen.username!r}: {reason.rstrip('.')}; nothing was changed; {advice}"
            )
        )

    def _wording(self, error: Exception) -> str:
        parts = [
            getattr(error, "message", None),
            getattr(error, "detail", None),
            getattr(error, "hint", None),
        ]
        return self._redacted(". ".join(str(part).rstrip(".") for part in parts if part))

    def _redacted(self, text: str) -> str:
        password = self.configuration.password
        return text.replace(password, "[secret]") if password else text


def _is_conflict(error: BaseException | None) -> bool:
    if error is None:
        return False
    return getattr(error, "sqlstate", "") in _CONFLICTS or _CONFLICT_TEXT in str(error)


async def _close(session: Session) -> None:
    # A server that is gone, or a session that a drop has ended, must not hide the first failure.
    try:
        await session.close(timeout=5)
    except Exception:  # noqa: BLE001 - whatever it is, the session is over
        session.terminate()
