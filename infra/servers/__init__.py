"""Where PostgreSQL 17 runs: one file a target, one common result."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pulumi

    from infra.settings import Settings

__all__ = ["TARGETS", "Endpoint", "Found", "provision"]

# A target is a module here with `provision(settings) -> Endpoint`; loaded when it is chosen.
TARGETS = ("embedded", "container", "existing")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an existing server had already when the program began.

    Attributes:
        roles: Names of roles to import.
        database: Whether the database is to be imported.
        extensions: Where those are that are installed, by their names.
        adopted: What stays as it was when the stack came, but for what it adds: "role NAME",
            "database NAME", "schema NAME".
        owners: Roles whose tables the stack's migrations change: its owner is a member of them.
        creates: Whether the stack's owner needs CREATE on database and schema, which are of a
            role that lends nothing.
        logins: Adopted roles that may log in.
        public: What PUBLIC may do with the database ("") and with its schemas, by their names.
        settings: What adopted roles have set in the database, by role and name.
    """

    roles: frozenset[str] = frozenset()
    database: bool = False
    extensions: Mapping[str, str] = field(default_factory=dict)
    adopted: frozenset[str] = frozenset()
    owners: tuple[str, ...] = ()
    creates: bool = False
    logins: frozenset[str] = frozenset()
    public: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A PostgreSQL server that answers `SELECT 1` over TCP.

    Attributes:
        host: Name or address to administer it through.
        port: TCP port of that.
        addresses: "HOST:PORT", or several with commas, as they stand in a URL.
        user: Admin user.
        password: The admin's password; secret.
        sslmode: In libpq's words, "disable" or "verify-full" for example.
        sslrootcert: Path of the file that the server's certificate is checked with; "" for none.
            A relative one is meant from the project's folder.
        sslcert: Path of the certificate that clients have to show; "" for none.
        sslkey: Path of its key.
        session_attrs: libpq's target_session_attrs where there are several hosts; "" for none.
        maintenance: The database that the admin logs in to.
        superuser: Whether the admin is a superuser.
        cluster: PostgreSQL's system identifier, which tells one cluster from another; "" where
            the admin may not ask for it.
        version: The server's version, "17.4" for example.
        major: Its major version, as far as it is known while the graph is declared.
        server: What the rest of the graph waits for.
        programs: Folder of this machine with psql; empty where the target brings none.
        data_dir: Folder of this machine with the data; None where the target has it elsewhere.
        owned: Whether this stack made the cluster and takes it away, so that what is inside
            it dies with it and need not be deleted piece by piece.
        found: What was there already.
        note: Called with what has to be there first, it declares that the server's data says
            what the stack has made in it, for a stack that loses its state; None where the
            target has no such place.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    addresses: pulumi.Output[str]
    user: pulumi.Output[str]
    password: pulumi.Output[str]
    sslmode: str
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""
    session_attrs: str = ""
    maintenance: str = "postgres"
    superuser: bool
    cluster: pulumi.Output[str]
    version: pulumi.Output[str]
    major: int = 17
    server: pulumi.Resource
    programs: pulumi.Output[str]
    data_dir: pulumi.Output[str] | None = None
    owned: bool
    found: Found = field(default_factory=Found)
    note: Callable[[Sequence[pulumi.Resource]], None] | None = None


def provision(settings: Settings) -> Endpoint:
    """Declare the server that `settings.target` names."""
    target = import_module(f"{__name__}.{settings.target}")
    endpoint: Endpoint = target.provision(settings)
    return endpoint
