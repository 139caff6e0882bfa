"""Keys of the configuration that stand in another namespace than the project's, and do nothing."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from typing import TYPE_CHECKING

from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["strays"]

# The name that the project is published under: what its stack files begin with.
_PUBLISHED = "groundwork"
# Read by the engine and by providers; some have keys of our names, `azure:environment` for one.
_PROVIDERS = frozenset(
    (
        "auth0",
        "aws",
        "aws-native",
        "awsx",
        "azure",
        "azure-native",
        "azuread",
        "azuredevops",
        "cloudflare",
        "command",
        "consul",
        "datadog",
        "digitalocean",
        "dnsimple",
        "docker",
        "docker-build",
        "fastly",
        "gcp",
        "github",
        "gitlab",
        "google-native",
        "grafana",
        "hcloud",
        "kubernetes",
        "linode",
        "minio",
        "mongodbatlas",
        "mysql",
        "newrelic",
        "okta",
        "openstack",
        "pagerduty",
        "postgresql",
        "pulumi",
        "rabbitmq",
        "random",
        "scaleway",
        "snowflake",
        "time",
        "tls",
        "vault",
    )
)
# A misspelled name has less than a third of its letters wrong.
_ALIKE = 0.8


def strays(keys: Iterable[str], project: str) -> Iterator[str]:
    """Say of each key in a wrong namespace what to write instead.

    A namespace is wrong where it is the published name of a project that was renamed, or a
    misspelling of the project's; or where no provider has it and all its keys are keys of ours,
    as of a project that had another name before.

    Args:
        keys: All keys of a stack, "namespace:name".
        project: The project's name.
    """
    found: dict[str, list[str]] = {}
    for key in sorted(keys):
        namespace, colon, name = key.partition(":")
        if colon:
            found.setdefault(namespace, []).append(name)
    for namespace, names in found.items():
        if namespace != project and _is_wrong(namespace, names, project):
            yield from (_word(namespace, name, project) for name in names)


def _is_wrong(namespace: str, names: list[str], project: str) -> bool:
    if namespace == _PUBLISHED:
        return True
    if namespace in _PROVIDERS or find_spec(f"pulumi_{namespace.replace('-', '_')}"):
        return False
    alike = difflib.SequenceMatcher(a=namespace, b=project).ratio() >= _ALIKE
    return alike or all(name in KEYS for name in names)


def _word(namespace: str, name: str, project: str) -> str:
    if name not in KEYS:
        advice = f"this project has no such key; take it out: pulumi config rm {namespace}:{name}"
    else:
        advice = f"write {project}:{name}"
    return (
        f"{namespace}:{name}: is read by nothing here, since this project's name is {project};"
        f" {advice}"
    )
