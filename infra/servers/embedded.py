"""PostgreSQL 17 on this machine, as a resource of the graph: no Docker, loopback only."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.errors import GroundworkError
from infra.password import Password
from infra.row import Row
from infra.servers import Endpoint, ports, probe
from infra.servers.local import trial, tuning
from infra.servers.local.account import server_account
from infra.servers.local.binaries import Binaries, locate
from infra.servers.local.cluster import FOLDER, SUPERUSER, Cluster
from infra.servers.local.configuration import Configuration, written
from infra.servers.local.contents import Contents, lost
from infra.servers.local.mark import still_there
from infra.servers.local.service import Service, Wanted, login
from infra.servers.ports import HOST
from infra.servers.probe import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.servers.probe import Identity
    from infra.settings import Settings

__all__ = ["EmbeddedProvider", "EmbeddedServer", "provision"]

_TYPE = "pulumi-python:dynamic/groundwork:EmbeddedServer"
# Given by the program, and kept in the state; one of an earlier version lacks those with a default.
_INPUTS = ("owner", "data_dir", "requested_bin_dir", "requested_port", "password")
_LATER: dict[str, Any] = {"parameters": {}, "retain": False, "urn": ""}


def provision(settings: Settings) -> Endpoint:
    """Declare the embedded server and the password of its superuser."""
    admin = Password("server-admin", version=settings.admin_password_version)
    server = EmbeddedServer(
        "server",
        settings=settings,
        password=admin.password,
        opts=pulumi.ResourceOptions(protect=settings.protect),
    )

    def note(ready: Sequence[pulumi.Resource]) -> None:
        _note(ready, server, settings, admin.password)

    return Endpoint(
        host=server.host,
        port=server.port,
        addresses=pulumi.Output.format("{0}:{1}", server.host, server.port),
        user=server.user,
        password=admin.password,
        sslmode="disable",
        superuser=True,
        cluster=server.cluster,
        version=server.version,
        server=server,
        programs=server.bin_dir,
        # Also where the data directory is kept: what is inside goes out of the state with the
        # server, and nothing in it is undone.
        owned=True,
        found=lost(_data_dir(settings), _owner(), settings),
        note=note,
    )


def _note(
    ready: Sequence[pulumi.Resource],
    server: EmbeddedServer,
    settings: Settings,
    password: pulumi.Output[str],
) -> None:
    """Declare that the data directory says what is in it, once that is there."""
    Contents(
        "server-contents",
        server={
            "data_dir": server.data_dir,
            "owner": _owner(),
            "cluster": server.cluster,
            "port": server.port,
            "password": password,
        },
        settings=settings,
        opts=pulumi.ResourceOptions(
            depends_on=[server, *ready],
            deleted_with=server,
            replace_with=[server],
            retain_on_delete=settings.retain,
        ),
    )


class EmbeddedServer(dynamic.Resource, module="groundwork", name="EmbeddedServer"):
    """A server that the stack starts here and takes away again.

    Attributes:
        host: Always 127.0.0.1.
        port: The port it listens on: the configured one, or the one found free at creation.
        user: The superuser, `postgres`.
        cluster: System identifier of the cluster.
        version: The server's version.
        data_dir: The data directory; the log is `server.log` in it.
        bin_dir: The folder with PostgreSQL's programs.
        status: "running", or "stopped" where a refresh found it so.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    user: pulumi.Output[str]
    cluster: pulumi.Output[str]
    version: pulumi.Output[str]
    data_dir: pulumi.Output[str]
    bin_dir: pulumi.Output[str]
    status: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        password: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the server with what the stack's configuration says of it."""
        outputs = ("host", "port", "user", "cluster", "version", "bin_dir", "status")
        inputs: dict[str, Any] = dict.fromkeys(outputs)
        inputs |= {
            "owner": _owner(),
            "data_dir": str(_data_dir(settings)),
            "requested_bin_dir": settings.postgres_bin,
            "requested_port": settings.port,
            "password": password,
            "parameters": dict(settings.parameters),
            "retain": settings.retain,
            # A provider isn't told the URN, and says under it what it did.
            "urn": f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{_TYPE}::{name}",
        }
        super().__init__(EmbeddedProvider(), name, inputs, opts)


def _owner() -> str:
    return f"{pulumi.get_project()}/{pulumi.get_stack()}"


def _data_dir(settings: Settings) -> Path:
    return settings.data_dir or default_data_dir(_owner())


def default_data_dir(owner: str) -> Path:
    """Place the data directory of a stack that does not name one.

    Outside the checkout, since the account that runs the server must reach it and a checkout
    may be in root's home; apart for each checkout, since two of them may have a stack `dev`.
    """
    checkout = hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:8]
    name = f"{owner.replace('/', '-')}-{checkout}"
    if os.geteuid() == 0:
        return Path("/var/lib") / FOLDER / name
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / FOLDER / name


class EmbeddedProvider(Provider):
    """Brings a cluster of this machine to what the inputs say."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Look at the live server: one that is down is started, one that is gone is remade."""
        probe.prepare()
        olds = _LATER | olds
        if not known([news[key] for key in _INPUTS]):
            return dynamic.DiffResult(changes=True)
        if news["data_dir"] != olds["data_dir"] or news["owner"] != olds["owner"]:
            # The old one first: both may be meant for the same port.
            return dynamic.DiffResult(
                changes=True, replaces=["data_dir"], delete_before_replace=True
            )
        with Row(news["urn"]) as row:
            if _cluster(olds).identifier() != olds["cluster"]:
                row.say(f"the cluster in {olds['data_dir']} is gone: a new one replaces it")
                return dynamic.DiffResult(changes=True, replaces=["cluster"])
            same = all(news[key] == olds[key] for key in (*_INPUTS, "parameters", "retain"))
            for matter in _matters(olds, news):
                row.say(matter)
                same = False
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Make the cluster, or take over the one that this stack made before, and start it."""
        cluster = _cluster(props)
        with Row(props["urn"]) as row:
            service = Service(cluster=cluster, binaries=_binaries(cluster, props), say=row.say)
            if cluster.exists:
                outputs = _running(service, props, *service.bring(_wanted(props)))
                cluster.note(still_there(cluster.mark, login(outputs["port"], props["password"])))
                return dynamic.CreateResult(props["data_dir"], outputs)
            if props["requested_port"]:
                cluster.refuse_taken_port(int(props["requested_port"]))
            cluster.make(service.binaries, props["password"])
            try:
                outputs = _running(service, props, *service.make(_wanted(props)))
            except GroundworkError:
                with suppress(GroundworkError):  # the first failure is the one to tell
                    cluster.stop()
                    cluster.remove()
                raise
        return dynamic.CreateResult(props["data_dir"], outputs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Start the server again where it is down, move it, change password and settings."""
        cluster = _cluster(news)
        wanted = _wanted(news, port=int(news["requested_port"] or olds["port"]))
        with Row(news["urn"]) as row:
            service = Service(cluster=cluster, binaries=_binaries(cluster, news), say=row.say)
            if wanted.port != cluster.postmaster.port():
                cluster.refuse_taken_port(wanted.port)
            if news["requested_bin_dir"] != olds["requested_bin_dir"]:
                cluster.stop()
            found = service.bring(wanted, former=_wanted(_LATER | olds))
        return dynamic.UpdateResult(_running(service, news, *found))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Report whether the server runs, and what its settings say; one that is gone is gone."""
        cluster = _cluster(props)
        if cluster.identifier() != props["cluster"]:
            return dynamic.ReadResult("", {})
        props = _LATER | props
        status = "running" if _is_up(props) else "stopped"
        found = {**props, "parameters": _configuration(props).on_disk(cluster.data)}
        inputs = {key: found[key] for key in (*_INPUTS, *_LATER)}
        return dynamic.ReadResult(id_, {**found, "status": status}, inputs)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Stop the server and remove its data directory, unless that is to be kept.

        A newer cluster that is there instead is left alone.
        """
        cluster = _cluster(props)
        if cluster.identifier() != props["cluster"]:
            return
        cluster.stop()
        if not props.get("retain"):
            cluster.remove()
            return
        with Row(props.get("urn", "")) as row:
            row.say(f"the server is stopped; its data directory is kept: {cluster.data}")


def _cluster(props: dict[str, Any]) -> Cluster:
    data = Path(props["data_dir"])
    return Cluster(data=data, owner=props["owner"], account=server_account(data))


def _binaries(cluster: Cluster, props: dict[str, Any]) -> Binaries:
    return locate(configured=props["requested_bin_dir"], account=cluster.account)


def _wanted(props: dict[str, Any], *, port: int | None = None) -> Wanted:
    return Wanted(
        port=int(props["requested_port"]) if port is None else port,  # the engine's are floats
        password=props["password"],
        parameters=props["parameters"],
    )


def _configuration(props: dict[str, Any]) -> Configuration:
    return Configuration(port=int(props["port"]), parameters=props["parameters"])


def _is_up(props: dict[str, Any]) -> bool:
    """Tell whether the server of this very cluster listens where the state says."""
    port = int(props["port"])
    return _cluster(props).postmaster.port() == port and not ports.is_free(port)


def _matters(olds: dict[str, Any], news: dict[str, Any]) -> Iterator[str]:
    """Say what there is to do on the server beside what the inputs show.

    Raises:
        ClusterError: PostgreSQL would refuse the parameters: better said in a preview.
    """
    cluster, up = _cluster(olds), _is_up(olds)
    if not up:
        yield f"the server in {olds['data_dir']} is down: it will be started"
    changed = news["parameters"] != olds["parameters"]
    if not changed and not _configuration(olds).is_kept(cluster.data):
        yield f"the settings in {olds['data_dir']} were changed by hand: they will be put right"
        changed = True
    if changed:
        new = _configuration({**olds, "parameters": news["parameters"]})
        before = written(cluster.data)
        trial.refuse_unfit(_binaries(cluster, news), cluster.account, cluster.data, new, before)
        if up and (names := _restarting(olds, new.settings(), before)):
            yield f"the server will be restarted: it reads {', '.join(names)} at its start alone"


def _restarting(olds: dict[str, Any], new: dict[str, str], before: dict[str, str]) -> list[str]:
    """Name the settings that change and need a restart; none where the server can't be asked."""
    changed = {name for name in {*new, *before} if new.get(name) != before.get(name)}
    with suppress(ProbeError):
        return tuning.restarting(login(int(olds["port"]), olds["password"]), changed)
    return []


def _running(
    service: Service, props: dict[str, Any], port: int, identity: Identity
) -> dict[str, Any]:
    """Give the outputs of a server that runs."""
    return {
        **{key: props[key] for key in (*_INPUTS, *_LATER)},
        "host": HOST,
        "port": port,
        "user": SUPERUSER,
        "cluster": identity.cluster,
        "version": identity.version,
        "bin_dir": str(service.binaries.folder),
        "status": "running",
    }
