"""Where PostgreSQL 17 runs: one file a target, one common result."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi

    from infra.settings import Settings

__all__ = ["TARGETS", "Endpoint", "provision"]

# A target is a module here with `provision(settings) -> Endpoint`; loaded when it is chosen.
TARGETS = ("embedded",)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A PostgreSQL server that answers `SELECT 1` over TCP.

    Attributes:
        host: Name or address to connect to.
        port: TCP port.
        user: Admin user.
        password: The admin's password; secret.
        sslmode: In libpq's words, "disable" or "verify-full" for example.
        superuser: Whether the admin is a superuser.
        cluster: PostgreSQL's system identifier, which tells one cluster from another.
        version: The server's version, "17.4" for example.
        server: What the rest of the graph waits for.
        programs: Folder of this machine with psql; empty where the target brings none.
        owned: Whether this stack made the cluster and takes it away, so that what is inside
            it dies with it and need not be deleted piece by piece.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    user: pulumi.Output[str]
    password: pulumi.Output[str]
    sslmode: str
    superuser: bool
    cluster: pulumi.Output[str]
    version: pulumi.Output[str]
    server: pulumi.Resource
    programs: pulumi.Output[str]
    owned: bool


def provision(settings: Settings) -> Endpoint:
    """Declare the server that `settings.target` names."""
    target = import_module(f"{__name__}.{settings.target}")
    endpoint: Endpoint = target.provision(settings)
    return endpoint
