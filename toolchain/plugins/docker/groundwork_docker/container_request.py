"""What Docker is asked for: a container's inputs in the form of Docker's API."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from groundwork_plugin.properties import text

from . import durations, labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from groundwork_plugin.values import Value, Values

    from .client import Answer

__all__ = ["creation", "endpoint", "members", "update"]

_MEGABYTE = 1024 * 1024
_NANO = 1_000_000_000


def creation(wanted: Values) -> Answer:
    """The body of the request that makes a container.

    Args:
        wanted: Inputs.
    """
    ports, volumes = list(members(wanted, "ports")), list(members(wanted, "volumes"))
    body: Answer = {
        "Image": wanted["image"],
        "Cmd": wanted.get("command"),
        "Entrypoint": wanted.get("entrypoints"),
        "Env": wanted.get("envs"),
        "User": wanted.get("user"),
        "WorkingDir": wanted.get("workingDir"),
        "Hostname": wanted.get("hostname"),
        "Domainname": wanted.get("domainname"),
        "Labels": labels.to_docker(wanted.get("labels")),
        "Healthcheck": _healthcheck(wanted.get("healthcheck")),
        "ExposedPorts": {_port(port): {} for port in ports},
        "Volumes": {
            text(volume, "containerPath"): {} for volume in volumes if volume.get("containerPath")
        },
        "StopSignal": wanted.get("stopSignal"),
        "StopTimeout": wanted.get("stopTimeout"),
        "Tty": wanted.get("tty"),
        "OpenStdin": wanted.get("stdinOpen"),
        "HostConfig": _on_host(wanted, ports, volumes),
    }
    return _without_nothing(body)


def update(wanted: Values) -> Answer:
    """The body of the request that changes the limits of a container.

    Args:
        wanted: Inputs.
    """
    body: Answer = {
        "RestartPolicy": _restart(wanted),
        "CpuShares": wanted.get("cpuShares") or 0,
        "CpusetCpus": text(wanted, "cpuSet"),
        "Memory": _bytes(wanted.get("memory")) or 0,
        "MemorySwap": _bytes(wanted.get("memorySwap")),
        "NanoCpus": _nano_cpus(wanted),
    }
    return _without_nothing(body)


def endpoint(network: Values) -> dict[str, Any]:
    """The options with which a container joins a network.

    Args:
        network: An item of `networksAdvanced`.
    """
    return {
        "aliases": network.get("aliases") or None,
        "ipv4_address": text(network, "ipv4Address") or None,
        "ipv6_address": text(network, "ipv6Address") or None,
    }


def members(values: Values, key: str) -> Iterator[Values]:
    """The objects of a list property; none where it is absent.

    Args:
        values: Inputs or outputs.
        key: The property's name.
    """
    listed = values.get(key)
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            yield item


def _on_host(wanted: Values, ports: list[Values], volumes: list[Values]) -> Answer:
    capabilities = wanted.get("capabilities")
    capable = capabilities if isinstance(capabilities, dict) else {}
    return _without_nothing(
        {
            "AutoRemove": wanted.get("rm"),
            "Binds": list(_binds(volumes)),
            "VolumesFrom": [v["fromContainer"] for v in volumes if v.get("fromContainer")],
            "Mounts": [_mount(mount) for mount in members(wanted, "mounts")],
            "Tmpfs": wanted.get("tmpfs"),
            "PortBindings": _bindings(ports),
            "NetworkMode": wanted.get("networkMode"),
            "Dns": wanted.get("dns"),
            "DnsOptions": wanted.get("dnsOpts"),
            "DnsSearch": wanted.get("dnsSearches"),
            "ExtraHosts": [f"{h['host']}:{h['ip']}" for h in members(wanted, "hosts")],
            "RestartPolicy": _restart(wanted),
            "Memory": _bytes(wanted.get("memory")),
            "MemorySwap": _bytes(wanted.get("memorySwap")),
            "ShmSize": _bytes(wanted.get("shmSize")),
            "CpuShares": wanted.get("cpuShares"),
            "CpusetCpus": wanted.get("cpuSet"),
            "NanoCpus": _nano_cpus(wanted) or None,
            "ReadonlyRootfs": wanted.get("readOnly"),
            "Privileged": wanted.get("privileged"),
            "SecurityOpt": wanted.get("securityOpts"),
            "CapAdd": capable.get("adds"),
            "CapDrop": capable.get("drops"),
            "GroupAdd": wanted.get("groupAdds"),
            "Ulimits": [_ulimit(limit) for limit in members(wanted, "ulimits")],
            "Sysctls": wanted.get("sysctls"),
            "LogConfig": _without_nothing(
                {"Type": text(wanted, "logDriver"), "Config": wanted.get("logOpts")}
            ),
        }
    ) | {"Init": bool(wanted.get("init"))}  # said always, as the genuine plugin does


def _healthcheck(healthcheck: Value) -> Answer | None:
    if not isinstance(healthcheck, dict):
        return None
    lengths = {
        "Interval": "interval",
        "Timeout": "timeout",
        "StartPeriod": "startPeriod",
        "StartInterval": "startInterval",
    }
    return _without_nothing(
        {
            "Test": healthcheck.get("tests"),
            "Retries": healthcheck.get("retries"),
            **{
                key: durations.nanoseconds(text(healthcheck, name) or "0s") or None
                for key, name in lengths.items()
            },
        }
    )


def _port(port: Values) -> str:
    return f"{port['internal']}/{port['protocol']}"


def _bindings(ports: list[Values]) -> Answer:
    bindings: dict[str, list[Answer]] = {}
    for port in ports:
        host = {"HostIp": text(port, "ip"), "HostPort": str(port.get("external") or "")}
        bindings.setdefault(_port(port), []).append(host)
    return bindings


def _binds(volumes: list[Values]) -> Iterator[str]:
    for volume in volumes:
        source = text(volume, "volumeName") or text(volume, "hostPath")
        if source and volume.get("containerPath"):
            mode = "ro" if volume.get("readOnly") else "rw"
            yield f"{source}:{volume['containerPath']}:{mode}"


def _mount(mount: Values) -> Answer:
    kind = text(mount, "type")
    body: Answer = {
        "Type": kind,
        "Target": mount["target"],
        "Source": text(mount, "source"),
        "ReadOnly": bool(mount.get("readOnly")),
    }
    options = mount.get(f"{kind}Options")
    if isinstance(options, dict):
        body[f"{kind.capitalize()}Options"] = _mount_options(kind, options)
    return body


def _mount_options(kind: str, options: Values) -> Answer:
    if kind == "bind":
        return {"Propagation": text(options, "propagation")}
    if kind == "tmpfs":
        return _without_nothing(
            {"SizeBytes": options.get("sizeBytes"), "Mode": options.get("mode")}
        )
    driver = _without_nothing(
        {"Name": text(options, "driverName"), "Options": options.get("driverOptions")}
    )
    return _without_nothing(
        {
            "NoCopy": options.get("noCopy"),
            "Labels": labels.to_docker(options.get("labels")),
            "DriverConfig": driver,
        }
    )


def _ulimit(limit: Values) -> Answer:
    return {"Name": limit["name"], "Soft": limit["soft"], "Hard": limit["hard"]}


def _restart(wanted: Values) -> Answer:
    return {
        "Name": text(wanted, "restart"),
        "MaximumRetryCount": wanted.get("maxRetryCount") or 0,
    }


def _bytes(megabytes: Value) -> int | None:
    """Docker's bytes; -1, for no limit, stays what it is."""
    if not isinstance(megabytes, int):
        return None
    return megabytes * _MEGABYTE if megabytes > 0 else megabytes


def _nano_cpus(wanted: Values) -> int:
    return int(Decimal(text(wanted, "cpus") or "0") * _NANO)


def _without_nothing(body: Answer) -> Answer:
    """What a program leaves empty is Docker's to decide."""
    return {key: value for key, value in body.items() if value not in (None, "", [], {}, False)}
