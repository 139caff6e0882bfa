"""Volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.properties import Failure, Property, text
from groundwork_plugin.resource import Found, Resource
from groundwork_plugin.timeouts import deletion_seconds

from . import labels
from .daemon import Daemon, found
from .waiting import IN_USE_SECONDS, once_free

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Values

    from .client import Answer, Client

__all__ = ["Volume"]


class Volume(Resource[Daemon]):
    """`docker.Volume`. One of that name that exists already is taken over, as Docker does."""

    token: ClassVar[str] = "docker:index/volume:Volume"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "volume"
    autonamed: ClassVar[bool] = True
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", replaces=True),
        Property(name="driver", computed=True, replaces=True),
        Property(name="driverOpts", kind="map", replaces=True),
        Property(name="labels", kind="object set", fields=labels.FIELDS, replaces=True),
        Property(name="mountpoint", output_only=True),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        if inputs.get("name") == "":
            yield Failure("name", "it is empty")

    async def make(self, backend: Daemon, wanted: Values) -> str:
        """See `Resource.make`."""

        def work(client: Client) -> str:
            made = client.create_volume(
                name=text(wanted, "name"),
                driver=text(wanted, "driver") or None,
                driver_opts=wanted.get("driverOpts") or None,
                labels=labels.to_docker(wanted.get("labels")) or None,
            )
            return str(made["Name"])

        return await backend.run(work)

    async def find(self, backend: Daemon, identity: str, known: Values) -> Found | None:
        """See `Resource.find`."""
        del known
        seen = await backend.run(lambda client: found(lambda: client.inspect_volume(identity)))
        return None if seen is None else Found(identity, _outputs(seen))

    async def change(self, backend: Daemon, identity: str, state: Values, wanted: Values) -> None:
        """Nothing of a volume can be changed: every property replaces it."""

    async def remove(self, backend: Daemon, identity: str, state: Values) -> None:
        """See `Resource.remove`."""
        del state
        seconds = deletion_seconds(IN_USE_SECONDS)

        def work(client: Client) -> None:
            once_free(
                lambda: client.remove_volume(identity, force=True),
                refusal="in use",
                seconds=seconds,
            )

        await backend.run(work)


def _outputs(seen: Answer) -> Values:
    return {
        "name": seen["Name"],
        "driver": seen["Driver"],
        "driverOpts": dict(seen.get("Options") or {}),
        "labels": labels.from_docker(seen.get("Labels")),
        "mountpoint": seen["Mountpoint"],
    }
