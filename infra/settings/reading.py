"""From the texts of a configuration to settings: every mistake in one message."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from infra.schema import options
from infra.settings import (
    certificates,
    extensions,
    names,
    namespace,
    parameters,
    placement,
    presets,
    values,
)
from infra.settings.draft import Draft
from infra.settings.errors import SettingsError
from infra.settings.key import LOGINS, spelled
from infra.settings.keys import KEYS
from infra.settings.model import Access, Limits, Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["load", "parse"]

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def load() -> Settings:
    """Read the configuration of the running Pulumi program.

    Raises:
        SettingsError: At least one mistake.
    """
    from pulumi.runtime.config import (  # noqa: PLC0415 - keeps `parse` free of Pulumi
        CONFIG,
        get_config_env,
        get_config_secret_keys_env,
    )

    prefix = spelled("")
    # `pulumi.Config` answers for one key at a time, and can't tell of those nobody asks for.
    everything = {**get_config_env(), **CONFIG.get()}
    given = {
        key.removeprefix(prefix): str(value)
        for key, value in everything.items()
        if key.startswith(prefix)
    }
    secrets = {key.removeprefix(prefix) for key in get_config_secret_keys_env()}
    strays = tuple(namespace.strays(everything, prefix.removesuffix(":")))
    return parse(given, root=Path.cwd(), secrets=secrets, variables=os.environ, strays=strays)


def parse(
    given: Mapping[str, str],
    *,
    root: Path,
    secrets: Collection[str] | None = None,
    variables: Mapping[str, str] = _NO_VARIABLES,
    strays: Sequence[str] = (),
) -> Settings:
    """Turn configuration into settings.

    Args:
        given: Texts by key, without the namespace; a missing one has its default.
        root: The project's folder, to which relative paths refer.
        secrets: The keys whose values the engine knows as secret; None where nobody knows.
        variables: The environment variables, some of which stand in for keys that are not set.
        strays: Mistakes of keys in other namespaces.

    Raises:
        SettingsError: At least one mistake.
    """
    draft = Draft(given, root=root, variables=variables)
    draft.mistakes.extend(strays)
    for name in given:
        if name not in KEYS:
            draft.refuse(name, _unknown(name))
    if secrets is not None:
        _check_secrets(draft, secrets)
    for part in (values, names, extensions, parameters, certificates, placement, presets):
        part.check(draft)
    if draft.mistakes:
        raise SettingsError(draft.mistakes)
    return _settings(draft, secrets or ())


def _unknown(name: str) -> str:
    fold = {known.lower().replace("_", ""): known for known in KEYS}
    near = difflib.get_close_matches(name.lower().replace("_", ""), fold, n=1)
    if near:
        return f"no such key; did you mean {spelled(fold[near[0]])}?"
    return "no such key"


def _check_secrets(draft: Draft, secrets: Collection[str]) -> None:
    for key in KEYS.values():
        if key.secret and draft[key.name] and key.name not in secrets:
            draft.refuse(
                key.name,
                "is a secret and stands in plain text where everybody reads it; take another one:"
                f" pulumi config set --secret {spelled(key.name)}",
            )
    if "parameters" in secrets:
        draft.refuse(
            "parameters",
            "has a secret, and these settings are written into files and shown by the server;"
            " set it without --secret, or not at all",
        )


def _settings(draft: Draft, secrets: Collection[str]) -> Settings:
    return Settings(
        environment=draft["environment"],
        target=draft["target"],
        database=draft["database"],
        app_schema=draft["schema"],
        extension_schema=draft["extensionSchema"],
        extensions=extensions.extensions(draft),
        protect=draft["protect"] == "true",
        retain=draft["retain"] == "true",
        wait_seconds=int(draft["waitSeconds"]),
        port=int(draft["port"]),
        data_dir=draft.path("dataDir"),
        data_dir_as_set=draft["dataDir"],
        postgres_bin=draft["postgresBin"],
        parameters=parameters.parameters(draft),
        image=draft["image"],
        volume=draft["volume"],
        memory=int(draft["memory"]),
        cpus=draft["cpus"],
        shm_size=int(draft["shmSize"]),
        tls=certificates.files(draft),
        sslmode=draft["sslmode"],
        sslmode_reason=draft["sslmodeReason"],
        admin_url=draft["adminUrl"],
        existing_objects=draft["existingObjects"],
        moved_to=draft["movedTo"],
        admin_password_version=int(draft["adminPasswordVersion"]),
        access=_access(draft),
        migrations=draft.root / Path(draft["migrations"]).expanduser(),
        schema=options.parse(
            {key: draft[key] for key in options.DEFAULTS},
            roles=tuple(filter(None, asdict(names.roles(draft)).values())),
            environment=draft.environment,
            moved_to=draft["movedTo"],
            schema=draft["schema"],
            x_secret="xArguments" in secrets,
            variables_secret="migrationsEnvironment" in secrets,
        ),
    )


def _access(draft: Draft) -> Access:
    return Access(
        roles=names.roles(draft),
        limits={
            kind: Limits(
                statement_timeout=draft[f"{kind}StatementTimeout"],
                lock_timeout=draft[f"{kind}LockTimeout"],
                idle_timeout=draft[f"{kind}IdleTimeout"],
                connections=int(draft[f"{kind}Connections"]),
            )
            for kind in LOGINS
        },
        passwords={kind: draft[f"{kind}Password"] for kind in LOGINS if draft[f"{kind}Password"]},
        password_version=int(draft["passwordVersion"]),
    )
