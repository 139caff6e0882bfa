"""The first that a destroy deletes: it refuses where another database than the stack's answers.

A destroy goes by the state alone: by its URL, whatever answers there by now. The engine deletes
what depends on others before them, so that what depends on everything in the database is deleted
first, and nothing else where that fails.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.database import admin
from infra.database.urls import address
from infra.dynamic import Provider, known
from infra.identity import NO_LEDGER, Identity, refuse_other
from infra.project import spelled
from infra.schema.errors import DatabaseMissingError, LiveError
from infra.servers.remote import catalog, facts
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.servers import Endpoint
    from infra.settings import Settings

__all__ = ["DatabaseIdentity", "DatabaseIdentityProvider", "declare"]

_KEPT = ("admin", "database", "roles", "cluster", "environment")
_ROLES = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1) ORDER BY 1"
_ASKED = "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')"
_KEPT_ALL = "Nothing was deleted."


def declare(endpoint: Endpoint, settings: Settings, after: Sequence[pulumi.Resource]) -> None:
    """Declare it for a server that the stack neither makes nor takes away.

    Args:
        endpoint: The server.
        settings: Of the stack.
        after: What is not to be deleted in another database.
    """
    if endpoint.owned:
        return  # its data directory or volume is what is known, and goes as a whole
    DatabaseIdentity(
        "database-identity",
        endpoint=endpoint,
        settings=settings,
        opts=pulumi.ResourceOptions(
            depends_on=list(after),
            protect=settings.protect or None,
            # Where a destroy leaves everything, there is nothing to guard.
            retain_on_delete=settings.retain or None,
        ),
    )


class DatabaseIdentity(dynamic.Resource, module="groundwork", name="DatabaseIdentity"):
    """What tells the stack's database from every other one, as the last `up` found it.

    Attributes:
        cluster: System identifier of the cluster; "" where the admin may not ask for it.
        database: The database's name.
    """

    cluster: pulumi.Output[str]
    database: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        endpoint: Endpoint,
        settings: Settings,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Keep what the server says of itself."""
        inputs = {
            "admin": admin.inputs(endpoint),
            "database": settings.database,
            "roles": [name for name in asdict(settings.access.roles).values() if name],
            "cluster": endpoint.cluster,
            "environment": settings.environment,
        }
        super().__init__(DatabaseIdentityProvider(), name, inputs, opts)


class DatabaseIdentityProvider(Provider):
    """Remembers a database, and refuses to be deleted where another one answers."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Report a change of anything that is remembered."""
        wanted = {key: news.get(key) for key in _KEPT}
        changed = not known(wanted) or any(wanted[key] != olds.get(key) for key in _KEPT)
        return dynamic.DiffResult(changes=changed)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Remember it."""
        return dynamic.CreateResult("identity", _remembered(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Remember what is new."""
        return dynamic.UpdateResult(_remembered(news))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Stay with what is known: a refresh takes no other database for the stack's."""
        kept = {key: props.get(key) for key in _KEPT}
        return dynamic.ReadResult(id_, {**kept, "known": props.get("known")}, kept)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Let the rest of the destroy go on, unless another database answers.

        Raises:
            WrongDatabaseError: It is in another cluster, and holds something.
        """
        mine = props.get("known") or props.get("cluster")
        if props.get("environment") == "preview" or not mine:
            return
        try:
            cluster, holds = asyncio.run(_seen(props))
        except LiveError as exc:
            print(visible(f"the stack's database could not be looked at: {exc}"))  # noqa: T201 - the engine shows it
            return
        place = address(props["admin"]["host"], int(props["admin"]["port"]))
        refuse_other(
            Identity(cluster=mine, database=props["database"]),
            Identity(cluster=cluster, database=props["database"], place=place),
            holds=holds,
            kept=_KEPT_ALL,
            advice=f"set {spelled('movedTo')} to "
            f"{cluster}/{props['database']}, run `pulumi up`, then destroy",
        )


def _remembered(props: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is kept, and where the cluster can't be told, what else tells the database."""
    kept = {key: props[key] for key in _KEPT}
    if kept["cluster"]:
        return {**kept, "known": kept["cluster"]}
    try:
        return {**kept, "known": asyncio.run(_seen(props))[0]}
    except LiveError as exc:
        print(visible(f"the stack's database could not be looked at: {exc}"))  # noqa: T201 - the engine shows it
        return {**kept, "known": ""}


async def _seen(props: Mapping[str, Any]) -> tuple[str, str]:
    """Ask who answers; gives what tells it from others, and what of the stack's names is there."""
    async with admin.session(props["admin"]) as session:
        cluster = ""
        if await session.fetchval(_ASKED):
            cluster = await facts.system_identifier(session)
        rows = await session.fetch(_ROLES, list(props["roles"]))
    try:
        async with admin.session(props["admin"], props["database"]) as session:
            tables = await session.fetchval(catalog.TABLES)
            cluster = cluster or await facts.first_run(session)
    except DatabaseMissingError:
        tables = None
        cluster = cluster or NO_LEDGER
    holds = [] if tables is None else [f"{tables} tables, views and sequences"]
    holds += ["the roles " + ", ".join(repr(row["rolname"]) for row in rows)] if rows else []
    return cluster, " and ".join(holds)
