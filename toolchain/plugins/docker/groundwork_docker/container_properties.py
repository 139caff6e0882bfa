"""The properties of a container: types, defaults, and which of them make a new container."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from groundwork_plugin.differences import same
from groundwork_plugin.properties import Property

from . import durations, labels

if TYPE_CHECKING:
    from groundwork_plugin.values import Value

__all__ = ["LIMITS", "PROPERTIES", "STUCK"]

LIMITS = ("restart", "maxRetryCount", "memory", "memorySwap", "cpuShares", "cpuSet", "cpus")
"""What Docker changes of a container that exists."""

STUCK = ("init", "rm", "tmpfs")
"""What the genuine plugin lets a program change in place, although Docker cannot do it."""

_PORT_LIMIT = 65535
_MODE = re.compile(r"0[0-7]{3}")
_CPU_SET = re.compile(r"\d+([,-]\d+)*")


def _mode_problem(mode: str) -> str:
    return "" if _MODE.fullmatch(mode) else f"{mode!r} is not of the form '0644'"


def _cpu_set_problem(cpus: str) -> str:
    return "" if not cpus or _CPU_SET.fullmatch(cpus) else f"{cpus!r} is not of the form '0-2,4'"


def _cpus_problem(cpus: str) -> str:
    try:
        fits = not cpus or Decimal(cpus) >= 0
    except InvalidOperation:
        fits = False
    return "" if fits else f"{cpus!r} is not a number of CPUs such as '1.5'"


def _kept_if_empty(old: Value, new: Value) -> bool:
    return not new or old == new


def _same_cpus(left: Value, right: Value) -> bool:
    return Decimal(str(left or 0)) == Decimal(str(right or 0))


def _same_ports(old: Value, new: Value) -> bool:
    """Whether the ports are those, in any order; one that Docker chose stays."""
    olds, news = _by_port(old), _by_port(new)
    if len(olds) != len(news):
        return False
    return all(
        same(prop, before.get(prop.name), after.get(prop.name))
        for before, after in zip(olds, news, strict=True)
        for prop in _PORT
        if prop.name != "external" or after.get("external")
    )


def _by_port(ports: Value) -> list[dict[str, Value]]:
    listed = [port for port in (ports if isinstance(ports, list) else []) if isinstance(port, dict)]
    return sorted(listed, key=lambda port: [str(port.get(prop.name)) for prop in _PORT[:3]])


def _same_healthcheck(old: Value, new: Value) -> bool:
    """Whether the checks are the same; one without a test is for that of the image."""
    before = old if isinstance(old, dict) else {}
    after = new if isinstance(new, dict) else {}
    return all(
        same(prop, before.get(prop.name), after.get(prop.name))
        for prop in _HEALTHCHECK
        if prop.name != "tests" or after.get("tests")
    )


def _duration(name: str) -> Property:
    return Property(name=name, default="0s", problem=durations.problem)


_HEALTHCHECK = (
    Property(name="tests", kind="list"),
    _duration("interval"),
    _duration("timeout"),
    _duration("startPeriod"),
    _duration("startInterval"),
    Property(name="retries", kind="integer", default=0, minimum=0),
)
_PORT = (
    Property(name="internal", kind="integer", required=True, minimum=1, maximum=_PORT_LIMIT),
    Property(name="protocol", default="tcp", choices=("tcp", "udp", "sctp")),
    Property(name="ip", default="0.0.0.0"),  # noqa: S104 - the genuine plugin's default, documented
    Property(name="external", kind="integer", computed=True, minimum=0, maximum=_PORT_LIMIT),
)
_MOUNT = (
    Property(name="type", required=True, choices=("bind", "volume", "tmpfs")),
    Property(name="target", required=True),
    Property(name="source"),
    Property(name="readOnly", kind="boolean"),
    Property(
        name="bindOptions",
        kind="object",
        fields=(
            Property(
                name="propagation",
                choices=("private", "rprivate", "shared", "rshared", "slave", "rslave"),
            ),
        ),
    ),
    Property(
        name="volumeOptions",
        kind="object",
        fields=(
            Property(name="noCopy", kind="boolean"),
            Property(name="labels", kind="object set", fields=labels.FIELDS),
            Property(name="driverName"),
            Property(name="driverOptions", kind="map"),
        ),
    ),
    Property(
        name="tmpfsOptions",
        kind="object",
        fields=(
            Property(name="sizeBytes", kind="integer", minimum=0),
            Property(name="mode", kind="integer", minimum=0),
        ),
    ),
)
_VOLUME = (
    Property(name="containerPath"),
    Property(name="volumeName"),
    Property(name="hostPath"),
    Property(name="fromContainer"),
    Property(name="readOnly", kind="boolean"),
)
_NETWORK = (
    Property(name="name", required=True),
    Property(name="aliases", kind="set"),
    Property(name="ipv4Address"),
    Property(name="ipv6Address"),
)
_UPLOAD = (
    Property(name="file", required=True),
    Property(name="content"),
    Property(name="contentBase64"),
    Property(name="source"),
    Property(name="sourceHash"),
    Property(name="executable", kind="boolean", default=False),
    Property(name="permissions", problem=_mode_problem),
    Property(name="owner"),
    Property(name="group"),
)
_CAPABILITIES = (Property(name="adds", kind="set"), Property(name="drops", kind="set"))
_ULIMIT = (
    Property(name="name", required=True),
    Property(name="soft", kind="integer", required=True),
    Property(name="hard", kind="integer", required=True),
)
_HOST = (Property(name="host", required=True), Property(name="ip", required=True))
_NETWORK_DATA = tuple(
    Property(name=name, output_only=True)
    for name in ("networkName", "ipAddress", "gateway", "globalIpv6Address", "macAddress")
)

_MADE_WITH: tuple[Property, ...] = (
    Property(name="name", replaces=True),
    Property(name="image", required=True, replaces=True),
    Property(name="command", kind="list", computed=True, replaces=True),
    Property(name="entrypoints", kind="list", computed=True, replaces=True),
    Property(name="envs", kind="set", computed=True, replaces=True),
    Property(name="user", replaces=True, alike=_kept_if_empty),
    Property(name="groupAdds", kind="set", replaces=True),
    Property(name="workingDir", replaces=True, alike=_kept_if_empty),
    Property(name="hostname", computed=True, replaces=True),
    Property(name="domainname", replaces=True),
    Property(name="labels", kind="object set", fields=labels.FIELDS, computed=True, replaces=True),
    Property(
        name="healthcheck",
        kind="object",
        fields=_HEALTHCHECK,
        computed=True,
        replaces=True,
        alike=_same_healthcheck,
    ),
    Property(name="ports", kind="objects", fields=_PORT, replaces=True, alike=_same_ports),
    Property(name="volumes", kind="object set", fields=_VOLUME, replaces=True),
    Property(name="mounts", kind="object set", fields=_MOUNT, replaces=True),
    Property(name="uploads", kind="object set", fields=_UPLOAD, replaces=True),
    Property(name="networkMode", default="bridge", replaces=True),
    Property(name="networksAdvanced", kind="object set", fields=_NETWORK, replaces=True),
    Property(name="dns", kind="set", replaces=True),
    Property(name="dnsOpts", kind="set", replaces=True),
    Property(name="dnsSearches", kind="set", replaces=True),
    Property(name="hosts", kind="object set", fields=_HOST, replaces=True),
    Property(name="shmSize", kind="integer", computed=True, replaces=True, minimum=0),
    Property(name="readOnly", kind="boolean", default=False, replaces=True),
    Property(name="securityOpts", kind="set", computed=True, replaces=True),
    Property(name="capabilities", kind="object", fields=_CAPABILITIES, replaces=True),
    Property(name="privileged", kind="boolean", replaces=True),
    Property(name="ulimits", kind="object set", fields=_ULIMIT, replaces=True),
    Property(name="sysctls", kind="map", replaces=True),
    Property(name="logDriver", computed=True, replaces=True),
    Property(name="logOpts", kind="map", replaces=True),
    Property(name="stopSignal", computed=True, replaces=True),
    Property(name="stopTimeout", kind="integer", computed=True, replaces=True, minimum=0),
    Property(name="tty", kind="boolean", default=False, replaces=True),
    Property(name="stdinOpen", kind="boolean", default=False, replaces=True),
)
_CHANGED_IN_PLACE: tuple[Property, ...] = (
    Property(
        name="restart", default="no", choices=("no", "on-failure", "always", "unless-stopped")
    ),
    Property(name="maxRetryCount", kind="integer"),
    Property(name="memory", kind="integer", minimum=0),
    Property(name="memorySwap", kind="integer", minimum=-1),
    Property(name="cpuShares", kind="integer", minimum=0),
    Property(name="cpuSet", problem=_cpu_set_problem),
    Property(name="cpus", problem=_cpus_problem, alike=_same_cpus),
    Property(name="tmpfs", kind="map"),
    Property(name="init", kind="boolean", computed=True),
    Property(name="rm", kind="boolean", default=False),
)
_FOR_THE_PLUGIN: tuple[Property, ...] = (
    Property(name="start", kind="boolean", default=True),
    Property(name="mustRun", kind="boolean", default=True),
    Property(name="wait", kind="boolean", default=False),
    Property(name="waitTimeout", kind="integer", default=60, minimum=0),
    Property(name="attach", kind="boolean", default=False),
    Property(name="logs", kind="boolean", default=False),
    Property(name="destroyGraceSeconds", kind="integer", minimum=0),
    Property(name="removeVolumes", kind="boolean", default=True),
    Property(
        name="containerReadRefreshTimeoutMilliseconds", kind="integer", default=15000, minimum=0
    ),
)
_TOLD: tuple[Property, ...] = (
    Property(name="bridge", output_only=True),
    Property(name="containerLogs", output_only=True),
    Property(name="exitCode", kind="integer", output_only=True),
    Property(name="networkDatas", kind="objects", fields=_NETWORK_DATA, output_only=True),
)

PROPERTIES = (*_MADE_WITH, *_CHANGED_IN_PLACE, *_FOR_THE_PLUGIN, *_TOLD)
"""All of them, as the genuine plugin has them."""
