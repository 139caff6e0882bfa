"""The provider's configuration: how to reach the server, and as whom."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groundwork_plugin.errors import MistakeError, PluginError
from groundwork_plugin.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from groundwork_plugin.values import Value

__all__ = ["SECRET_SETTINGS", "SETTINGS", "Configuration", "problems"]

SETTINGS = {
    "awsRdsIamAuth": "boolean",
    "awsRdsIamProfile": "string",
    "awsRdsIamProviderRoleArn": "string",
    "awsRdsIamRegion": "string",
    "azureIdentityAuth": "boolean",
    "azureTenantId": "string",
    "clientcert": "object",
    "connectTimeout": "integer",
    "database": "string",
    "databaseUsername": "string",
    "expectedVersion": "string",
    "gcpIamImpersonateServiceAccount": "string",
    "host": "string",
    "maxConnections": "integer",
    "password": "string",
    "port": "integer",
    "scheme": "string",
    "sslMode": "string",
    "sslmode": "string",
    "sslrootcert": "string",
    "superuser": "boolean",
    "username": "string",
}
"""Every setting of the genuine provider, with its type in the package schema."""

SECRET_SETTINGS = ("password",)

_SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
_CLOUD_LOGINS = ("awsRdsIamAuth", "azureIdentityAuth", "gcpIamImpersonateServiceAccount")
_PORT_LIMIT = 65535
# The engine and the SDK put these beside the settings of an explicit provider.
_FOREIGN_KEYS = frozenset({"version", "pluginDownloadURL", "pluginChecksums", "parameterization"})


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """How sessions are opened; the defaults are those of the genuine provider."""

    host: str = ""
    """Name, address, or folder of the Unix socket; empty: localhost."""
    port: int = 5432
    database: str = "postgres"
    """Where roles and databases are managed, and what resources without a database use."""
    username: str = "postgres"
    password: str = ""
    database_username: str = ""
    """The role that the login is mapped to, where it has another name."""
    superuser: bool = True
    """Whether password verifiers may be read from the catalog."""
    sslmode: str = "require"
    sslrootcert: str = ""
    clientcert: tuple[str, str] | None = None
    """Paths of the client's certificate and of its key."""
    connect_timeout: int = 180
    """Seconds; zero or less: without end."""
    max_connections: int = 20
    """Sessions at a time; zero or less: no limit."""

    @property
    def role(self) -> str:
        """The role that owns what the plugin makes without an explicit owner."""
        return self.database_username or self.username

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return f"{self.host or 'localhost'}:{self.port}"

    @classmethod
    def parse(
        cls, settings: Mapping[str, Value], environment: Mapping[str, str] = os.environ
    ) -> Configuration:
        """Completes the settings with the environment's defaults and checks all of them.

        Args:
            settings: By name, in their own type or as JSON text, as the SDK sends them.
            environment: Where PGHOST, PGPORT and the like are looked up.

        Raises:
            PluginError: With every mistake in one message.
        """
        merged = _with_environment(settings, environment)
        found = problems(merged)
        if found:
            listed = "; ".join(f"postgresql:{key}: {reason}" for key, reason in found.items())
            raise PluginError(f"the configuration of the postgresql provider is wrong: {listed}")
        return cls(**_fields(merged))


def problems(settings: Mapping[str, Value]) -> dict[str, str]:
    """What is wrong with the settings, by name; settings that are not known yet are passed over.

    Args:
        settings: By name, in their own type or as JSON text.
    """
    found: dict[str, str] = {}
    for key, value in settings.items():
        if key.startswith("__") or key in _FOREIGN_KEYS or value is None or value is UNKNOWN:
            continue
        if key not in SETTINGS:
            found[key] = "there is no such setting"
            continue
        try:
            decoded = _decode(key, value)
        except MistakeError as error:
            found[key] = str(error)
            continue
        reason = _refusal(key, decoded)
        if reason:
            found[key] = reason
    return found


def _refusal(key: str, value: Value) -> str:
    if key in _CLOUD_LOGINS and value:
        return "the offline plugin has no cloud logins; use a password, or the genuine plugin"
    if key == "scheme" and value not in ("", "postgres"):
        return f"the offline plugin knows only the scheme 'postgres', not {value!r}"
    if key in ("sslmode", "sslMode") and value not in ("", *_SSL_MODES):
        return f"{value!r} is not one of {', '.join(_SSL_MODES)}"
    if key == "port" and isinstance(value, int) and not 0 < value <= _PORT_LIMIT:
        return f"{value} is not between 1 and {_PORT_LIMIT}"
    if key in ("connectTimeout", "maxConnections") and isinstance(value, int) and value < -1:
        return f"{value} is below -1"
    return ""


def _with_environment(
    settings: Mapping[str, Value], environment: Mapping[str, str]
) -> dict[str, Value]:
    defaults: dict[str, str | None] = {
        "host": environment.get("PGHOST"),
        "port": environment.get("PGPORT"),
        "database": environment.get("PGDATABASE"),
        "username": environment.get("PGUSER"),
        "password": environment.get("PGPASSWORD"),
        "superuser": environment.get("PGSUPERUSER"),
        "sslmode": environment.get("PGSSLMODE"),
        "connectTimeout": environment.get("PGCONNECT_TIMEOUT"),
    }
    merged: dict[str, Value] = {key: value for key, value in defaults.items() if value}
    merged.update({key: value for key, value in settings.items() if value not in (None, "")})
    return merged


def _fields(settings: Mapping[str, Value]) -> dict[str, Any]:
    names = {
        "host": "host",
        "port": "port",
        "database": "database",
        "username": "username",
        "password": "password",
        "databaseUsername": "database_username",
        "superuser": "superuser",
        "sslMode": "sslmode",
        "sslmode": "sslmode",
        "sslrootcert": "sslrootcert",
        "clientcert": "clientcert",
        "connectTimeout": "connect_timeout",
        "maxConnections": "max_connections",
    }
    fields: dict[str, Any] = {}
    for key, name in names.items():
        value = settings.get(key)
        if value in (None, "", UNKNOWN):
            continue
        decoded = _decode(key, value)
        if isinstance(decoded, dict):
            fields[name] = (str(decoded["cert"]), str(decoded["key"]))
        else:
            fields[name] = decoded
    return fields


def _decode(key: str, value: Value) -> Value:
    decoders: dict[str, Callable[[Value], Value]] = {
        "boolean": _boolean,
        "integer": _integer,
        "object": _client_certificate,
        "string": _string,
    }
    return decoders[SETTINGS[key]](value)


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return json.dumps(value)
    raise MistakeError("is not a text")


def _boolean(value: Value) -> bool:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in ("1", "t", "true"):
            return True
        if text in ("0", "f", "false"):
            return False
    if isinstance(value, bool):
        return value
    raise MistakeError("is neither true nor false")


def _integer(value: Value) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    raise MistakeError("is not a whole number")


def _client_certificate(value: Value) -> Value:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise MistakeError("is not an object with `cert` and `key`") from error
    if isinstance(value, dict) and {"cert", "key"} <= value.keys():
        return value
    raise MistakeError("is not an object with `cert` and `key`, both paths of PEM files")
