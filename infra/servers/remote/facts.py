"""Asks an existing server what it has already, and what its admin may do. Nothing is written."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from infra.extensions import Extension
from infra.identity import LEDGER, NO_LEDGER
from infra.schema import unreached
from infra.schema.errors import LiveError
from infra.schema.running import connecting
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.remote import catalog
from infra.servers.remote.adminurl import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from infra.servers.remote.adminurl import AdminUrl

__all__ = [
    "Available",
    "Database",
    "Facts",
    "Installed",
    "Owner",
    "Place",
    "Role",
    "Wanted",
    "first_run",
    "look",
    "system_identifier",
]

_PAUSE = 0.5  # seconds between two tries
_NAME = "groundwork"
# SQLSTATEs of a server that may come round: it starts or stops, or has no connection left.
_PASSING = frozenset({"57P01", "57P02", "57P03", "53300", "08003", "08006"})
_Fact = TypeVar("_Fact")
_ROLE_SEPARATES = 16  # since then a membership has its options, and CREATEROLE its limits


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The names that a stack asks for.

    Attributes:
        roles: By kind, as the attributes of `infra.roles.Roles`; none is empty.
        database: Of the database.
        schema: Of the schema that migrations work in.
        extension_schema: Of the schema for extensions that name none.
        extensions: In the order in which they are made.
        passwords: The kinds of roles whose password the stack sets also where it adopts them.
    """

    roles: Mapping[str, str]
    database: str
    schema: str = "app"
    extension_schema: str = "ext"
    extensions: tuple[Extension, ...] = ()
    passwords: tuple[str, ...] = ()

    def dump(self) -> str:
        """Give it as a text."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, dumped: str) -> Self:
        """Read what `dump` gave."""
        found: dict[str, Any] = json.loads(dumped)
        extensions = tuple(Extension(**each) for each in found["extensions"])
        return cls(**{**found, "extensions": extensions, "passwords": tuple(found["passwords"])})


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role that is there already.

    Attributes:
        name: Its name.
        login: Whether it may log in.
        attributes: What it may do beyond a plain role: "SUPERUSER", "REPLICATION" and the like.
        administered: Whether the admin may change it.
        admins: Who may, as far as memberships say.
        owns: Names of databases that are its own, or in which something is.
        groups: Roles that it is a member of.
        members: Roles that have or can take what it may do.
    """

    name: str
    login: bool
    attributes: tuple[str, ...]
    administered: bool
    admins: tuple[str, ...]
    owns: tuple[str, ...]
    groups: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A role that owns the database, the schema of the migrations, or something in it.

    Attributes:
        name: Its name.
        superuser: Whether it is one.
        login: Whether it may log in.
        administered: Whether the admin may make others members of it.
        reached: Whether the stack's owner is it, or a member that has its rights.
        relations: Names of its tables, views and sequences in the schema.
        others: Its types and functions there, as ALTER takes them.
    """

    name: str
    superuser: bool
    login: bool
    administered: bool
    reached: bool
    relations: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """A schema of the database.

    Attributes:
        name: Its name.
        owner: Whose it is.
        public: What PUBLIC may do in it.
        grantable: Whether the admin may let others use it.
    """

    name: str
    owner: str
    public: tuple[str, ...]
    grantable: bool


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An extension that the database has.

    Attributes:
        name: Its name.
        schema: Where it is.
        version: Its version.
        barrier: Whose that schema is, where the admin can't let others use it; else "".
    """

    name: str
    schema: str
    version: str
    barrier: str = ""


@dataclass(frozen=True, kw_only=True)
class Available:
    """An extension that the server could install.

    Attributes:
        name: Its name.
        version: What would be installed.
        requires: Extensions that have to be there before.
        allowed: Whether the admin may install it.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True, kw_only=True)
class Database:
    """The database, where it is there already.

    Attributes:
        owner: Whose it is.
        encoding: "UTF8" for example.
        public: What PUBLIC may do with it: "CONNECT", "TEMPORARY".
        refused: Why the admin can't look into it; "" where that was possible.
        places: `public` and those of the schemas that the stack names that are there.
        versioned: Whether the schema of the migrations has a table alembic_version.
        tables: How many tables, views and sequences it has, without those of extensions.
        ledger: What tells it from other databases where the cluster's system identifier can't be
            had, as `infra.identity.Identity` has it; else "".
        installed: Its extensions.
        owners: Whose objects migrations would meet in it.
        settings: By role, then by name, what the stack's roles have set in this database.
    """

    owner: str
    encoding: str
    public: tuple[str, ...] = ()
    refused: str = ""
    places: tuple[Place, ...] = ()
    versioned: bool = False
    tables: int = 0
    ledger: str = ""
    installed: tuple[Installed, ...] = ()
    owners: tuple[Owner, ...] = ()
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def place(self, name: str) -> Place | None:
        """Give a schema by its name."""
        return next((each for each in self.places if each.name == name), None)

    def extension(self, name: str) -> Installed | None:
        """Give an installed extension by its name."""
        return next((each for each in self.installed if each.name == name), None)

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
        available: The wanted extensions that the server has to install.
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
    available: tuple[Available, ...]
    roles: tuple[Role, ...]
    database: Database | None

    def dump(self) -> str:
        """Give it as a text: of a structure, the engine would drop what is None."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, dumped: str) -> Self:
        """Read what `dump` gave."""
        found: dict[str, Any] = json.loads(dumped)
        inside = found["database"]
        made = {
            "roles": tuple(_of(Role, each) for each in found["roles"]),
            "available": tuple(_of(Available, each) for each in found["available"]),
            "database": _database(inside, inside) if inside else None,
        }
        return cls(**{**found, **made})


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
            identified = bool(found["cluster"])
            database = await self._database((host, port), session, wanted, identified=identified)
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
        try:
            return await connecting.open_session(
                {
                    "host": host[0],
                    "port": host[1],
                    "user": self._admin.user,
                    "password": self._admin.password,
                    "database": database,
                    "ssl": self._encryption,
                    "timeout": self._seconds,
                    "command_timeout": self._seconds,
                },
                _NAME,
                place=written(*host),
            )
        except connecting.LostError as exc:
            raise ProbeError(str(exc)) from exc
        except LiveError as exc:
            raise RefusedError(str(exc)) from exc
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
            me["cluster"] = await system_identifier(session)
        rows = await session.fetch(catalog.roles(separates=separates), [*wanted.roles.values()])
        names = [each.name for each in wanted.extensions]
        return {
            **me,
            "version": str(me["version"]).partition(" ")[0],  # Debian adds its package's
            "available": tuple(
                _of(Available, each) for each in await session.fetch(catalog.AVAILABLE, names)
            ),
            "roles": tuple(_of(Role, each) for each in rows),
        }

    async def _database(
        self, host: tuple[str, int], session: Any, wanted: Wanted, *, identified: bool
    ) -> Database | None:
        name = wanted.database
        row = await session.fetchrow(catalog.DATABASE, name)
        if row is None:
            return None
        try:
            inside = await self._connect(host, name)
        except ProbeError as exc:
            return _database(row, {"refused": str(exc)})
        try:
            found = await _inside(inside, wanted)
            found["ledger"] = "" if identified else await first_run(inside)
            return _database(row, found)
        finally:
            await _close(inside)


async def _inside(session: Any, wanted: Wanted) -> dict[str, Any]:
    """Ask the database itself."""
    separates = session.get_server_version().major >= _ROLE_SEPARATES
    given = [each.schema for each in wanted.extensions if each.schema]
    names = ["public", wanted.schema, wanted.extension_schema, *given]
    owner = wanted.roles.get("owner", "")
    settings = await session.fetch(catalog.SETTINGS, wanted.database, list(wanted.roles.values()))
    return {
        "places": await session.fetch(catalog.SCHEMAS, names),
        "versioned": await session.fetchval(catalog.VERSIONED, wanted.schema),
        "tables": await session.fetchval(catalog.TABLES),
        "installed": await session.fetch(catalog.INSTALLED),
        "owners": await session.fetch(catalog.owners(separates=separates), wanted.schema, owner),
        "settings": {
            row["role"]: dict(entry.split("=", 1) for entry in row["entries"]) for row in settings
        },
    }


def _database(row: Mapping[str, Any], inside: Mapping[str, Any]) -> Database:
    return Database(
        owner=row["owner"],
        encoding=row["encoding"],
        public=tuple(row["public"]),
        refused=inside.get("refused", ""),
        places=tuple(_of(Place, each) for each in inside.get("places", ())),
        versioned=inside.get("versioned", False),
        tables=inside.get("tables", 0),
        ledger=inside.get("ledger", ""),
        installed=tuple(_of(Installed, each) for each in inside.get("installed", ())),
        owners=tuple(_of(Owner, each) for each in inside.get("owners", ())),
        settings=inside.get("settings", {}),
    )


def _of(kind: type[_Fact], found: Mapping[str, Any]) -> _Fact:
    values: Any = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
    return kind(**values)


async def first_run(session: Any) -> str:
    """Tell a database by its ledger, as `infra.identity.Identity` does; "" where it can't be read.

    Args:
        session: Of asyncpg, in the database.
    """
    may = await session.fetchval(catalog.LEDGER)
    if may is None:
        return NO_LEDGER
    run = await session.fetchval(catalog.FIRST_RUN) if may else None
    return f"{LEDGER}{run}" if run else ""


async def system_identifier(session: Any) -> str:
    """Ask for the cluster's system identifier; "" where it can't be had.

    Args:
        session: Of asyncpg.
    """
    import asyncpg  # noqa: PLC0415 - 160 ms that other targets save

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
