"""The program of a stack from before there were groups: what it had made is to be changed in place.

Its resources have the names and the inputs that they had then.
"""

from __future__ import annotations

__all__ = ["PROGRAM"]

PROGRAM = """
import pulumi
import pulumi_postgresql as postgresql
from infra import servers, settings
from infra.database import url
from infra.password import Password
from infra.schema.resource import Schema

chosen = settings.load()
endpoint = servers.provision(chosen)
name, database = "db", chosen.database
owner, migrator, app = (f"{database}_{kind}" for kind in ("owner", "migrator", "app"))
component = pulumi.ComponentResource("groundwork:infra:Database", name, None, None)
provider = postgresql.Provider(
    "db-admin", host=endpoint.host, port=endpoint.port, username=endpoint.user,
    password=endpoint.password, sslmode=endpoint.sslmode, superuser=True, connect_timeout=15,
    opts=pulumi.ResourceOptions(parent=component, depends_on=[endpoint.server]),
)
passwords = {
    kind: Password(f"db-{kind}", opts=pulumi.ResourceOptions(parent=component))
    for kind in ("migrator", "app")
}

def after(*resources):
    opts = pulumi.ResourceOptions(
        parent=component, provider=provider, depends_on=list(resources)
    )
    opts.deleted_with, opts.replace_with = endpoint.server, [endpoint.server]
    return opts

def grant(short, role, privilege, last, schema=None):
    return postgresql.Grant(
        f"db-grant-{short}", database=database, role=role, schema=schema,
        object_type="schema" if schema else "database", privileges=[privilege], opts=after(last),
    )

role = postgresql.Role("db-role-owner", name=owner, login=False, opts=after())
logins = [
    postgresql.Role(
        "db-role-migrator", name=migrator, login=True, password=passwords["migrator"].verifier,
        roles=[role.name], assume_role=role.name, search_paths=["app", "ext"], opts=after(role),
    ),
    postgresql.Role(
        "db-role-app", name=app, login=True, password=passwords["app"].verifier,
        search_paths=["app", "ext"], opts=after(role),
    ),
]
made = postgresql.Database(
    "db-database", name=database, owner=owner, template="template0", encoding="UTF8",
    lc_collate="C", lc_ctype="C", opts=after(role, *logins),
)
connect = grant("app-connect", app, "CONNECT", grant("migrator-connect", migrator, "CONNECT", made))
schema = postgresql.Schema(
    "db-schema-app", name="app", database=database, owner=owner, opts=after(made)
)
last = grant("app-usage", app, "USAGE", schema, "app")
kinds = {"table": ["SELECT", "INSERT", "UPDATE", "DELETE"],
         "sequence": ["USAGE", "SELECT", "UPDATE"]}
for kind, privileges in kinds.items():
    last = postgresql.DefaultPrivileges(
        f"db-default-app-{kind}", database=database, role=app, owner=owner, schema="app",
        object_type=kind, privileges=privileges, opts=after(last),
    )
place = postgresql.Schema("db-schema-ext", name="ext", database=database, opts=after(made))
for short, who in (("owner", owner), ("app", app)):
    place = grant(f"{short}-usage-ext", who, "USAGE", place, "ext")
extension = postgresql.Extension(
    "db-extension-vector", name="vector", database=database, schema="ext", opts=after(place)
)

def address(user, password):
    return pulumi.Output.all(at=endpoint.addresses, password=password.password).apply(
        lambda known: url(user=user, password=known["password"], addresses=known["at"],
                          database=database, options={"sslmode": endpoint.sslmode})
    )

node = Schema(
    "schema", url=address(migrator, passwords["migrator"]), migrations=chosen.migrations,
    options=chosen.schema, binaries=chosen.postgres_bin,
    opts=pulumi.ResourceOptions(
        depends_on=[connect, last, extension], deleted_with=endpoint.server
    ),
)
pulumi.export("url", address(app, passwords["app"]))
pulumi.export("migrator_url", address(migrator, passwords["migrator"]))
pulumi.export("revision", node.revision)
"""
