"""PostgreSQL 17 on this machine, as a resource of the graph: no Docker, loopback only."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.errors import GroundworkError
from infra.password import Password
from infra.row import Row
from infra.servers import Endpoint, ports, probe
from infra.servers.errors import ClusterError
from infra.servers.local import moving, trial, tuning
from infra.servers.local.account import server_account
from infra.servers.local.binaries import Binaries, locate, refuse_missing
from infra.servers.local.cluster import FOLDER, SUPERUSER, Cluster
from infra.servers.local.configuration import Configuration, written
from infra.servers.local.contents import Contents, lost
from infra.servers.local.mark import Mark, still_there
from infra.servers.local.service import Service, Wanted, login
from infra.servers.ports import HOST
from infra.servers.probe import ProbeError
from infra.servers.stack_state import StackState
from infra.settings.key import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.servers.probe import Identity
    from infra.settings import Settings

__all__ = ["EmbeddedProvider", "EmbeddedServer", "provision"]

_TYPE = "pulumi-python:dynamic/groundwork:EmbeddedServer"
# Given by the program, and kept in the state; one of an earlier version lacks those with a default.
_INPUTS = ("owner", "data_dir", "requested_bin_dir", "requested_port", "password")
_LATER: dict[str, Any] = {
    "parameters": {},
    "retain": False,
    "urn": "",
    "requested_data_dir": "",
    "claim": "",
}
# Of a server that stays, given back as inputs: so they are known in a preview of an update.
_CLAIM_BYTES = 8
_LASTING = ("host", "port", "user", "cluster", "version", "bin_dir")


def provision(settings: Settings) -> Endpoint:
    """Declare the embedded server and the password of its superuser.

    Raises:
        GroundworkError: The stack's state can't be read, or there is no place for a new server.
    """
    state = StackState.read()
    recorded = state.outputs(_TYPE, "server")
    data = moving.locate(settings, recorded, owner=_owner(), usual=default_data_dir)
    _refuse_missing_extensions(settings, data)
    admin = Password("server-admin", version=settings.admin_password_version)
    server = EmbeddedServer(
        "server",
        settings=settings,
        data=data,
        recorded=recorded,
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
        found=lost(data, (_owner(), str(recorded.get("owner", ""))), settings, state),
        data_dir=server.data_dir,
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
        data: Path,
        recorded: Mapping[str, Any],
        password: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the server.

        Args:
            name: Of the resource.
            settings: Of the stack.
            data: The data directory.
            recorded: Outputs of the server that the stack's state has; empty without one.
            password: Of the superuser.
            opts: The engine's.
        """
        inputs: dict[str, Any] = {key: recorded.get(key) for key in _LASTING}
        inputs |= {
            "status": None,
            "claim": recorded.get("claim"),
            "owner": _owner(),
            "data_dir": str(data),
            "requested_data_dir": settings.data_dir_as_set,
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


def _refuse_missing_extensions(settings: Settings, data: Path) -> None:
    """Refuse extensions that the programs lack; all that are taken have `vector`.

    Raises:
        BinariesError: With their names.
    """
    others = [each.name for each in settings.extensions if each.name != "vector"]
    if others:
        programs = locate(configured=settings.postgres_bin, account=server_account(data))
        refuse_missing(programs, others)


def default_data_dir(owner: str) -> Path:
    """Place the data directory of a stack that does not name one.

    Outside the checkout, since the account that runs the server must reach it and a checkout
    may be in root's home; apart for each checkout, since two of them may have a stack `dev`.

    Raises:
        ClusterError: There is no home folder to place it in.
    """
    checkout = hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:8]
    name = f"{owner.replace('/', '-')}-{checkout}"
    if os.geteuid() == 0:
        return Path("/var/lib") / FOLDER / name
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if state.is_absolute():  # the specification says that a relative one is to be ignored
        return state / FOLDER / name
    try:
        return Path.home() / ".local" / "state" / FOLDER / name
    except RuntimeError as exc:
        msg = (
            "This user has no home folder, in which the data directory would be. Nothing was"
            f" changed. Set {spelled('dataDir')} to a folder that can be written."
        )
        raise ClusterError(msg) from exc


class EmbeddedProvider(Provider):
    """Brings a cluster of this machine to what the inputs say."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Keep of what the state says of the server what will be so after an update, too.

        Raises:
            ClusterError: The engine is to replace a server that is there.
        """
        unsure: tuple[str, ...] = ()
        if not olds and news.get("cluster") is None:
            _tell_of_takeover(news)
        elif not olds and not _is_gone(
            news
        ):  # of a resource in the state, it gives none to replace
            _refuse_replacement(_cluster({**news, "owner": Mark.read(_place(news)).owner}), news)
        if news.get("cluster") is None or _is_gone(news):
            unsure = _LASTING
        elif olds and olds.get("requested_bin_dir") != news["requested_bin_dir"]:
            unsure = ("version", "bin_dir")
        news = {key: value for key, value in news.items() if key not in unsure}
        port = news["requested_port"] or news.get("port")
        if port:
            news["port"] = int(port)
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Look at the live server: one that is down is started, one that is gone is remade.

        Raises:
            ClusterError: The data directory is to be another one, and the server is not in it.
        """
        probe.prepare()
        olds, news = _LATER | olds, _LATER | news
        if not known([news[key] for key in _INPUTS]):
            return dynamic.DiffResult(changes=True)
        here = olds | {"data_dir": news["data_dir"]}
        with Row(news["urn"]) as row:
            if news["data_dir"] != olds["data_dir"]:
                former = _cluster(olds, also=news)
                place = replace(former, data=Path(news["data_dir"]))
                moving.refuse_unless_moved(former, place, identifier=olds["cluster"])
                row.say(f"the data directory was moved from {olds['data_dir']}")
            cluster = _cluster(here, also=news)
            if cluster.identifier() != olds["cluster"]:
                row.say(
                    f"the cluster in {cluster.data} is gone: a new one replaces it (where it was"
                    f" moved, say where it is now with {spelled('dataDir')})"
                )
                return dynamic.DiffResult(changes=True, replaces=["cluster"])
            same = all(news[key] == olds[key] for key in (*_INPUTS, "parameters", "retain"))
            for matter in _matters(here, news):
                row.say(matter)
                same = False
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Make the cluster, or take over the one that this stack made before, and start it.

        Raises:
            ClusterError: It is the one that the state has: it can't be replaced by another.
        """
        cluster, claim = _cluster({**props, "claim": ""}), secrets.token_hex(_CLAIM_BYTES)
        with Row(props["urn"]) as row:
            service = Service(cluster=cluster, binaries=_binaries(cluster, props), say=row.say)
            if cluster.exists:
                _refuse_replacement(cluster, props)
                found = service.bring(_wanted(props))
                mark = still_there(cluster.mark, login(found[0], props["password"]))
                cluster.note(replace(mark, claim=claim))
                return dynamic.CreateResult(
                    props["data_dir"], _running(service, props, *found, claim)
                )
            if props["requested_port"]:
                cluster.refuse_taken_port(int(props["requested_port"]))
            cluster.make(service.binaries, props["password"])
            try:
                found = service.make(_wanted(props))
                cluster.note(Mark(owner=props["owner"], claim=claim))
            except GroundworkError:
                with suppress(GroundworkError):  # the first failure is the one to tell
                    cluster.stop()
                    cluster.remove()
                raise
        return dynamic.CreateResult(props["data_dir"], _running(service, props, *found, claim))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Start the server again where it is down, move it, change password and settings."""
        olds, news = _LATER | olds, _LATER | news
        claim = olds["claim"] or secrets.token_hex(_CLAIM_BYTES)
        cluster = _cluster(olds | {"data_dir": news["data_dir"]}, also=news)
        wanted = _wanted(news, port=int(news["requested_port"] or olds["port"]))
        with Row(news["urn"]) as row:
            service = Service(cluster=cluster, binaries=_binaries(cluster, news), say=row.say)
            if not cluster.exists:
                msg = f"The cluster in {cluster.data} has just gone. Run the same command again."
                raise ClusterError(msg)
            if wanted.port != cluster.postmaster.port():
                cluster.refuse_taken_port(wanted.port)
            if news["requested_bin_dir"] != olds["requested_bin_dir"]:
                cluster.stop()
            found = service.bring(wanted, former=_wanted(olds))
            mark = cluster.mark
            if (mark.owner, mark.claim) != (news["owner"], claim):
                cluster.note(replace(mark, owner=news["owner"], claim=claim))
        return dynamic.UpdateResult(_running(service, news, *found, claim))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Report whether the server runs, and what its settings say; one that is gone is gone."""
        cluster = _cluster(props)
        if cluster.identifier() != props["cluster"]:
            return dynamic.ReadResult("", {})
        props = _LATER | props
        status = "running" if _is_up(props) else "stopped"
        found = {**props, "parameters": _configuration(props).on_disk(cluster.data)}
        inputs = {key: found[key] for key in (*_INPUTS, *_LATER, *_LASTING)}
        return dynamic.ReadResult(id_, {**found, "status": status}, inputs)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Stop the server and remove its data directory, unless that is to be kept.

        A newer cluster that is there instead is left alone, and so is one that another resource
        has taken over.
        """
        mark = Mark.read(Path(props["data_dir"]))
        there = _cluster({**props, "owner": mark.owner, "claim": mark.claim})
        if there.identifier() != props["cluster"]:
            return  # also where it is the one that replaces this one, and has another claim
        cluster = _cluster(props)
        if not cluster.exists:
            return
        if cluster.mark.claim and cluster.mark.claim != props.get("claim"):
            return
        cluster.stop()
        if not props.get("retain"):
            cluster.remove()
            return
        with Row(props.get("urn", "")) as row:
            row.say(f"the server is stopped; its data directory is kept: {cluster.data}")


def _cluster(props: dict[str, Any], *, also: dict[str, Any] | None = None) -> Cluster:
    """Give the cluster of a state; its mark may bear the name that the stack has by now."""
    data = Path(props["data_dir"])
    return Cluster(
        data=data,
        owner=props["owner"],
        account=server_account(data),
        claim=props.get("claim") or "",
        former_owner=also["owner"] if also else "",
    )


def _is_gone(news: dict[str, Any]) -> bool:
    """Tell whether there will be another cluster than the one that the state has."""
    if not known(news["data_dir"]):
        return True
    with suppress(GroundworkError):
        # The state's own word on whose it is: a replacement of a foreign one is refused later.
        mark = Mark.read(Path(news["data_dir"]))
        cluster = _cluster({**news, "owner": mark.owner})
        return cluster.identifier() != str(news["cluster"])
    return False


def _tell_of_takeover(news: dict[str, Any]) -> None:
    """Say that a new server will be one that is there, as of a stack that has lost its state."""
    if not known(news["data_dir"]) or _cluster({**news, "claim": ""}).peek() is None:
        return
    with Row(news["urn"]) as row:
        row.say(
            f"the cluster in {news['data_dir']} is of a stack of this name: it is taken over with"
            " all that is in it, and its superuser and roles get new passwords"
        )


def _place(props: dict[str, Any]) -> Path:
    return Path(props["data_dir"])


def _refuse_replacement(cluster: Cluster, props: dict[str, Any]) -> None:
    """Raise where the engine replaces a server that is there, which would end all that is in it."""
    if props.get("cluster") != cluster.identifier():
        return
    msg = (
        f"The server in {cluster.data} is there, and a replacement of it would have to lose what is"
        " in it. Nothing was changed. Run the command without --replace; where the resource is"
        f" tainted, first: pulumi state untaint '{props['urn']}'. For a server that is empty,"
        " destroy the stack and bring it up again."
    )
    raise ClusterError(msg)


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
    service: Service, props: dict[str, Any], port: int, identity: Identity, claim: str
) -> dict[str, Any]:
    """Give the outputs of a server that runs."""
    return {
        **{key: (_LATER | props)[key] for key in (*_INPUTS, *_LATER)},
        "claim": claim,
        "host": HOST,
        "port": port,
        "user": SUPERUSER,
        "cluster": identity.cluster,
        "version": identity.version,
        "bin_dir": str(service.binaries.folder),
        "status": "running",
    }
