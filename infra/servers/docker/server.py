"""The server in a container, as a resource: it answers, under the wanted password."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.servers import ports, probe, rotation
from infra.servers.docker import engine
from infra.servers.docker.engine import DockerError
from infra.servers.ports import HOST
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.session import Login
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.servers.docker.labels import Stack
    from infra.servers.probe import Identity
    from infra.settings import Settings

__all__ = ["SERVER", "SUPERUSER", "ContainerServer", "ContainerServerProvider", "transport"]

SERVER = "pulumi-python:dynamic/groundwork:ContainerServer"
SUPERUSER = "postgres"

_INPUTS = (
    "owner",
    "docker_host",
    "port",
    "password",
    "container",
    "container_name",
    "volume",
    "sslmode",
    "sslrootcert",
    "wait_seconds",
)
# Of a server that stays, given back as inputs: so they are known in a preview of an update.
_LASTING = ("cluster", "version")
_LOOK_SECONDS = 5.0
_CONTAINER = "docker:index/container:Container::server-container"


class ContainerServer(dynamic.Resource, module="groundwork", name="ContainerServer"):
    """What the rest of the graph waits for: the server in the container.

    Attributes:
        host: Always 127.0.0.1.
        port: The port there.
        user: The superuser, `postgres`.
        cluster: System identifier of the cluster.
        version: The server's version.
        container_name: For `docker logs` and the like.
        status: "running", or "stopped" where a refresh found it so.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    user: pulumi.Output[str]
    cluster: pulumi.Output[str]
    version: pulumi.Output[str]
    container_name: pulumi.Output[str]
    status: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        stack: Stack,
        found: dict[str, pulumi.Input[Any]],
        recorded: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the server.

        Args:
            name: Of the resource.
            settings: Of the stack.
            stack: Whose server it is.
            found: `port`, `password` (secret), `container` (id), `container_name`, `volume`.
            recorded: Outputs of the server that the stack's state has; empty without one.
            opts: The engine's.
        """
        mode, authority = transport(settings)
        inputs: dict[str, Any] = {
            **{key: recorded.get(key) for key in _LASTING},
            "host": HOST,
            "user": SUPERUSER,
            "status": None,
            # A provider isn't told the URN.
            "urn": f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{SERVER}::{name}",
            "owner": stack.owner,
            "docker_host": stack.docker_host,
            "sslmode": mode,
            "sslrootcert": authority,
            "wait_seconds": settings.wait_seconds,
            **found,
        }
        super().__init__(ContainerServerProvider(), name, inputs, opts)


def transport(settings: Settings) -> tuple[str, str]:
    """Give sslmode and sslrootcert of every URL, the file relative to the project."""
    if settings.tls is None:
        return "disable", ""
    mode = settings.sslmode or "verify-full"
    # libpq would check with the file in mode "require" too.
    return mode, os.path.relpath(settings.tls.ca) if mode.startswith("verify") else ""


class ContainerServerProvider(Provider):
    """Waits for the server, tells who it is, and gives its superuser the wanted password."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Keep of what the state says of the server what will be so after an update, too."""
        unsure: tuple[str, ...] = ()
        if not olds or news.get("cluster") is None or _is_lost(olds, news):
            unsure = _LASTING
        elif not known(news["container"]):
            unsure = ("version",)  # perhaps of another image
        return dynamic.CheckResult(
            {key: value for key, value in news.items() if key not in unsure}, []
        )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Look at the live server; another cluster than the known one is another server."""
        probe.prepare()
        if _is_lost(olds, news):
            text = f"the volume {olds['volume']} goes or is gone: so does the cluster in it"
            print(visible(text))  # noqa: T201 - the engine shows it
            return dynamic.DiffResult(changes=True, replaces=["cluster"])
        if not known([news[key] for key in _INPUTS]):
            return dynamic.DiffResult(changes=True)
        same = all(news[key] == olds[key] for key in _INPUTS)
        if same and ports.is_free(int(news["port"])):
            _refuse_gone(news)
            print(visible(f"the container {news['container_name']} is down: it will be started"))  # noqa: T201 - as above
            return dynamic.DiffResult(changes=True)
        if news["container"] != olds["container"] and _is_another(olds, news):
            print(visible(f"another cluster is in the volume {news['volume']} now"))  # noqa: T201 - as above
            return dynamic.DiffResult(changes=True, replaces=["cluster"])
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Wait for the server: a new one, or one that took the password as it started."""
        outputs = _outputs(props, _wait(props))
        return dynamic.CreateResult(f"{props['owner']}-{outputs['cluster']}", outputs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Start the container where it is down, wait for it, change the password."""
        if ports.is_free(int(news["port"])):
            _start(news)
        identity = _wait(news, former=olds["password"])
        if identity.cluster != olds["cluster"]:
            msg = (
                f"Another cluster came into the volume {news['volume']} while the program ran;"
                " nothing was changed in it. Run `pulumi up` again."
            )
            raise DockerError(msg)
        return dynamic.UpdateResult(_outputs(news, identity))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Report whether the server listens."""
        status = "stopped" if ports.is_free(int(props["port"])) else "running"
        inputs = {key: props[key] for key in _INPUTS}
        return dynamic.ReadResult(id_, {**props, "status": status}, inputs)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Do nothing: the container and the volume are resources of their own."""


def _outputs(props: dict[str, Any], identity: Identity) -> dict[str, Any]:
    return {
        **{key: props[key] for key in _INPUTS},
        "host": HOST,
        "user": SUPERUSER,
        "cluster": identity.cluster,
        "version": identity.version,
        "status": "running",
    }


def _is_lost(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    """Tell whether there will be a new volume, in a preview where nobody can be asked."""
    volume = news["volume"]
    if not known(volume):
        return True  # one is to be made; a volume that stays has its name
    if volume != olds["volume"]:
        return not known(news["container"])  # in an `up` the server itself is asked
    host = engine.connect(olds["docker_host"])
    with suppress(DockerError):
        return host is not None and host.volume(volume) is None
    return False


def _is_another(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    """Ask a new container whose cluster it runs."""
    with suppress(ProbeError):
        return _wait(news, former=olds["password"]).cluster != str(olds["cluster"])
    return False  # `update` finds out, or says why it can't


def _login(props: dict[str, Any]) -> Login:
    return Login(
        host=HOST,
        port=int(props["port"]),  # the engine's numbers are floats
        user=SUPERUSER,
        password=props["password"],
        tls=_tls(props),
        seconds=_LOOK_SECONDS,
    )


def _tls(props: dict[str, Any]) -> ssl.SSLContext | bool:
    if props["sslmode"] == "disable":
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = props["sslmode"] == "verify-full"
    if props["sslrootcert"]:
        context.load_verify_locations(cafile=props["sslrootcert"])
    else:
        context.verify_mode = ssl.CERT_NONE
    return context


def _wait(props: dict[str, Any], *, former: str = "") -> Identity:
    """Wait for the server and give it the wanted password, if it has the former one.

    Raises:
        ProbeError: It doesn't answer in time, or takes no password that is known.
    """
    login = _login(props)

    def ask() -> Identity:
        return probe.wait(
            host=login.host,
            port=login.port,
            user=login.user,
            password=login.password,
            seconds=props["wait_seconds"],
            tls=login.tls,
        )

    place = f"docker logs {props['container_name']}"
    try:
        return ask()
    except RefusedError as exc:
        if not former or former == login.password:
            raise _locked_out(exc, place) from exc
        try:
            rotation.change_password(login, former=former)
        except RefusedError as refused:
            raise _locked_out(refused, place) from refused
        return ask()
    except ProbeError as exc:
        msg = f"{exc} The rows are untouched. See why with: {place}"
        raise ProbeError(msg) from exc


def _locked_out(exc: RefusedError, place: str) -> RefusedError:
    return RefusedError(
        f"{exc} Nothing was changed. Somebody else changed the password; restart the container,"
        f" which gives it the one of this stack, and run `pulumi up` again ({place} has the"
        " server's own words)."
    )


def _refuse_gone(props: dict[str, Any]) -> engine.Docker | None:
    """See that the container is there still, running or not; give the way to Docker.

    Raises:
        DockerError: It is gone: only the engine can make it anew, once it knows.
    """
    host = engine.connect(props["docker_host"])
    if host is None or host.container(props["container"]) is not None:
        return host
    stack = props["urn"].removesuffix(f"{SERVER}::server")
    urn = f"{stack}{_CONTAINER}"
    msg = (
        f"The container {props['container_name']} is gone; the rows are in the volume"
        f" {props['volume']}. Let the stack know of it, and have it made anew:"
        f" pulumi refresh --target {urn}; pulumi up"
    )
    raise DockerError(msg)


def _start(props: dict[str, Any]) -> None:
    """Start a container that is down.

    Raises:
        DockerError: It is gone; or something has taken its port.
    """
    host = _refuse_gone(props)
    if host is not None:
        host.start(props["container"])
