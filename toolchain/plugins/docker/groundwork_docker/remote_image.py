"""Images: local ones, and those that a registry has."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.errors import OperationFailedError, PluginError
from groundwork_plugin.properties import Failure, Property, text
from groundwork_plugin.resource import Found, Resource

from .daemon import Daemon, found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Values

    from .client import Answer, Client

__all__ = ["RemoteImage"]


class RemoteImage(Resource[Daemon]):
    """`docker.RemoteImage`, without `build`."""

    token: ClassVar[str] = "docker:index/remoteImage:RemoteImage"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "image"
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", required=True, replaces=True),
        Property(name="forceRemove", kind="boolean"),
        Property(name="keepLocally", kind="boolean"),
        Property(name="platform", replaces=True),
        Property(name="pullTriggers", kind="set", replaces=True),
        Property(name="triggers", kind="map", replaces=True),
        Property(name="imageId", output_only=True),
        Property(name="repoDigest", output_only=True),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        if inputs.get("name") == "":
            yield Failure("name", "it is empty")

    async def make(self, backend: Daemon, wanted: Values) -> str:
        """See `Resource.make`; an image that is here already is taken, any other is pulled."""
        name, platform = text(wanted, "name"), text(wanted, "platform") or None

        def work(client: Client) -> str:
            if found(lambda: client.inspect_image(name)) is None:
                _pull(client, name, platform)
            return f"{client.inspect_image(name)['Id']}{name}"

        return await backend.run(work)

    async def find(self, backend: Daemon, identity: str, known: Values) -> Found | None:
        """See `Resource.find`."""
        if not known:
            raise PluginError(
                f"image {identity!r} cannot be imported; declare it in the program instead, an "
                "image that is here already is taken"
            )
        name = text(known, "name")
        seen = await backend.run(lambda client: found(lambda: client.inspect_image(name)))
        if seen is None:
            return None
        asked = {key: value for key, value in known.items() if not key.startswith("__")}
        told: Values = {"imageId": seen["Id"], "repoDigest": _digest(seen, name)}
        return Found(f"{seen['Id']}{name}", asked | told)

    async def change(self, backend: Daemon, identity: str, state: Values, wanted: Values) -> None:
        """What can change without a replacement is only looked at when the image is removed."""

    async def remove(self, backend: Daemon, identity: str, state: Values) -> None:
        """See `Resource.remove`; with `keepLocally` the image stays."""
        del identity
        if state.get("keepLocally"):
            return
        name, force = text(state, "name"), bool(state.get("forceRemove"))
        await backend.run(lambda client: found(lambda: client.remove_image(name, force=force)))


def _pull(client: Client, name: str, platform: str | None) -> None:
    """Fetches an image.

    Raises:
        OperationFailedError: With the registry's answer.
    """
    from . import sdk  # noqa: PLC0415 - slow, see `daemon`

    # Without a tag the SDK would fetch every tag there is.
    tag = None if "@" in name or ":" in name.rpartition("/")[2] else "latest"
    try:
        answers = client.pull(name, tag=tag, stream=True, decode=True, platform=platform)
        failure = next((answer["error"] for answer in answers if "error" in answer), "")
    except sdk.APIError as error:
        failure = str(error.explanation)
    if failure:
        raise OperationFailedError(
            f"it is not on this machine, and cannot be pulled: {failure.rstrip('.')}; nothing was "
            "changed; check its name, log in with `docker login` where its registry asks for it, "
            "or bring it here with `docker load`"
        )


def _digest(seen: Answer, name: str) -> str:
    """The digest under which the registry of that name has the image; empty for a local one."""
    digests = [str(digest) for digest in seen.get("RepoDigests") or []]
    if name in digests:
        return name
    last = name.rpartition("/")[2].partition("@")[0].partition(":")[0]
    repository = f"{name.rpartition('/')[0]}/{last}".removeprefix("/")
    return next((digest for digest in digests if digest.partition("@")[0] == repository), "")
