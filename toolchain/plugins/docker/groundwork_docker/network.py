"""Networks."""

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

    from groundwork_plugin.values import Value, Values

    from .client import Answer, Client

__all__ = ["Network"]

_POOL = (
    Property(name="subnet"),
    Property(name="ipRange"),
    Property(name="gateway"),
    Property(name="auxAddress", kind="map"),
)


class Network(Resource[Daemon]):
    """`docker.Network`."""

    token: ClassVar[str] = "docker:index/network:Network"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "network"
    autonamed: ClassVar[bool] = True
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", replaces=True),
        Property(name="attachable", kind="boolean", replaces=True),
        Property(name="driver", computed=True, replaces=True),
        Property(name="ingress", kind="boolean", replaces=True),
        Property(name="internal", kind="boolean", computed=True, replaces=True),
        Property(name="ipamConfigs", kind="object set", fields=_POOL, computed=True, replaces=True),
        Property(name="ipamDriver", default="default", replaces=True),
        Property(name="ipamOptions", kind="map", computed=True, replaces=True),
        Property(name="ipv6", kind="boolean", replaces=True),
        Property(name="labels", kind="object set", fields=labels.FIELDS, replaces=True),
        Property(name="options", kind="map", computed=True, replaces=True),
        Property(name="scope", output_only=True),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        if inputs.get("name") == "":
            yield Failure("name", "it is empty")

    async def make(self, backend: Daemon, wanted: Values) -> str:
        """See `Resource.make`; a network of that name that exists already is refused."""

        def work(client: Client) -> str:
            made = client.create_network(
                text(wanted, "name"),
                driver=text(wanted, "driver") or None,
                options=wanted.get("options") or None,
                ipam=_addresses(wanted),
                check_duplicate=True,
                internal=bool(wanted.get("internal")),
                labels=labels.to_docker(wanted.get("labels")) or None,
                enable_ipv6=bool(wanted.get("ipv6")),
                attachable=bool(wanted.get("attachable")) or None,
                ingress=bool(wanted.get("ingress")) or None,
            )
            return str(made["Id"])

        return await backend.run(work)

    async def find(self, backend: Daemon, identity: str, known: Values) -> Found | None:
        """See `Resource.find`."""
        seen = await backend.run(lambda client: found(lambda: client.inspect_network(identity)))
        return None if seen is None else Found(str(seen["Id"]), _outputs(seen, known))

    async def change(self, backend: Daemon, identity: str, state: Values, wanted: Values) -> None:
        """Nothing of a network can be changed: every property replaces it."""

    async def remove(self, backend: Daemon, identity: str, state: Values) -> None:
        """See `Resource.remove`."""
        del state
        seconds = deletion_seconds(IN_USE_SECONDS)

        def work(client: Client) -> None:
            once_free(
                lambda: client.remove_network(identity),
                refusal="has active endpoints",
                seconds=seconds,
            )

        await backend.run(work)


def _addresses(wanted: Values) -> Answer:
    pools = wanted.get("ipamConfigs")
    return {
        "Driver": text(wanted, "ipamDriver"),
        "Options": wanted.get("ipamOptions") or None,
        "Config": [
            {
                "Subnet": text(pool, "subnet"),
                "IPRange": text(pool, "ipRange"),
                "Gateway": text(pool, "gateway"),
                "AuxiliaryAddresses": pool.get("auxAddress") or {},
            }
            for pool in (pools if isinstance(pools, list) else [])
            if isinstance(pool, dict)
        ],
    }


def _outputs(seen: Answer, known: Values) -> Values:
    addresses = seen.get("IPAM") or {}
    pools: list[Value] = [
        {
            "subnet": pool.get("Subnet", ""),
            "ipRange": pool.get("IPRange", ""),
            "gateway": pool.get("Gateway", ""),
            "auxAddress": dict(pool.get("AuxiliaryAddresses") or {}),
        }
        for pool in addresses.get("Config") or []
    ]
    return {
        "name": seen["Name"],
        "attachable": seen["Attachable"],
        "driver": seen["Driver"],
        "ingress": seen["Ingress"],
        "internal": seen["Internal"],
        "ipamConfigs": pools,
        "ipamDriver": addresses.get("Driver", ""),
        # Like the genuine plugin, which does not read them back.
        "ipamOptions": known.get("ipamOptions", {}),
        "ipv6": seen["EnableIPv6"],
        "labels": labels.from_docker(seen.get("Labels")),
        "options": dict(seen.get("Options") or {}),
        "scope": seen["Scope"],
    }
