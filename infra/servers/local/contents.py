"""Notes in the data directory what the stack has made inside, for a stack that lost its state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra import declarations
from infra.dynamic import Provider, known
from infra.servers import Found
from infra.servers.local.account import server_account
from infra.servers.local.cluster import Cluster
from infra.servers.local.mark import Mark, still_there
from infra.servers.local.service import login
from infra.servers.probe import ProbeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.servers.stack_state import StackState
    from infra.settings import Settings

__all__ = ["Contents", "ContentsProvider", "lost"]

_INPUTS = ("data_dir", "owner", "roles", "database", "cluster", "port", "password")
_KIND = "contents of a data directory"
_ROLE = "postgresql:index/role:Role"
_DATABASE = "postgresql:index/database:Database"


def lost(data: Path, owners: Sequence[str], settings: Settings, state: StackState) -> Found:
    """Give what the data directory is noted to hold and the stack's state knows nothing of.

    That is so after a state was lost, after a destroy that kept the directory, and after a backup
    was put into its place. Whether something is imported has to be plain while the graph is
    declared, when there may be no server to ask, and no password for one that runs.

    Args:
        data: The data directory.
        owners: The names that the stack may have there, "project/stack".
        settings: The names that it asks for.
        state: Of the stack.
    """
    mark = Mark.read(data)
    if not mark.belongs_to(*filter(None, owners)):
        return Found()
    roles = set(mark.roles) & set(_names(settings))
    database = mark.database == settings.database
    return Found(
        roles=frozenset(roles - state.names(_ROLE)),
        database=database and settings.database not in state.names(_DATABASE),
    )


def _names(settings: Settings) -> list[str]:
    return sorted(name for name in vars(settings.access.roles).values() if name)


class Contents(dynamic.Resource, module="groundwork", name="Contents"):
    """The note of what is inside a cluster, made when all of it is there."""

    def __init__(
        self,
        name: str,
        *,
        server: dict[str, pulumi.Input[Any]],
        settings: Settings,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare the note.

        Args:
            name: Of the resource.
            server: "data_dir", "owner", "cluster", "port" and "password" of the server.
            settings: What is made in it.
            opts: The engine's; it depends on all that is noted.
        """
        inputs = {**server, "roles": _names(settings), "database": settings.database}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["password"])
        super().__init__(
            ContentsProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, secret)
        )


class ContentsProvider(Provider):
    """Keeps the note as true as the state."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Take the inputs as they are."""
        if known(news["data_dir"]):
            declarations.note(_KIND, news["data_dir"])
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Write the note again where something else is inside, or where it is gone."""
        given = [news[key] for key in _INPUTS]
        if not known(given):
            return dynamic.DiffResult(changes=True)
        same = all(news[key] == olds[key] for key in _INPUTS)
        mark = _cluster(news).mark
        return dynamic.DiffResult(changes=not same or mark != _noted(mark, news))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Write the note."""
        return dynamic.CreateResult(props["data_dir"], _write(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Write the note."""
        return dynamic.UpdateResult(_write(news))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Take out of the note what somebody has dropped: a refresh takes it from the state."""
        cluster = _cluster(props)
        if cluster.identifier() != props["cluster"]:
            return dynamic.ReadResult("", {})
        mark = cluster.mark
        try:
            mark = still_there(mark, login(int(props["port"]), props["password"]))
        except ProbeError:
            pass  # a server that is down has lost nothing
        else:
            cluster.note(mark)
        found = {**_kept(props), "roles": sorted(mark.roles), "database": mark.database}
        return dynamic.ReadResult(id_, found, found)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Note that nothing is inside; where it is replaced, the new note says what is."""
        if declarations.declared(_KIND, props["data_dir"]):
            return
        cluster = _cluster(props)
        if cluster.identifier() == props["cluster"]:
            cluster.note(replace(cluster.mark, roles=(), database=""))


def _cluster(props: dict[str, Any]) -> Cluster:
    data = Path(props["data_dir"])
    # Whose it is, the server has made sure of; here the stack may have its former name.
    owner = Mark.read(data).owner
    return Cluster(data=data, owner=owner, account=server_account(data))


def _noted(mark: Mark, props: dict[str, Any]) -> Mark:
    """Give a mark with what is to be noted in it."""
    return replace(
        mark, owner=props["owner"], roles=tuple(props["roles"]), database=props["database"]
    )


def _kept(props: dict[str, Any]) -> dict[str, Any]:
    return {key: props[key] for key in _INPUTS}


def _write(props: dict[str, Any]) -> dict[str, Any]:
    cluster = _cluster(props)
    cluster.note(_noted(cluster.mark, props))
    return _kept(props)
