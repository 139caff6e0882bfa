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
from infra.servers import Endpoint, ports, probe
from infra.servers.account import server_account
from infra.servers.binaries import Binaries, locate
from infra.servers.cluster import FOLDER, SUPERUSER, Cluster
from infra.servers.errors import ClusterError
from infra.servers.ports import HOST

if TYPE_CHECKING:
    from infra.settings import Settings

__all__ = ["EmbeddedProvider", "EmbeddedServer", "provision"]

_INPUTS = ("owner", "data_dir", "requested_bin_dir", "requested_port", "password")
_READY_SECONDS = 30
# Two stacks that start at once may both find the same port free; the loser takes the next.
_PORT_TRIES = 5


def provision(settings: Settings) -> Endpoint:
    """Declare the embedded server and the password of its superuser."""
    admin = Password("server-admin")
    server = EmbeddedServer("server", settings=settings, password=admin.password)
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
        owned=not settings.retain,
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
        owner = f"{pulumi.get_project()}/{pulumi.get_stack()}"
        data = settings.data_dir or default_data_dir(owner)
        outputs = ("host", "port", "user", "cluster", "version", "bin_dir", "status")
        inputs: dict[str, Any] = dict.fromkeys(outputs)
        inputs |= {
            "owner": owner,
            "data_dir": str(data),
            "requested_bin_dir": settings.postgres_bin,
            "requested_port": settings.port,
            "password": password,
        }
        super().__init__(EmbeddedProvider(), name, inputs, opts)


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
        if not known([news[key] for key in _INPUTS]):
            return dynamic.DiffResult(changes=True)
        if news["data_dir"] != olds["data_dir"] or news["owner"] != olds["owner"]:
            # The old one first: both may be meant for the same port.
            return dynamic.DiffResult(
                changes=True, replaces=["data_dir"], delete_before_replace=True
            )
        if _cluster(olds).identifier() != olds["cluster"]:
            print(f"the cluster in {olds['data_dir']} is gone: a new one replaces it")  # noqa: T201 - the engine shows it
            return dynamic.DiffResult(changes=True, replaces=["cluster"])
        same = all(news[key] == olds[key] for key in _INPUTS)
        if same and not _is_up(olds):
            print(f"the server in {olds['data_dir']} is down: it will be started")  # noqa: T201 - as above
            same = False
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Make the cluster, or take over the one that this stack made before, and start it."""
        cluster = _cluster(props)
        if cluster.exists:
            return dynamic.CreateResult(props["data_dir"], _run(cluster, props))
        if props["requested_port"]:
            cluster.refuse_taken_port(int(props["requested_port"]))
        cluster.make(_binaries(cluster, props), props["password"])
        try:
            outputs = _run(cluster, props, password_is_set=True)
        except GroundworkError:
            with suppress(GroundworkError):  # the first failure is the one to tell
                cluster.stop()
                cluster.remove()
            raise
        return dynamic.CreateResult(props["data_dir"], outputs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Start the server again where it is down, move it to another port, set the password."""
        cluster = _cluster(news)
        port = int(news["requested_port"] or olds["port"])
        if port != olds["port"]:
            cluster.refuse_taken_port(port)
            cluster.stop()
        if news["requested_bin_dir"] != olds["requested_bin_dir"]:
            cluster.stop()
        outputs = _run(cluster, {**news, "requested_port": port})
        return dynamic.UpdateResult({**outputs, "requested_port": news["requested_port"]})

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Report whether the server runs; a cluster that is gone is gone from the state too."""
        if _cluster(props).identifier() != props["cluster"]:
            return dynamic.ReadResult("", {})
        status = "running" if _is_up(props) else "stopped"
        inputs = {key: props[key] for key in _INPUTS}
        return dynamic.ReadResult(id_, {**props, "status": status}, inputs)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Stop the server and remove its data directory; a newer cluster there is kept."""
        cluster = _cluster(props)
        if cluster.identifier() == props["cluster"]:
            cluster.stop()
            cluster.remove()


def _cluster(props: dict[str, Any]) -> Cluster:
    data = Path(props["data_dir"])
    return Cluster(data=data, owner=props["owner"], account=server_account(data))


def _binaries(cluster: Cluster, props: dict[str, Any]) -> Binaries:
    return locate(configured=props["requested_bin_dir"], account=cluster.account)


def _is_up(props: dict[str, Any]) -> bool:
    """Tell whether the server of this very cluster listens where the state says."""
    cluster = _cluster(props)
    port = int(props["port"])
    return cluster.running_port() == port and not ports.is_free(port)


def _ask(port: int, password: str) -> probe.Identity:
    return probe.wait(
        host=HOST, port=port, user=SUPERUSER, password=password, seconds=_READY_SECONDS
    )


def _run(
    cluster: Cluster, props: dict[str, Any], *, password_is_set: bool = False
) -> dict[str, Any]:
    """Have the server running on the wanted port under the wanted password; give the outputs."""
    requested = int(props["requested_port"])  # the engine's numbers are floats
    port = cluster.running_port()
    identity = None
    if port and port == (requested or port):
        # A refusal means another password: the one of a state that was lost.
        with suppress(probe.RefusedError):
            identity = _ask(port, props["password"])
    binaries = _binaries(cluster, props)
    if identity is None:
        cluster.stop()
        if not password_is_set:
            cluster.set_password(binaries, props["password"])
        port = _start(cluster, binaries, requested)
        identity = _ask(port, props["password"])
    return {
        **{key: props[key] for key in _INPUTS},
        "host": HOST,
        "port": port,
        "user": SUPERUSER,
        "cluster": identity.cluster,
        "version": identity.version,
        "bin_dir": str(binaries.folder),
        "status": "running",
    }


def _start(cluster: Cluster, binaries: Binaries, requested: int) -> int:
    if requested:
        cluster.start(binaries, requested)
        return requested
    for _ in range(_PORT_TRIES):
        port = ports.find_free()
        try:
            cluster.start(binaries, port)
        except ClusterError:
            if ports.is_free(port):
                raise
        else:
            return port
    msg = (
        f"Other programs took {_PORT_TRIES} free ports in turn before the server in "
        f"{cluster.data} could; name one with groundwork:port."
    )
    raise ClusterError(msg)
