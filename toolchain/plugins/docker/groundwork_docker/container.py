"""Containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.differences import same
from groundwork_plugin.errors import OperationFailedError, PluginError
from groundwork_plugin.properties import Failure, Property, text
from groundwork_plugin.resource import Found, Resource

from . import container_answer, container_request, uploads
from .container_life import attached, dead_on_arrival, ended, healthy, removed, written
from .container_properties import LIMITS, PROPERTIES, STUCK
from .daemon import Daemon, found, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Values

    from .client import Client

__all__ = ["Container"]

_NO_LIMIT = ("memory", "cpus", "cpuShares", "cpuSet")
"""Limits that Docker can change, but not take away."""


_TAKEN = "free that port, or choose another external one; "
_HINTS = {"address already in use": _TAKEN, "port is already allocated": _TAKEN}
"""What to do, by what Docker says."""


class Container(Resource[Daemon]):
    """`docker.Container`.

    A container that cannot be started is removed again, so nothing is left of it. One that starts
    and does not get healthy in time stays, so that its log can be looked at: the engine keeps it,
    tells why, and the next update takes it as it then is.
    """

    token: ClassVar[str] = "docker:index/container:Container"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "container"
    autonamed: ClassVar[bool] = True
    delete_before_replace: ClassVar[bool] = True
    properties: ClassVar[tuple[Property, ...]] = PROPERTIES

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        for name in ("name", "image"):
            if inputs.get(name) == "":
                yield Failure(name, "it is empty")
        command = inputs.get("command")
        if isinstance(command, list) and "" in command:
            yield Failure("command", "a part of it is empty")
        for name, value in (("start", False), ("attach", True)):
            if inputs.get(name) is value and inputs.get("mustRun") is True:
                yield Failure(
                    name,
                    "such a container does not run in the end: set `must_run` to false; the "
                    "genuine plugin would remove it",
                )
        for index, volume in enumerate(container_request.members(inputs, "volumes")):
            if bool(volume.get("containerPath")) == bool(volume.get("fromContainer")):
                yield Failure(
                    f"volumes[{index}]", "it needs either `container_path` or `from_container`"
                )
        yield from uploads.failures(inputs)

    async def make(self, backend: Daemon, wanted: Values) -> str:
        """See `Resource.make`."""

        def work(client: Client) -> str:
            _check_engine(client, wanted)
            body = container_request.creation(wanted)
            archives = [
                uploads.archive(upload) for upload in container_request.members(wanted, "uploads")
            ]
            identity = str(client.create_container_from_config(body, text(wanted, "name"))["Id"])
            try:
                _begin(client, identity, wanted, archives)
            except BaseException as error:
                removed(client, identity, volumes=True)
                raise _undone(error) from error
            if wanted.get("start") and wanted.get("wait"):
                healthy(client, identity, wanted)
            return identity

        return await backend.run(work)

    async def find(self, backend: Daemon, identity: str, known: Values) -> Found | None:
        """See `Resource.find`."""

        def work(client: Client) -> Found | None:
            seen = found(lambda: client.inspect_container(identity))
            if seen is None:
                return None
            values = container_answer.outputs(seen, known)
            if known.get("attach") and known.get("logs"):
                values["containerLogs"] = known.get("containerLogs") or written(client, identity)
            return Found(str(seen["Id"]), values)

        return await backend.run(work)

    async def change(self, backend: Daemon, identity: str, state: Values, wanted: Values) -> None:
        """See `Resource.change`; one that should run and does not is started."""
        known = {prop.name: prop for prop in PROPERTIES}
        changed = {
            name
            for name, prop in known.items()
            if not same(prop, state.get(name), wanted.get(name))
        }
        for name in STUCK:
            if name in changed and not (known[name].computed and wanted.get(name) is None):
                raise PluginError(_stuck(self.title(state), name))
        for name in _NO_LIMIT:
            if name in changed and not wanted.get(name):
                raise PluginError(_stuck(self.title(state), name))

        def work(client: Client) -> None:
            if changed.intersection(LIMITS):
                address = f"{client.base_url}/v{client.api_version}/containers/{identity}/update"
                answer = client.post(address, json=container_request.update(wanted), timeout=60)
                if not answer.ok:
                    raise OperationFailedError(str(answer.json().get("message", answer.text)))
            if wanted.get("mustRun") and wanted.get("start"):
                client.start(identity)
                dead_on_arrival(client, identity)

        await backend.run(work)

    async def remove(self, backend: Daemon, identity: str, state: Values) -> None:
        """See `Resource.remove`."""

        def work(client: Client) -> None:
            if not state.get("attach"):
                grace = state.get("destroyGraceSeconds")
                ended(client, identity, grace if isinstance(grace, int) else 0)
            removed(client, identity, volumes=bool(state.get("removeVolumes", True)))

        await backend.run(work)


def _check_engine(client: Client, wanted: Values) -> None:
    """Refuses what this version of Docker would silently ignore."""
    check = wanted.get("healthcheck")
    interval = text(check, "startInterval") if isinstance(check, dict) else ""
    version = tuple(int(part) for part in client.api_version.split("."))
    if interval not in ("", "0s") and version < (1, 44):
        raise PluginError(
            "`start_interval` of a health check needs Docker Engine 25 or later; this one speaks "
            f"version {client.api_version} of its API; nothing was changed"
        )


def _begin(client: Client, identity: str, wanted: Values, archives: list[bytes]) -> None:
    """Puts a new container into its networks, its files into it, and starts it."""
    networks = list(container_request.members(wanted, "networksAdvanced"))
    if networks and text(wanted, "networkMode") in ("", "bridge", "default"):
        client.disconnect_container_from_network(identity, "bridge")
    for network in networks:
        client.connect_container_to_network(
            identity, text(network, "name"), **container_request.endpoint(network)
        )
    for packed in archives:
        client.put_archive(identity, "/", packed)
    if wanted.get("start"):
        client.start(identity)
        if wanted.get("attach"):
            attached(client, identity)
        elif wanted.get("mustRun"):
            dead_on_arrival(client, identity)


def _undone(error: BaseException) -> BaseException:
    """A failure of a container that was made and removed again, with a hint where there is one."""
    from . import sdk  # noqa: PLC0415 - slow, see `daemon`

    if isinstance(error, sdk.APIError):
        told = words_of(error)
    elif isinstance(error, OperationFailedError):
        told = str(error)
    else:
        return error
    first, *rest = told.split("\n", maxsplit=1)
    hint = next((advice for words, advice in _HINTS.items() if words in first), "")
    return OperationFailedError(
        "\n".join([f"{first}; {hint}nothing of the container is left", *rest])
    )


def _stuck(title: str, name: str) -> str:
    return (
        f"{title}: Docker cannot change `{name}` of a container that exists in this way; nothing "
        f"was changed; add `replace_on_changes=[{name!r}]` to its options, or run `pulumi up "
        "--replace` with its URN once"
    )
