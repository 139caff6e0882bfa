"""Programs that are smaller than the project's own: all that a test of one thing needs."""

from __future__ import annotations

__all__ = ["SERVER_ALONE", "SERVER_WITH_A_ROLE"]

SERVER_ALONE = """
import sys
import pulumi
from infra import servers, settings
from infra.errors import GroundworkError

try:
    chosen = settings.load()
    endpoint = servers.provision(chosen)
except GroundworkError as exc:
    pulumi.log.error(str(exc))
    sys.exit(32)
tls = f"?sslmode={endpoint.sslmode}&sslrootcert={endpoint.sslrootcert}"
form = "postgresql://{0}:{1}@{2}/postgres" + (tls if endpoint.sslrootcert else "?sslmode=disable")
pulumi.export("url", pulumi.Output.format(
    form, endpoint.user, endpoint.password, endpoint.addresses))
pulumi.export("cluster", endpoint.cluster)
pulumi.export("version", endpoint.version)
"""
"""A server without anything in it, of the target that the configuration names; gives its URL."""

SERVER_WITH_A_ROLE = """
import sys
import pulumi
import pulumi_postgresql as postgresql
from infra import servers, settings
from infra.errors import GroundworkError

try:
    chosen = settings.load()
    endpoint = servers.provision(chosen)
except GroundworkError as exc:
    pulumi.log.error(str(exc))
    sys.exit(32)
provider = postgresql.Provider(
    "admin",
    host=endpoint.host,
    port=endpoint.port,
    username=endpoint.user,
    password=endpoint.password,
    sslmode=endpoint.sslmode,
    superuser=endpoint.superuser,
    opts=pulumi.ResourceOptions(depends_on=[endpoint.server]),
)
owner = chosen.access.roles.owner
role = pulumi.ResourceOptions(
    provider=provider,
    import_=owner if owner in endpoint.found.roles else None,
    retain_on_delete=chosen.existing_objects == "adopt",
)
postgresql.Role("role", name=owner, opts=role)
for name in ("host", "port", "addresses", "version", "cluster", "user"):
    pulumi.export(name, getattr(endpoint, name))
"""
"""The server and one role on it, which may be there already."""
