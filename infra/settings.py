"""The stack's configuration: read and validated once, every mistake in one message."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.roles import Roles, role_names
from infra.schema import options
from infra.servers import TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.schema.options import Options

__all__ = ["Access", "Limits", "Settings", "SettingsError", "Tls", "load", "parse"]

_PROJECT = "groundwork"
# PostgreSQL cuts a longer name without a word, and the next run would look for the whole one.
_NAME_BYTES = 63
# The provider `postgresql` puts the name into a connection URL as it is.
_NOT_IN_URL = "%?#"
_RESERVED = ("postgres", "template0", "template1")
_PORTS = range(1024, 65536)
_DEFAULTS = {
    "target": "embedded",
    "database": "groundwork",
    "port": "0",
    "dataDir": "",
    "postgresBin": "",
    "migrations": "migrations",
    **options.DEFAULTS,
}
_CONFIGURATIONS = ("alembic.ini", "pyproject.toml")


class SettingsError(GroundworkError):
    """The stack's configuration has mistakes; the message lists all of them.

    Attributes:
        mistakes: One line each, beginning with the key to set.
    """

    def __init__(self, mistakes: list[str]) -> None:
        """Word the message from the mistakes."""
        self.mistakes = mistakes
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        super().__init__(
            f"The configuration of this stack has {count}; nothing was changed:\n{lines}\n"
            "Set a key with: pulumi config set groundwork:KEY VALUE"
        )


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How the server of a container proves who it is; every path is absolute.

    Attributes:
        certificate: PEM file of the certificate, the chain after it.
        key: PEM file of its key.
        ca: PEM file of the authority that clients check it with.
    """

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the sessions of one role may take; durations are PostgreSQL's, "" sets none.

    Attributes:
        statement_timeout: For a statement.
        lock_timeout: For each wait for a lock.
        idle_timeout: For doing nothing inside a transaction.
        connections: How many sessions at once; -1 for any number.
    """

    statement_timeout: str = ""
    lock_timeout: str = ""
    idle_timeout: str = ""
    connections: int = -1


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may do what in the database.

    Attributes:
        roles: The names of the roles.
        limits: By the kind of a role that logs in: "migrator", "app", "reader", "auditor".
        passwords: Chosen passwords by kind of role; one that is missing is generated.
        password_version: Raised, it makes new passwords for all that are generated.
    """

    roles: Roles
    limits: Mapping[str, Limits]
    passwords: Mapping[str, str] = field(repr=False)
    password_version: int = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the stack is to be.

    Attributes:
        environment: The preset that fills what is not set: "dev", "preview" or "prod".
        target: Where the server runs, one of `infra.servers.TARGETS`.
        database: Name of the database, 1 to 63 bytes of UTF-8.
        protect: Whether server, database and schema node refuse to be destroyed.
        retain: Whether destroy leaves data directory, volume, database and roles as they are.
        wait_seconds: How long to wait for a server that does not answer yet.
        port: The server's TCP port; 0 takes a free one at creation and keeps it.
        data_dir: The data directory of the embedded server, absolute; None places it.
        postgres_bin: Folder with the programs of PostgreSQL 17; empty finds or fetches them.
        parameters: More settings of postgresql.conf, for a server that this stack makes.
        image: The container's image, a reference or a digest.
        volume: Name of the container's volume; "" has one generated.
        memory: Limit of the container in MiB; 0 for none.
        cpus: Limit of the container in cores, "1.5" for example; "" for none.
        shm_size: Shared memory of the container in MiB; 0 derives it from the parameters.
        tls: What the container's server shows to clients; None leaves TLS off.
        sslmode: libpq's, for every URL; "" takes the target's own.
        admin_url: Administrator's URL of an existing server; "" for the other targets.
        existing_objects: "refuse", or "adopt" to take over roles and a database of an existing
            server that are there already; what is adopted is never dropped.
        admin_password_version: Raised, it makes a new password for the admin of a server that
            this stack makes.
        access: Who may do what.
        migrations: Folder with Alembic's configuration, absolute.
        schema: How the schema node is to act.
    """

    environment: str = "dev"
    target: str
    database: str
    protect: bool = False
    retain: bool = False
    wait_seconds: int = 60
    port: int = 0
    data_dir: Path | None = None
    postgres_bin: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    image: str = "pgvector/pgvector:pg17"
    volume: str = ""
    memory: int = 0
    cpus: str = ""
    shm_size: int = 0
    tls: Tls | None = None
    sslmode: str = ""
    admin_url: str = field(default="", repr=False)
    existing_objects: str = "refuse"
    admin_password_version: int = 1
    access: Access
    migrations: Path
    schema: Options


def load() -> Settings:
    """Read the configuration of the running Pulumi program.

    Raises:
        SettingsError: At least one mistake.
    """
    from pulumi.runtime.config import (  # noqa: PLC0415 - keeps `parse` free of Pulumi
        CONFIG,
        get_config_env,
    )

    prefix = f"{_PROJECT}:"
    # `pulumi.Config` answers for one key at a time, and can't tell of those nobody asks for.
    everything = {**get_config_env(), **CONFIG.get()}
    values = {
        key.removeprefix(prefix): str(value)
        for key, value in everything.items()
        if key.startswith(prefix)
    }
    return parse(values, root=Path.cwd())


def parse(values: Mapping[str, str], *, root: Path) -> Settings:
    """Turn configuration into settings.

    Args:
        values: Keys without the namespace; a missing one has its default.
        root: The project's folder, to which relative paths refer.

    Raises:
        SettingsError: At least one mistake.
    """
    given = {**_DEFAULTS, **values}
    mistakes = [_unknown(key) for key in values if key not in _DEFAULTS]
    mistakes += _target_mistakes(given["target"])
    mistakes += _database_mistakes(given["database"])
    mistakes += _port_mistakes(given["port"])
    migrations = root / Path(given["migrations"]).expanduser()
    mistakes += _migrations_mistakes(given["migrations"], migrations)
    chosen = {key: given[key] for key in options.DEFAULTS}
    mistakes += [f"{_PROJECT}:{mistake}" for mistake in options.mistakes(chosen)]
    if mistakes:
        raise SettingsError(mistakes)
    return Settings(
        target=given["target"],
        database=given["database"],
        port=int(given["port"]),
        data_dir=root / Path(given["dataDir"]).expanduser() if given["dataDir"] else None,
        postgres_bin=given["postgresBin"],
        access=Access(
            roles=role_names(given["database"]),
            limits={
                "migrator": Limits(idle_timeout="10min", connections=10),
                "app": Limits(
                    statement_timeout="30s",
                    lock_timeout="5s",
                    idle_timeout="1min",
                    connections=60,
                ),
                "reader": Limits(
                    statement_timeout="5min",
                    lock_timeout="5s",
                    idle_timeout="5min",
                    connections=20,
                ),
                "auditor": Limits(
                    statement_timeout="5min",
                    lock_timeout="5s",
                    idle_timeout="5min",
                    connections=5,
                ),
            },
            passwords={},
        ),
        migrations=migrations,
        schema=options.parse(chosen),
    )


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, _DEFAULTS, n=1)
    hint = f"did you mean {_PROJECT}:{near[0]}?" if near else f"known: {', '.join(_DEFAULTS)}"
    return f"{_PROJECT}:{key}: no such key; {hint}"


def _target_mistakes(target: str) -> list[str]:
    if target in TARGETS:
        return []
    return [f"{_PROJECT}:target: {target!r} is unknown; one of: {', '.join(TARGETS)}"]


def _database_mistakes(name: str) -> list[str]:
    key = f"{_PROJECT}:database"
    length = len(name.encode(errors="surrogatepass"))
    if not name:
        return [f"{key}: is empty; give the database a name of 1 to {_NAME_BYTES} bytes"]
    if length > _NAME_BYTES:
        return [f"{key}: has {length} bytes, and PostgreSQL takes names of 1 to {_NAME_BYTES}"]
    if "\0" in name:
        return [f"{key}: has a NUL byte, which PostgreSQL takes in no name"]
    unfit = [character for character in _NOT_IN_URL if character in name]
    if unfit:
        return [f"{key}: has {' '.join(unfit)}, and the provider takes no name with one of % ? #"]
    if name in _RESERVED:
        return [f"{key}: {name!r} is a database of the server's own; choose another name"]
    return []


def _port_mistakes(text: str) -> list[str]:
    key = f"{_PROJECT}:port"
    try:
        port = int(text)
    except ValueError:
        return [f"{key}: {text!r} is not a number"]
    if port and port not in _PORTS:
        return [f"{key}: {port} is out of range; {_PORTS[0]} to {_PORTS[-1]}, or 0 for a free one"]
    return []


def _migrations_mistakes(given: str, folder: Path) -> list[str]:
    key = f"{_PROJECT}:migrations"
    if not folder.is_dir():
        return [f"{key}: there is no folder {given!r}"]
    if not any((folder / name).is_file() for name in _CONFIGURATIONS):
        return [f"{key}: the folder {given!r} has no {' and no '.join(_CONFIGURATIONS)}"]
    return []
