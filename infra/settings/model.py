"""What a stack is to be: plain data, without mistakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.extensions import Extension
    from infra.roles import Roles
    from infra.schema.options import Options

__all__ = ["Access", "Limits", "Settings", "Tls"]


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
        app_schema: Name of the schema that migrations work in.
        extension_schema: Name of the schema of extensions that name none and are not there yet.
        extensions: What is installed, in this order; none for a server without any.
        protect: Whether server, database and schema node refuse to be destroyed.
        retain: Whether destroy leaves data directory, volume, database and roles as they are.
        wait_seconds: How long to wait for a server that does not answer yet.
        port: The server's TCP port; 0 takes a free one at creation and keeps it.
        data_dir: The data directory of the embedded server, absolute; None places it.
        data_dir_as_set: The same as the stack's configuration has it: relative to the project,
            or beginning with ~; "" for none.
        postgres_bin: Folder with the programs of PostgreSQL 17; empty finds or fetches them.
        parameters: More settings of postgresql.conf, for a server that this stack makes.
        image: The container's image, a reference or a digest.
        volume: Name of the container's volume; "" has one generated.
        memory: Limit of the container in MiB; 0 for none.
        cpus: Limit of the container in cores, "1.5" for example; "" for none.
        shm_size: Shared memory of the container in MiB; 0 derives it from the parameters.
        tls: What the container's server shows to clients; None leaves TLS off.
        sslmode: libpq's, for every URL; "" takes the target's own.
        sslmode_reason: Why clients in prod don't check the server's certificate; "" where they do.
        admin_url: Administrator's URL of an existing server; "" for the other targets.
        existing_objects: "refuse", or "adopt" to take over roles and a database of an existing
            server that are there already; what is adopted is never dropped.
        moved_to: The cluster and database that an existing server's stack has moved to on purpose,
            "SYSTEM_IDENTIFIER/DATABASE"; "" for none.
        admin_password_version: Raised, it makes a new password for the admin of a server that
            this stack makes.
        access: Who may do what.
        migrations: Folder with Alembic's configuration, absolute.
        schema: How the schema node is to act.
    """

    environment: str = "dev"
    target: str
    database: str
    app_schema: str = "app"
    extension_schema: str = "ext"
    extensions: tuple[Extension, ...] = ()
    protect: bool = False
    retain: bool = False
    wait_seconds: int = 60
    port: int = 0
    data_dir: Path | None = None
    data_dir_as_set: str = ""
    postgres_bin: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    image: str = "pgvector/pgvector:pg17"
    volume: str = ""
    memory: int = 0
    cpus: str = ""
    shm_size: int = 0
    tls: Tls | None = None
    sslmode: str = ""
    sslmode_reason: str = ""
    admin_url: str = field(default="", repr=False)
    existing_objects: str = "refuse"
    moved_to: str = ""
    admin_password_version: int = 1
    access: Access
    migrations: Path
    schema: Options
