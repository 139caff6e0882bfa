"""What a stack gives back: where the database is, and how to get in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from infra import forms, readme

if TYPE_CHECKING:
    from infra.database import Database
    from infra.schema.resource import Schema
    from infra.servers import Endpoint
    from infra.settings import Settings

__all__ = ["export"]


def export(*, settings: Settings, endpoint: Endpoint, database: Database, schema: Schema) -> None:
    """Export everything that people and `make` ask a stack for."""
    stack = pulumi.get_stack()
    psql = pulumi.Output.unsecret(  # there is nothing secret in it: see the test of that
        database.app_url.apply(
            lambda url: forms.psql(
                url,
                password_from=f"pulumi stack output password --show-secrets --stack {stack}",
            )
        )
    )
    exported: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "endpoint": endpoint.addresses,
        "database": settings.database,
        "version": endpoint.version,
        "revision": schema.revision,
        "programs": endpoint.programs,
        "url": database.app_url,
        "password": database.app_url.apply(forms.password),
        "sqlalchemy_url": database.app_url.apply(forms.sqlalchemy),
        "app_url": database.app_url,
        "migrator_url": database.migrator_url,
        "reader_url": database.reader_url,
        "psql": psql,
        "readme": _readme(settings, endpoint, schema, psql),
    }
    if endpoint.data_dir is not None:
        exported["data_dir"] = endpoint.data_dir
    if database.auditor_url is not None:
        exported["auditor_url"] = database.auditor_url
    for name, value in exported.items():
        pulumi.export(name, value)


def _readme(
    settings: Settings, endpoint: Endpoint, schema: Schema, psql: pulumi.Output[str]
) -> pulumi.Output[str]:
    stack = pulumi.get_stack()
    server = pulumi.Output.all(
        endpoint=endpoint.addresses,
        version=endpoint.version,
        data_dir=pulumi.Output.from_input("") if endpoint.data_dir is None else endpoint.data_dir,
    ).apply(lambda each: readme.Server(**each))
    known = pulumi.Output.all(server=server, revision=schema.revision, psql=psql)
    return known.apply(lambda each: readme.write(settings, stack=stack, **each))
