"""The provider's configuration: where Docker is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groundwork_plugin.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from groundwork_plugin.values import Value

__all__ = ["DEFAULT_HOST", "SETTINGS", "Configuration", "problems"]

SETTINGS = {
    "caMaterial": "string",
    "certMaterial": "string",
    "certPath": "string",
    "context": "string",
    "disableDockerDaemonCheck": "boolean",
    "host": "string",
    "keyMaterial": "string",
    "registryAuth": "objects",
    "sshOpts": "list",
}
"""Every setting of the genuine provider, with its type in the package schema."""

DEFAULT_HOST = "unix:///var/run/docker.sock"

_SCHEMES = ("unix://", "tcp://", "http://", "https://")
_NOT_COVERED = {
    "caMaterial": "give the folder of the certificates as `certPath`",
    "certMaterial": "give the folder of the certificates as `certPath`",
    "keyMaterial": "give the folder of the certificates as `certPath`",
    "context": "give its address as `host`, or in DOCKER_HOST",
    "registryAuth": "log in with `docker login`, which it finds",
    "sshOpts": "forward the socket with ssh, and give its address as `host`",
}
# The engine and the SDK put these beside the settings of an explicit provider.
_FOREIGN_KEYS = frozenset({"version", "pluginDownloadURL", "pluginChecksums", "parameterization"})


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """How Docker is reached."""

    host: str = DEFAULT_HOST
    """Its address: unix://PATH, or tcp://HOST:PORT."""
    certificates: Path | None = None
    """The folder with ca.pem, cert.pem and key.pem; None: without TLS."""
    verified: bool = True
    """Whether the server's certificate is checked."""

    def missing_certificates(self) -> list[str]:
        """The files that the folder of certificates lacks."""
        folder = self.certificates
        names = ("ca.pem", "cert.pem", "key.pem")
        return [name for name in names if folder and not (folder / name).is_file()]

    @classmethod
    def parse(
        cls, settings: Mapping[str, Value], environment: Mapping[str, str] = os.environ
    ) -> Configuration:
        """Completes the settings with Docker's own environment variables.

        Args:
            settings: By name, checked by `problems`.
            environment: Where DOCKER_HOST, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY are looked up.
        """
        host = _text(settings, "host") or environment.get("DOCKER_HOST") or DEFAULT_HOST
        folder = _text(settings, "certPath")
        verified = bool(folder) or bool(environment.get("DOCKER_TLS_VERIFY"))
        if not folder and not host.startswith("unix://"):
            folder = environment.get("DOCKER_CERT_PATH", "")
            if not folder and verified:
                folder = str(Path("~/.docker").expanduser())
        return cls(host=host, certificates=Path(folder) if folder else None, verified=verified)


def problems(
    settings: Mapping[str, Value], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What is wrong with the settings, by name; settings that are not known yet are passed over.

    Args:
        settings: By name.
        environment: Where DOCKER_HOST and DOCKER_CONTEXT are looked up.
    """
    found: dict[str, str] = {}
    for key, value in settings.items():
        if key.startswith("__") or key in _FOREIGN_KEYS or value in (None, "", UNKNOWN):
            continue
        if key not in SETTINGS:
            found[key] = "there is no such setting"
        elif key in _NOT_COVERED:
            found[key] = f"the offline docker plugin does not cover it; {_NOT_COVERED[key]}"
        elif key in ("host", "certPath") and not isinstance(value, str):
            found[key] = "it is not a text"
    host = _text(settings, "host")
    used, origin = (host, "host") if host else (environment.get("DOCKER_HOST", ""), "DOCKER_HOST")
    if used and not used.startswith(_SCHEMES):
        found.setdefault(
            "host",
            f"{used!r} in {origin} is none that the offline docker plugin can reach; it knows "
            "unix://PATH and tcp://HOST:PORT",
        )
    return found


def _text(settings: Mapping[str, Value], key: str) -> str:
    value = settings.get(key)
    return value if isinstance(value, str) else ""
