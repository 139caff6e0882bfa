"""From the texts of a configuration to settings: every mistake in one message."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infra.roles import role_names
from infra.schema import options
from infra.settings.errors import SettingsError
from infra.settings.keys import KEYS, LOGINS, PROJECT
from infra.settings.model import Access, Limits, Settings, Tls
from infra.servers import TARGETS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["load", "parse"]

_NAME_BYTES = 63
_NOT_IN_URL = "%?#"
_RESERVED = ("postgres", "template0", "template1")
_PORTS = range(1024, 65536)
_CONFIGURATIONS = ("alembic.ini", "pyproject.toml")
_PROJECT = PROJECT


def load() -> Settings:
    """Read the configuration of the running Pulumi program.

    Raises:
        SettingsError: At least one mistake.
    """
    from pulumi.runtime.config import (  # noqa: PLC0415 - keeps `parse` free of Pulumi
        CONFIG,
        get_config_env,
    )

    prefix = f"{_PROJECT}:"
    # `pulumi.Config` answers for one key at a time, and can't tell of those nobody asks for.
    everything = {**get_config_env(), **CONFIG.get()}
    values = {
        key.removeprefix(prefix): str(value)
        for key, value in everything.items()
        if key.startswith(prefix)
    }
    return parse(values, root=Path.cwd())


def parse(
    values: Mapping[str, str], *, root: Path, secrets: Collection[str] | None = None
) -> Settings:
    """Turn configuration into settings.

    Args:
        values: Keys without the namespace; a missing one has its default.
        root: The project's folder, to which relative paths refer.
        secrets: The keys whose values the engine knows as secret; None where that isn't known.

    Raises:
        SettingsError: At least one mistake.
    """
    # The engine hands defaults over like values: who sets a key to its default sets nothing.
    environment = values.get("environment", "dev")
    given = {
        name: key.presets.get(environment, key.default)
        if values.get(name, key.default) == key.default
        else values[name]
        for name, key in KEYS.items()
    }
    mistakes = [_unknown(key) for key in values if key not in KEYS]
    mistakes += _target_mistakes(given["target"])
    mistakes += _database_mistakes(given["database"])
    mistakes += _port_mistakes(given["port"])
    migrations = root / Path(given["migrations"]).expanduser()
    mistakes += _migrations_mistakes(given["migrations"], migrations)
    chosen = {key: given[key] for key in options.DEFAULTS}
    mistakes += [f"{_PROJECT}:{mistake}" for mistake in options.mistakes(chosen)]
    if mistakes:
        raise SettingsError(mistakes)
    return _settings(given, root)


def _settings(given: Mapping[str, str], root: Path) -> Settings:
    def place(name: str) -> Path | None:
        return root / Path(given[name]).expanduser() if given[name] else None

    certificate, key, ca = place("tlsCertificate"), place("tlsKey"), place("tlsCa")
    return Settings(
        environment=given["environment"],
        target=given["target"],
        database=given["database"],
        protect=given["protect"] == "true",
        retain=given["retain"] == "true",
        wait_seconds=int(given["waitSeconds"]),
        port=int(given["port"]),
        data_dir=place("dataDir"),
        postgres_bin=given["postgresBin"],
        parameters={name: str(value) for name, value in json.loads(given["parameters"]).items()},
        image=given["image"],
        volume=given["volume"],
        memory=int(given["memory"]),
        cpus=given["cpus"],
        shm_size=int(given["shmSize"]),
        tls=Tls(certificate=certificate, key=key, ca=ca) if certificate and key and ca else None,
        sslmode=given["sslmode"],
        admin_url=given["adminUrl"],
        existing_objects=given["existingObjects"],
        admin_password_version=int(given["adminPasswordVersion"]),
        access=_access(given),
        migrations=root / Path(given["migrations"]).expanduser(),
        schema=options.parse({key: given[key] for key in options.DEFAULTS}),
    )


def _access(given: Mapping[str, str]) -> Access:
    kinds = ("owner", "migrator", "readwrite", "readonly", "app", "reader")
    roles = role_names(
        given["database"],
        auditor=given["auditor"] == "true",
        **{kind: given[f"{kind}Role"] for kind in kinds},
    )
    if roles.auditor and given["auditorRole"]:
        roles = replace(roles, auditor=given["auditorRole"])
    return Access(
        roles=roles,
        limits={
            kind: Limits(
                statement_timeout=given[f"{kind}StatementTimeout"],
                lock_timeout=given[f"{kind}LockTimeout"],
                idle_timeout=given[f"{kind}IdleTimeout"],
                connections=int(given[f"{kind}Connections"]),
            )
            for kind in LOGINS
        },
        passwords={kind: given[f"{kind}Password"] for kind in LOGINS if given[f"{kind}Password"]},
        password_version=int(given["passwordVersion"]),
    )


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    hint = f"did you mean {_PROJECT}:{near[0]}?" if near else f"known: {', '.join(KEYS)}"
    return f"{_PROJECT}:{key}: no such key; {hint}"


def _target_mistakes(target: str) -> list[str]:
    if target in TARGETS:
        return []
    return [f"{_PROJECT}:target: {target!r} is unknown; one of: {', '.join(TARGETS)}"]


def _database_mistakes(name: str) -> list[str]:
    key = f"{_PROJECT}:database"
    length = len(name.encode(errors="surrogatepass"))
    if not name:
        return [f"{key}: is empty; give the database a name of 1 to {_NAME_BYTES} bytes"]
    if length > _NAME_BYTES:
        return [f"{key}: has {length} bytes, and PostgreSQL takes names of 1 to {_NAME_BYTES}"]
    if "\0" in name:
        return [f"{key}: has a NUL byte, which PostgreSQL takes in no name"]
    unfit = [character for character in _NOT_IN_URL if character in name]
    if unfit:
        return [f"{key}: has {' '.join(unfit)}, and the provider takes no name with one of % ? #"]
    if name in _RESERVED:
        return [f"{key}: {name!r} is a database of the server's own; choose another name"]
    return []


def _port_mistakes(text: str) -> list[str]:
    key = f"{_PROJECT}:port"
    try:
        port = int(text)
    except ValueError:
        return [f"{key}: {text!r} is not a number"]
    if port and port not in _PORTS:
        return [f"{key}: {port} is out of range; {_PORTS[0]} to {_PORTS[-1]}, or 0 for a free one"]
    return []


def _migrations_mistakes(given: str, folder: Path) -> list[str]:
    key = f"{_PROJECT}:migrations"
    if not folder.is_dir():
        return [f"{key}: there is no folder {given!r}"]
    if not any((folder / name).is_file() for name in _CONFIGURATIONS):
        return [f"{key}: the folder {given!r} has no {' and no '.join(_CONFIGURATIONS)}"]
    return []
