"""Asks an existing server what it has already, and what its admin may do. Nothing is written."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from infra.schema import unreached
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.remote import catalog
from infra.servers.remote.adminurl import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from infra.servers.remote.adminurl import AdminUrl

__all__ = ["Database", "Facts", "Role", "Wanted", "look"]

_PAUSE = 0.5  # seconds between two tries
_NAME = "groundwork"
# SQLSTATEs of a server that may come round: it starts or stops, or has no connection left.
_PASSING = frozenset({"57P01", "57P02", "57P03", "53300", "08003", "08006"})
_ROLE_SEPARATES = 16  # since then a membership has its options, and CREATEROLE its limits


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The names that a stack asks for.

    Attributes:
        roles: By kind, as the attributes of `infra.roles.Roles`; none is empty.
        database: Of the database.
    """

    roles: Mapping[str, str]
    database: str


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role that is there already.

    Attributes:
        name: Its name.
        attributes: What it may do beyond a plain role: "SUPERUSER", "REPLICATION" and the like.
        administered: Whether the admin may change it.
        admins: Who may, as far as memberships say.
        owns: Names of databases that are its own, or in which something is.
        groups: Roles that it is a member of.
        members: Roles that have or can take what it may do.
    """

    name: str
    attributes: tuple[str, ...]
    administered: bool
    admins: tuple[str, ...]
    owns: tuple[str, ...]
    groups: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Database:
    """The database, where it is there already.

    Attributes:
        owner: Whose it is.
        encoding: "UTF8" for example.
        refused: Why the admin can't look into it; "" where that was possible.
        app_owner: Whose its schema `app` is; "" where it has none.
        extension_schema: Where `vector` is installed in it; "" where it isn't.
        extension_barrier: Whose that schema is, where the admin can't let others use it; else "".
        tables: How many tables, views and sequences it has, without those of extensions.
    """

    owner: str
    encoding: str
    refused: str = ""
    app_owner: str = ""
    extension_schema: str = ""
    extension_barrier: str = ""
    tables: int = 0

    @property
    def holds(self) -> str:
        """What is in it, in words; "" for nothing."""
        if self.refused:
            return "what the admin can't look into"
        return f"{self.tables} tables, views and sequences" if self.tables else ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the server.

    Attributes:
        host: Of the server that takes writes.
        port: Its port.
        version: "17.4" for example.
        major: 17 for example.
        cluster: PostgreSQL's system identifier; "" where the admin may not ask for it.
        user: The admin, as the server knows it.
        superuser: Whether it is one.
        creates_roles: Whether it has CREATEROLE.
        creates_databases: Whether it has CREATEDB.
        reads_all: Whether it may make others members of pg_read_all_data.
        extension: What `vector` is to the admin: "allowed", "refused" or "missing".
        roles: Those of the wanted ones that are there.
        database: The wanted one; None where it isn't there.
    """

    host: str
    port: int
    version: str
    major: int
    cluster: str
    user: str
    superuser: bool
    creates_roles: bool
    creates_databases: bool
    reads_all: bool
    extension: str
    roles: tuple[Role, ...]
    database: Database | None

    def dump(self) -> str:
        """Give it as a text: of a structure, the engine would drop what is None."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, dumped: str) -> Self:
        """Read what `dump` gave."""
        found: dict[str, Any] = json.loads(dumped)
        database = Database(**found["database"]) if found["database"] else None
        return cls(**{**found, "roles": tuple(map(_role, found["roles"])), "database": database})


def look(
    admin: AdminUrl, wanted: Wanted, *, root: Path, seconds: float, say: Callable[[str], None]
) -> Facts:
    """Find the server that takes writes, and ask it.

    Args:
        admin: How to log in.
        wanted: What to look for.
        root: The project's folder, for the files of TLS.
        seconds: How long to wait for a server that may still come up.
        say: Told once, where there is something to wait for.

    Raises:
        AdminUrlError: A file of TLS is missing or wrong.
        ProbeError: No server took writes within `seconds`.
        RefusedError: It refused, or is too old: waiting would not help.
    """
    return asyncio.run(_look(admin, wanted, root, seconds, say))


async def _look(
    admin: AdminUrl, wanted: Wanted, root: Path, seconds: float, say: Callable[[str], None]
) -> Facts:
    server = _Server(admin, root, min(seconds, admin.seconds))
    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            return await server.ask(wanted)
        except RefusedError:
            raise
        except ProbeError as exc:
            if time.monotonic() + _PAUSE > deadline:
                msg = f"{exc} Waited {seconds:g} s for it."
                raise ProbeError(msg) from exc
            if not told:
                say(f"{exc} Waiting up to {seconds:g} s for it.")
                told = True
        await asyncio.sleep(_PAUSE)


class _Server:
    """The server, or the servers, of an admin's URL."""

    def __init__(self, admin: AdminUrl, root: Path, seconds: float) -> None:
        self._admin = admin
        self._encryption = admin.encryption(root)
        self._seconds = seconds

    async def ask(self, wanted: Wanted) -> Facts:
        """Ask once."""
        (host, port), session = await self._primary()
        try:
            found = await self._facts(session, wanted)
            database = await self._database((host, port), session, wanted.database)
        except _failures() as exc:
            raise self._worded(exc, (host, port), "") from exc
        finally:
            await _close(session)
        return Facts(host=host, port=port, database=database, **found)

    async def _primary(self) -> tuple[tuple[str, int], Any]:
        """Connect to the first host that takes writes; all are tried at once."""
        hosts = self._admin.hosts
        tried = await asyncio.gather(*map(self._writable, hosts), return_exceptions=True)
        chosen: tuple[tuple[str, int], Any] | None = None
        for host, answer in zip(hosts, tried, strict=True):
            if isinstance(answer, BaseException):
                continue
            if chosen is None:
                chosen = host, answer
            else:
                await _close(answer)
        if chosen is not None:
            return chosen
        failures = [answer for answer in tried if isinstance(answer, BaseException)]
        for exc in failures:  # waiting helps against none of these
            if isinstance(exc, RefusedError) or not isinstance(exc, ProbeError):
                raise exc
        raise ProbeError(" ".join(dict.fromkeys(map(str, failures))))

    async def _writable(self, host: tuple[str, int]) -> Any:
        session = await self._connect(host, self._admin.database)
        try:
            unfit = await self._unfit(host, session)
        except _failures() as exc:
            unfit = self._worded(exc, host, "")
        if unfit is not None:
            await _close(session)
            raise unfit
        return session

    async def _unfit(self, host: tuple[str, int], session: Any) -> ProbeError | None:
        version = session.get_server_version().major
        if version < unreached.OLDEST:
            return RefusedError(str(unreached.too_old(version, self._admin.of(host))))
        why = await session.fetchval(catalog.NO_WRITES)
        return why and ProbeError(f"The server at {written(*host)} takes no writes: {why}.")

    async def _connect(self, host: tuple[str, int], database: str) -> Any:
        import asyncpg  # noqa: PLC0415 - 160 ms that other targets save

        try:
            return await asyncpg.connect(
                host=host[0],
                port=host[1],
                user=self._admin.user,
                password=self._admin.password,
                database=database,
                ssl=self._encryption,
                timeout=self._seconds,
                command_timeout=self._seconds,
                statement_cache_size=0,  # a pooler may stand in between
                server_settings={"application_name": _NAME},
            )
        except _failures() as exc:
            raise self._worded(exc, host, database) from exc

    def _worded(self, exc: Exception, host: tuple[str, int], database: str) -> ProbeError:
        text = str(unreached.worded(exc, self._admin.of(host, database)))
        if self._admin.password:
            text = text.replace(self._admin.password, "***")
        return ProbeError(text) if _passes(exc) else RefusedError(text)

    async def _facts(self, session: Any, wanted: Wanted) -> dict[str, Any]:
        separates = session.get_server_version().major >= _ROLE_SEPARATES
        me = dict(await session.fetchrow(catalog.admin(separates=separates)))
        if me["cluster"]:
            me["cluster"] = await _cluster(session)
        rows = await session.fetch(catalog.roles(separates=separates), [*wanted.roles.values()])
        return {
            **me,
            "version": str(me["version"]).partition(" ")[0],  # Debian adds its package's
            "extension": await session.fetchval(catalog.EXTENSION) or "missing",
            "roles": tuple(map(_role, rows)),
        }

    async def _database(self, host: tuple[str, int], session: Any, name: str) -> Database | None:
        row = await session.fetchrow(catalog.DATABASE, name)
        if row is None:
            return None
        try:
            inside = await self._connect(host, name)
        except ProbeError as exc:
            return Database(**row, refused=str(exc))
        try:
            return Database(**row, **await inside.fetchrow(catalog.INSIDE))
        finally:
            await _close(inside)


def _role(found: Mapping[str, Any]) -> Role:
    values: Any = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
    return Role(**values)


async def _cluster(session: Any) -> str:
    import asyncpg  # noqa: PLC0415 - as above

    try:
        return str(await session.fetchval(catalog.CLUSTER))
    except asyncpg.PostgresError:  # some services take the function away, whatever its rights say
        return ""


def _failures() -> tuple[type[Exception], ...]:
    """Give all that the driver raises for what the other side or the network does."""
    import asyncpg  # noqa: PLC0415 - as above

    own = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return (OSError, ValueError, *own)


def _passes(exc: Exception) -> bool:
    """Tell whether the reason may be gone in a moment."""
    import ssl  # noqa: PLC0415 - loaded with the driver

    sqlstate = getattr(exc, "sqlstate", None)
    if sqlstate:
        return sqlstate in _PASSING
    said = str(exc)
    # A certificate that isn't trusted, or a side that speaks something else, stays so.
    firm = isinstance(exc, ssl.SSLError) or "rejected SSL upgrade" in said
    return isinstance(exc, OSError) and not firm


async def _close(session: Any) -> None:
    try:
        await session.close(timeout=2)
    except Exception:  # noqa: BLE001 - whatever it is, the session is over
        session.terminate()
