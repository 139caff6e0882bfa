"""Notes in the data directory what the stack has made inside, for a stack that lost its state."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.servers import Found
from infra.servers.local.account import server_account
from infra.servers.local.cluster import Cluster
from infra.servers.local.mark import Mark, still_there
from infra.servers.local.service import login
from infra.servers.probe import ProbeError

if TYPE_CHECKING:
    from infra.settings import Settings

__all__ = ["Contents", "ContentsProvider", "lost"]

_INPUTS = ("data_dir", "owner", "roles", "database", "cluster", "port", "password")
_READ_STATE = "pulumi:pulumi:readStackResourceOutputs"
_ROLE = "postgresql:index/role:Role"
_DATABASE = "postgresql:index/database:Database"

_PAUSES = (0.1, 0.3, 0.9)  # seconds; a file backend's file is half written for a moment


def lost(data: Path, owner: str, settings: Settings) -> Found:
    """Give what the data directory is noted to hold and the stack's state knows nothing of.

    That is so after a state was lost, after a destroy that kept the directory, and after a backup
    was put into its place. Whether something is imported has to be plain while the graph is
    declared, when there may be no server to ask, and no password for one that runs.

    Args:
        data: The data directory.
        owner: The stack, "project/stack".
        settings: The names that it asks for.
    """
    mark = Mark.read(data)
    roles = set(mark.roles) & set(_names(settings))
    database = mark.database == settings.database
    if mark.owner != owner or not (roles or database):
        return Found()
    try:
        known_roles, known_databases = _in_state()
    except Exception as exc:  # noqa: BLE001 - the SDK raises nothing narrower
        pulumi.log.warn(
            "The stack's own state could not be read, so that nothing in the data directory"
            f" {data} is taken over that the stack may have lost: {exc}"
        )
        return Found()
    return Found(
        roles=frozenset(roles - known_roles),
        database=database and settings.database not in known_databases,
    )


def _in_state() -> tuple[set[str], set[str]]:
    """Name the roles and databases that are in this stack's state, as the engine has it."""
    answer = _ask_for_state()
    resources = answer.get("outputs", {}).values()

    def names(kind: str) -> set[str]:
        return {str(each["outputs"].get("name")) for each in resources if each["type"] == kind}

    return names(_ROLE), names(_DATABASE)


def _ask_for_state() -> dict[str, Any]:
    """Ask the engine, again where it is just writing the file that it would read."""
    for pause in _PAUSES:
        try:
            return pulumi.runtime.invoke(_READ_STATE, {"stackName": pulumi.get_stack()}).value or {}
        except Exception:  # noqa: BLE001 - the SDK raises nothing narrower
            time.sleep(pause)
    return pulumi.runtime.invoke(_READ_STATE, {"stackName": pulumi.get_stack()}).value or {}


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

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Write the note again where something else is inside, or where it is gone."""
        given = [news[key] for key in _INPUTS]
        if not known(given):
            return dynamic.DiffResult(changes=True)
        same = all(news[key] == olds[key] for key in _INPUTS)
        return dynamic.DiffResult(changes=not same or _cluster(news).mark != _mark(news))

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
        """Note that nothing is inside."""
        cluster = _cluster(props)
        if cluster.identifier() == props["cluster"]:
            cluster.note(Mark(owner=props["owner"]))


def _cluster(props: dict[str, Any]) -> Cluster:
    data = Path(props["data_dir"])
    return Cluster(data=data, owner=props["owner"], account=server_account(data))


def _mark(props: dict[str, Any]) -> Mark:
    return Mark(owner=props["owner"], roles=tuple(props["roles"]), database=props["database"])


def _kept(props: dict[str, Any]) -> dict[str, Any]:
    return {key: props[key] for key in _INPUTS}


def _write(props: dict[str, Any]) -> dict[str, Any]:
    _cluster(props).note(_mark(props))
    return _kept(props)
