"""What Docker says of a container, as its outputs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import durations, labels
from .container_properties import PROPERTIES
from .container_request import members

if TYPE_CHECKING:
    from groundwork_plugin.values import Value, Values

    from .client import Answer

__all__ = ["outputs", "running"]

_MEGABYTE = 1024 * 1024
_NANO = 1_000_000_000


def running(seen: Answer) -> bool:
    """Whether a container runs.

    Args:
        seen: Docker's description of it.
    """
    return bool(seen["State"]["Running"])


def outputs(seen: Answer, known: Values) -> Values:
    """The outputs of a container.

    Args:
        seen: Docker's description of it.
        known: The last known outputs, or the inputs, for what the genuine plugin does not read
            back either: environment, labels, volumes, networks, uploads and its own settings.
    """
    kept = {
        prop.name: known.get(prop.name, prop.default) for prop in PROPERTIES if not prop.output_only
    }
    told = _configured(seen) | _on_host(seen["HostConfig"]) | _limits(seen["HostConfig"])
    stopped = not running(seen)
    told |= {
        "ports": _ports(seen, known),
        "bridge": seen["NetworkSettings"].get("Bridge", ""),
        "networkDatas": _networks(seen),
        "exitCode": seen["State"]["ExitCode"] if stopped else None,
    }
    if stopped and kept["mustRun"] and kept["start"]:
        told["mustRun"] = False  # what an update brings back
    return kept | told


def _configured(seen: Answer) -> Values:
    config = seen["Config"]
    told: Values = {
        "name": seen["Name"].removeprefix("/"),
        "image": seen["Image"],
        "command": list(config.get("Cmd") or []),
        "entrypoints": list(config.get("Entrypoint") or []),
        "user": config.get("User", ""),
        "workingDir": config.get("WorkingDir", ""),
        "hostname": config.get("Hostname", ""),
        "domainname": config.get("Domainname", ""),
        "stopSignal": config.get("StopSignal", ""),
        "stopTimeout": config.get("StopTimeout") or 0,
        "tty": config.get("Tty", False),
        "stdinOpen": config.get("OpenStdin", False),
    }
    if check := config.get("Healthcheck"):
        told["healthcheck"] = {
            "tests": list(check.get("Test") or []),
            "interval": durations.written(check.get("Interval") or 0),
            "timeout": durations.written(check.get("Timeout") or 0),
            "startPeriod": durations.written(check.get("StartPeriod") or 0),
            "startInterval": durations.written(check.get("StartInterval") or 0),
            "retries": check.get("Retries") or 0,
        }
    return told


def _on_host(host: Answer) -> Values:
    told: Values = {
        "rm": host["AutoRemove"],
        "readOnly": host["ReadonlyRootfs"],
        "privileged": host["Privileged"],
        "securityOpts": list(host.get("SecurityOpt") or []),
        "groupAdds": list(host.get("GroupAdd") or []),
        "ulimits": [
            {"name": limit["Name"], "soft": limit["Soft"], "hard": limit["Hard"]}
            for limit in host.get("Ulimits") or []
        ],
        "sysctls": dict(host.get("Sysctls") or {}),
        "tmpfs": dict(host.get("Tmpfs") or {}),
        "mounts": [_mount(mount) for mount in host.get("Mounts") or []],
        "networkMode": host["NetworkMode"],
        "dns": list(host.get("Dns") or []),
        "dnsOpts": list(host.get("DnsOptions") or []),
        "dnsSearches": list(host.get("DnsSearch") or []),
        "hosts": [_host(entry) for entry in host.get("ExtraHosts") or []],
        "logDriver": host["LogConfig"].get("Type", ""),
        "logOpts": dict(host["LogConfig"].get("Config") or {}),
        "init": bool(host.get("Init")),
        "shmSize": host["ShmSize"] // _MEGABYTE,
    }
    adds, drops = host.get("CapAdd") or [], host.get("CapDrop") or []
    if adds or drops:
        told["capabilities"] = {"adds": list(adds), "drops": list(drops)}
    return told


def _limits(host: Answer) -> Values:
    swap = host["MemorySwap"]
    cpus = Decimal(host.get("NanoCpus") or 0) / _NANO
    return {
        "restart": host["RestartPolicy"]["Name"] or "no",
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "memory": host["Memory"] // _MEGABYTE,
        "memorySwap": swap // _MEGABYTE if swap > 0 else swap,
        "cpuShares": host["CpuShares"],
        "cpuSet": host["CpusetCpus"],
        "cpus": format(cpus.normalize(), "f") if cpus else "",
    }


def _ports(seen: Answer, known: Values) -> Value:
    """Published ports; those of a container that does not run are known from before alone."""
    published = seen["NetworkSettings"].get("Ports") or {}
    if not running(seen):
        return list(members(known, "ports")) or _bound(seen["HostConfig"].get("PortBindings") or {})
    return _bound(published)


def _bound(bindings: Answer) -> Value:
    found: list[Value] = []
    for port in sorted(bindings, key=lambda name: (int(name.partition("/")[0]), name)):
        internal, _, protocol = port.partition("/")
        for binding in bindings[port] or []:
            bound: dict[str, Value] = {
                "internal": int(internal),
                "external": int(binding.get("HostPort") or 0),
                "ip": binding.get("HostIp") or "0.0.0.0",  # noqa: S104 - what Docker means by none
                "protocol": protocol,
            }
            found.append(bound)
    return found


def _networks(seen: Answer) -> Value:
    joined: dict[str, Any] = seen["NetworkSettings"].get("Networks") or {}
    return [
        {
            "networkName": name,
            "ipAddress": at["IPAddress"],
            "ipPrefixLength": at["IPPrefixLen"],
            "gateway": at["Gateway"],
            "globalIpv6Address": at["GlobalIPv6Address"],
            "globalIpv6PrefixLength": at["GlobalIPv6PrefixLen"],
            "ipv6Gateway": at["IPv6Gateway"],
            "macAddress": at["MacAddress"],
        }
        for name, at in sorted(joined.items())
    ]


def _mount(mount: Answer) -> Value:
    told: dict[str, Value] = {
        "type": mount["Type"],
        "target": mount["Target"],
        "source": mount.get("Source", ""),
        "readOnly": mount.get("ReadOnly", False),
    }
    if bind := mount.get("BindOptions"):
        told["bindOptions"] = {"propagation": bind.get("Propagation", "")}
    if memory := mount.get("TmpfsOptions"):
        told["tmpfsOptions"] = {
            "sizeBytes": memory.get("SizeBytes", 0),
            "mode": memory.get("Mode", 0),
        }
    if volume := mount.get("VolumeOptions"):
        driver = volume.get("DriverConfig") or {}
        told["volumeOptions"] = {
            "noCopy": volume.get("NoCopy", False),
            "labels": labels.from_docker(volume.get("Labels")),
            "driverName": driver.get("Name", ""),
            "driverOptions": dict(driver.get("Options") or {}),
        }
    return told


def _host(entry: str) -> Value:
    name, _, address = entry.partition(":")
    return {"host": name, "ip": address}
