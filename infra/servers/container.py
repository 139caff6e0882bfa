"""PostgreSQL 17 in a container of this machine's Docker, over the provider `docker`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi
import pulumi_docker as docker

from infra.errors import GroundworkError
from infra.password import Password
from infra.project import spelled
from infra.servers import Endpoint
from infra.servers.docker import amounts, engine, inside, labels
from infra.servers.docker.host import HOST_TYPE, ContainerHost
from infra.servers.docker.labels import Stack
from infra.servers.docker.server import SERVER, SUPERUSER, ContainerServer, transport
from infra.servers.docker.trial import DATA, ContainerTrial
from infra.servers.ports import HOST
from infra.servers.stack_state import StackState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from infra.settings import Settings

__all__ = ["CAPABILITIES", "ENVIRONMENT", "START", "TMPFS", "provision"]

START = (Path(__file__).parent / "docker" / "start.sh").read_text(encoding="utf-8")
_VOLUME = "docker:index/volume:Volume"
_PORT = 5432
# Where uploads go, and where the server reads them, in memory and as its own.
_FILES = "/groundwork"
_RUN = "/run/groundwork"
# PostgreSQL answers SIGINT with a fast shutdown: sessions are ended, the rows written.
_STOP_SIGNAL = "SIGINT"
_STOP_SECONDS = 60
_INITDB = (
    # Who is `postgres` inside the container may come in by the socket; everybody else by TCP.
    "--auth-local=peer --auth-host=scram-sha-256 --data-checksums --encoding=UTF8"
    # The built-in provider sorts alike on every machine and after every upgrade of libc.
    " --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C"
)
# What the image's entrypoint needs as root: it owns the data directory over to `postgres`, and
# becomes that user. Spelled as Docker itself does, so that a refresh sees no difference.
CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID")
TMPFS = {
    "/tmp": "mode=1777",  # noqa: S108 - the container's own, in memory
    "/var/run/postgresql": "mode=1777",
    _RUN: "mode=0755",
}
ENVIRONMENT = (
    f"PGDATA={DATA}",
    f"POSTGRES_USER={SUPERUSER}",
    f"POSTGRES_PASSWORD_FILE={_RUN}/password",
    "POSTGRES_HOST_AUTH_METHOD=scram-sha-256",
    f"POSTGRES_INITDB_ARGS={_INITDB}",
)


def provision(settings: Settings) -> Endpoint:
    """Declare the container, what it needs, and the server in it.

    Raises:
        GroundworkError: Settings that no container can have.
    """
    _refuse_unfit(settings)
    state = StackState.read()
    made_as = state.outputs(HOST_TYPE, "server-host").get("owner")
    stack = Stack(
        owner=made_as or f"{pulumi.get_project()}/{pulumi.get_stack()}",
        docker_host=pulumi.Config("docker").get("host") or "",
    )
    found = inside.found(settings, stack)
    admin = Password("server-admin", version=settings.admin_password_version)
    server = _Parts(settings, stack).server(admin, state.outputs(SERVER, "server"))
    mode, authority = transport(settings)
    return Endpoint(
        host=server.host,
        port=server.port,
        addresses=pulumi.Output.format("{0}:{1}", server.host, server.port),
        user=server.user,
        password=admin.password,
        sslmode=mode,
        sslrootcert=authority,
        superuser=True,
        cluster=server.cluster,
        version=server.version,
        server=server,
        programs=pulumi.Output.from_input(""),
        owned=not settings.retain,
        found=found,
    )


def _refuse_unfit(settings: Settings) -> None:
    maintenance = amounts.of(settings.parameters, "maintenance_work_mem")
    if settings.shm_size and settings.shm_size <= maintenance:
        raise GroundworkError(
            f"{spelled('shmSize')} is {settings.shm_size} MiB, and maintenance_work_mem"
            f" {maintenance} MiB: a parallel build of an index would run out of it. Nothing was"
            " changed. Raise it, or remove it to have it derived."
        )
    if settings.tls is None and settings.sslmode not in ("", "disable"):
        raise GroundworkError(
            f"{spelled('sslmode')} is {settings.sslmode}, and the server has no certificate."
            f" Nothing was changed. Set {spelled('tlsCertificate')}, tlsKey and tlsCa."
        )
    if settings.tls and settings.sslmode == "disable":
        raise GroundworkError(
            f"{spelled('sslmode')} is disable, and a server with a certificate takes no"
            " connection without TLS. Nothing was changed. Remove it, or the three keys of TLS."
        )


class _Parts:
    """The resources around one container."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        """Declare what comes before the container."""
        self._settings = settings
        self._stack = stack
        self._labels = labels.of(stack.owner)
        self._host = ContainerHost("server-host", settings=settings, stack=stack)
        self._opts = pulumi.ResourceOptions(depends_on=[self._host])
        self._network = docker.Network(
            "server-network",
            labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in self._labels.items()],
            opts=self._opts,
        )
        self._image = docker.RemoteImage(
            "server-image", name=settings.image, keep_locally=True, opts=self._opts
        )
        self._data = self._volume("server-volume", settings.volume, opts=self._of_the_data())
        self._files = self._volume("server-files-volume", "", opts=pulumi.ResourceOptions())
        self._trial = ContainerTrial(
            "server-trial",
            settings=settings,
            stack=stack,
            image_id=self._image.image_id,
            volume=self._data.name,
        )

    def _volume(self, name: str, called: str, *, opts: pulumi.ResourceOptions) -> docker.Volume:
        return docker.Volume(
            name,
            name=called or None,
            labels=[docker.VolumeLabelArgs(label=k, value=v) for k, v in self._labels.items()],
            opts=pulumi.ResourceOptions.merge(self._opts, opts),
        )

    def _of_the_data(self) -> pulumi.ResourceOptions:
        """Keep the volume where the stack says so, or where somebody else made it."""
        refusing = pulumi.ResourceHook(
            "keep-volume", self._refuse_replacement, pulumi.ResourceHookOptions(on_dry_run=True)
        )
        return pulumi.ResourceOptions(
            protect=self._settings.protect or None,
            retain_on_delete=self._settings.retain or self._is_foreign() or None,
            hooks=pulumi.ResourceHookBinding(before_create=[refusing]),
        )

    def _refuse_replacement(self, args: pulumi.ResourceHookArgs) -> None:
        """Raise where the engine would make another volume beside the one with the data.

        Only `--replace` or a taint asks for that: the container would get the new one, empty, and
        the former one would go.
        """
        name = str(StackState.read().outputs(_VOLUME, "server-volume").get("name") or "")
        host = engine.connect(self._stack.docker_host)
        if self._settings.volume not in ("", name) or host is None:
            return
        if name and host.volume(name) is not None:
            raise GroundworkError(
                f"The volume {name} is there, and a replacement of it would lose what is in it."
                " Nothing was changed. Run the command without --replace; where the resource is"
                f" tainted, first: pulumi state untaint '{args.urn}'. For an empty volume, set"
                f" {spelled('volume')} to another name."
            )

    def _is_foreign(self) -> bool:
        host = engine.connect(self._stack.docker_host)
        name = self._settings.volume
        there = host.volume(name) if host is not None and name else None
        return there is not None and not labels.belongs(there, self._stack.owner)

    def server(self, admin: Password, recorded: Mapping[str, Any]) -> ContainerServer:
        """Declare the container with the files of the server, and the server itself.

        Args:
            admin: Password of the superuser.
            recorded: Outputs of the server that the stack's state has; empty without one.
        """
        files = self._filled(admin)
        container = self._container(files)
        return ContainerServer(
            "server",
            settings=self._settings,
            stack=self._stack,
            recorded=recorded,
            found={
                "port": self._host.port,
                "password": admin.password,
                "container": container.id,
                "container_name": container.name,
                "volume": self._data.name,
            },
            # A destroy begins here: what is protected has to be met before the container goes.
            opts=pulumi.ResourceOptions(
                depends_on=[container, files], protect=self._settings.protect or None
            ),
        )

    def _filled(self, admin: Password) -> docker.Container:
        """Put files into their volume by a container that never runs.

        Docker copies nothing into a container whose root is read-only. And another password is
        only to be written, not to replace the container with the server.
        """
        uploads = [_upload("password", admin.verifier)]
        tls = self._settings.tls
        if tls:
            uploads += [
                _upload("tls.crt", tls.certificate.read_text(encoding="utf-8")),
                _upload("tls.key", pulumi.Output.secret(tls.key.read_text(encoding="utf-8"))),
            ]
        return docker.Container(
            "server-files",
            image=self._image.image_id,
            volumes=[self._mounted(self._files, _FILES)],
            tmpfs={DATA: ""},  # else the image would have a volume made here, which nobody names
            uploads=uploads,
            start=False,
            must_run=False,
            labels=self._container_labels(),
            opts=pulumi.ResourceOptions(delete_before_replace=True, depends_on=[self._trial]),
        )

    def _container(self, files: docker.Container) -> docker.Container:
        settings = self._settings
        return docker.Container(
            "server-container",
            image=self._image.image_id,
            entrypoints=["sh", "-c", START, "groundwork"],
            command=["postgres", *self._flags()],
            envs=[*ENVIRONMENT, f"GROUNDWORK_TRANSPORT={'hostssl' if settings.tls else 'host'}"],
            user="0",  # root; the entrypoint becomes `postgres` by itself
            volumes=[
                self._mounted(self._data, DATA),
                self._mounted(self._files, _FILES, read_only=True),
            ],
            tmpfs=TMPFS,
            read_only=True,
            capabilities=docker.ContainerCapabilitiesArgs(adds=CAPABILITIES, drops=["ALL"]),
            security_opts=["no-new-privileges"],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=self._network.name, aliases=["postgres"])
            ],
            ports=[
                docker.ContainerPortArgs(internal=_PORT, external=self._host.port, ip=HOST),
            ],
            healthcheck=_healthcheck(),
            wait=True,
            wait_timeout=settings.wait_seconds,
            # Up again after a crash or a reboot; down as long as somebody has stopped it.
            restart="unless-stopped",
            stop_signal=_STOP_SIGNAL,
            stop_timeout=_STOP_SECONDS,
            destroy_grace_seconds=_STOP_SECONDS,
            memory=settings.memory or None,
            memory_swap=settings.memory or None,  # no swap: a server that swaps is as good as down
            cpus=settings.cpus or None,
            shm_size=amounts.shared(settings.parameters, chosen=settings.shm_size),
            labels=self._container_labels(**self._causes()),
            opts=pulumi.ResourceOptions(
                # The port and the volume are for one at a time.
                delete_before_replace=True,
                depends_on=[files, self._trial],
            ),
        )

    def _mounted(
        self, volume: docker.Volume, place: str, *, read_only: bool | None = None
    ) -> docker.ContainerVolumeArgs:
        return docker.ContainerVolumeArgs(
            volume_name=volume.name, container_path=place, read_only=read_only
        )

    def _flags(self) -> list[str]:
        tls = {
            "ssl": "on",
            "ssl_cert_file": f"{_RUN}/tls.crt",
            "ssl_key_file": f"{_RUN}/tls.key",
        }
        chosen = {
            **self._settings.parameters,
            "hba_file": f"{_RUN}/pg_hba.conf",
            "listen_addresses": "*",  # of the container; the machine lets in by loopback alone
            "password_encryption": "scram-sha-256",
            # A backend whose client was killed ends within this time and frees its locks.
            "client_connection_check_interval": "5s",
            **(tls if self._settings.tls else {}),
        }
        return [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]

    def _container_labels(self, **more: str) -> list[docker.ContainerLabelArgs]:
        more = {f"groundwork.{name}": value for name, value in more.items() if value}
        found = self._labels | more
        return [docker.ContainerLabelArgs(label=k, value=v) for k, v in found.items()]

    def _causes(self) -> dict[str, str]:
        """Give what makes another container where it changes, though Docker doesn't ask for it."""
        tls = self._settings.tls
        limits = {"memory": self._settings.memory, "cpus": self._settings.cpus}
        return {
            # The server reads its certificate as it starts.
            "certificate": hashlib.sha256(tls.certificate.read_bytes()).hexdigest() if tls else "",
            # Docker changes a limit of a container, but takes none away.
            "limits": " ".join(name for name, limit in limits.items() if limit),
        }


def _upload(name: str, content: pulumi.Input[str]) -> docker.ContainerUploadArgs:
    return docker.ContainerUploadArgs(file=f"{_FILES}/{name}", content=content, permissions="0600")


def _healthcheck() -> docker.ContainerHealthcheckArgs:
    """Check over TCP: the first boot runs a server on the socket alone."""
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", f"--username={SUPERUSER}"],
        interval="2s",
        timeout="5s",
        retries=5,
        start_period="1m0s",  # as Docker writes 60 s
    )
