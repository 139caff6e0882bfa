"""From nothing to a migrated PostgreSQL 17: settings, server, database, schema, outputs."""

from __future__ import annotations

import sys

import pulumi

from infra import outputs, servers, settings
from infra.database import Database, identity, renames
from infra.errors import GroundworkError
from infra.schema.resource import Schema
from toolchain.visible_text import visible

# By this status a language host knows that the user has been told, and adds nothing.
_REPORTED = 32


def main() -> None:
    """Declare the whole environment."""
    try:
        chosen = settings.load()
        renames.refuse("db", chosen)
        endpoint = servers.provision(chosen)
    except GroundworkError as exc:
        pulumi.log.error(visible(str(exc)))
        sys.exit(_REPORTED)
    database = Database("db", endpoint=endpoint, settings=chosen)
    schema = Schema(
        "schema",
        url=database.migrator_url,
        migrations=chosen.migrations,
        options=chosen.schema,
        binaries=chosen.postgres_bin,
        database=pulumi.Output.format("{0}/{1}", endpoint.cluster, database.resource.id),
        admin_url=database.admin_url,
        opts=pulumi.ResourceOptions(
            depends_on=database.ready,
            deleted_with=database.tables_go_with,
            protect=chosen.protect or None,
        ),
    )
    identity.declare(endpoint, chosen, [schema, database, *database.ready])
    outputs.export(settings=chosen, endpoint=endpoint, database=database, schema=schema)


main()
