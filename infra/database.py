"""Roles, database, schemas, extension and privileges, over the provider `postgresql`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pulumi
import pulumi_postgresql as postgresql

from infra.password import Password
from infra.roles import role_names

if TYPE_CHECKING:
    from infra.servers import Endpoint

__all__ = ["APP_SCHEMA", "EXTENSION_SCHEMA", "Database", "url"]

# What migrations make lives in the first, what an administrator installs in the second: an
# extension is never in the way of a schema that is dumped, compared or dropped.
APP_SCHEMA = "app"
EXTENSION_SCHEMA = "ext"

# One by one, since ALL means something else in every version (17 added MAINTAIN).
_TABLE_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
_SEQUENCE_PRIVILEGES = ("USAGE", "SELECT", "UPDATE")


def url(*, user: str, password: str, host: str, port: int, database: str, sslmode: str) -> str:
    """Build a libpq URL; every part may hold any character."""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{login}@{host}:{port}/{quote(database, safe='')}?sslmode={sslmode}"


class Database(pulumi.ComponentResource):
    """A database that is ready for migrations, with least privilege.

    Attributes:
        migrator_url: For migrations; secret.
        app_url: For the application; secret.
        resource: The database itself, with which everything in it goes.
        ready: What a consumer of the database waits for.
        roles: The names of its roles.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: Endpoint,
        database: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare everything that is inside the server of `endpoint` except the tables."""
        super().__init__("groundwork:infra:Database", name, None, opts)
        self.roles = role_names(database)
        self._name = name
        self._database = database
        self._opts = self._child_options(endpoint)
        migrator = Password(f"{name}-migrator", opts=pulumi.ResourceOptions(parent=self))
        app = Password(f"{name}-app", opts=pulumi.ResourceOptions(parent=self))
        self.resource = self._make_database(self._make_roles(migrator, app))
        self.ready: list[pulumi.Resource] = [
            self._connect_grants(self.resource),
            self._app_schema(self.resource),
            self._extension(self.resource),
        ]
        self.migrator_url = self._url(endpoint, self.roles.migrator, migrator)
        self.app_url = self._url(endpoint, self.roles.app, app)
        self.register_outputs({"migrator_url": self.migrator_url, "app_url": self.app_url})

    def _child_options(self, endpoint: Endpoint) -> pulumi.ResourceOptions:
        provider = postgresql.Provider(
            f"{self._name}-admin",
            host=endpoint.host,
            port=endpoint.port,
            username=endpoint.user,
            password=endpoint.password,
            sslmode=endpoint.sslmode,
            superuser=endpoint.superuser,
            connect_timeout=15,  # seconds; the server has answered just before
            opts=pulumi.ResourceOptions(parent=self, depends_on=[endpoint.server]),
        )
        options = pulumi.ResourceOptions(parent=self, provider=provider)
        if endpoint.owned:
            # The cluster goes with the stack and everything inside goes with the cluster,
            # also where the server is down or broken; and a new cluster begins empty.
            options.deleted_with = endpoint.server
            options.replace_with = [endpoint.server]
        return options

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(
            self._opts, pulumi.ResourceOptions(depends_on=list(resources))
        )

    def _make_roles(self, migrator: Password, app: Password) -> list[pulumi.Resource]:
        owner = postgresql.Role(
            f"{self._name}-role-owner", name=self.roles.owner, login=False, opts=self._opts
        )
        paths = [APP_SCHEMA, EXTENSION_SCHEMA]
        # A verifier: the password itself never travels to the server's log.
        return [
            owner,
            postgresql.Role(
                f"{self._name}-role-migrator",
                name=self.roles.migrator,
                login=True,
                password=migrator.verifier,
                roles=[owner.name],
                assume_role=owner.name,
                search_paths=paths,
                opts=self._after(owner),
            ),
            postgresql.Role(
                f"{self._name}-role-app",
                name=self.roles.app,
                login=True,
                password=app.verifier,
                search_paths=paths,
                opts=self._after(owner),
            ),
        ]

    def _make_database(self, roles: list[pulumi.Resource]) -> postgresql.Database:
        return postgresql.Database(
            f"{self._name}-database",
            name=self._database,
            owner=self.roles.owner,
            template="template0",
            encoding="UTF8",
            lc_collate="C",
            lc_ctype="C",
            opts=self._after(*roles),
        )

    def _connect_grants(self, database: postgresql.Database) -> pulumi.Resource:
        done: pulumi.Resource = database
        for short, role in (("migrator", self.roles.migrator), ("app", self.roles.app)):
            done = self._grant(f"{short}-connect", role, "CONNECT", after=done)
        return done

    def _app_schema(self, database: postgresql.Database) -> pulumi.Resource:
        """Declare the schema of the migrations, and what the application may do in it."""
        schema = postgresql.Schema(
            f"{self._name}-schema-app",
            name=APP_SCHEMA,
            database=self._database,
            owner=self.roles.owner,
            opts=self._after(database),
        )
        done = self._grant("app-usage", self.roles.app, "USAGE", schema=APP_SCHEMA, after=schema)
        for kind, privileges in (("table", _TABLE_PRIVILEGES), ("sequence", _SEQUENCE_PRIVILEGES)):
            done = postgresql.DefaultPrivileges(
                f"{self._name}-default-app-{kind}",
                database=self._database,
                role=self.roles.app,
                owner=self.roles.owner,
                schema=APP_SCHEMA,
                object_type=kind,
                privileges=list(privileges),
                opts=self._after(done),
            )
        return done

    def _extension(self, database: postgresql.Database) -> pulumi.Resource:
        """Declare the extension in a schema that everybody may use and nobody may fill."""
        done: pulumi.Resource = postgresql.Schema(
            f"{self._name}-schema-ext",
            name=EXTENSION_SCHEMA,
            database=self._database,
            opts=self._after(database),
        )
        for short, role in (("owner", self.roles.owner), ("app", self.roles.app)):
            name = f"{short}-usage-ext"
            done = self._grant(name, role, "USAGE", schema=EXTENSION_SCHEMA, after=done)
        return postgresql.Extension(
            f"{self._name}-extension-vector",
            name="vector",
            database=self._database,
            schema=EXTENSION_SCHEMA,
            opts=self._after(done),
        )

    def _grant(
        self, name: str, role: str, privilege: str, *, after: pulumi.Resource, schema: str = ""
    ) -> pulumi.Resource:
        """Grant on the database or on a schema of it.

        Grants on one object come one after the other: PostgreSQL refuses one of two at once
        ('tuple concurrently updated').
        """
        return postgresql.Grant(
            f"{self._name}-grant-{name}",
            database=self._database,
            role=role,
            object_type="schema" if schema else "database",
            schema=schema or None,
            privileges=[privilege],
            opts=self._after(after),
        )

    def _url(self, endpoint: Endpoint, user: str, password: Password) -> pulumi.Output[str]:
        return pulumi.Output.all(
            host=endpoint.host, port=endpoint.port, password=password.password
        ).apply(
            lambda known: url(
                user=user,
                password=known["password"],
                host=known["host"],
                port=int(known["port"]),
                database=self._database,
                sslmode=endpoint.sslmode,
            )
        )
