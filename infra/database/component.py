"""Roles, database, schemas, extension and privileges, over the provider `postgresql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_postgresql as postgresql

from infra.database import admin
from infra.database.existing_objects import ExistingObjects
from infra.database.fate import Fate
from infra.database.grants import PUBLIC, Grants
from infra.database.memberships import Membership, Memberships
from infra.database.names import APP_SCHEMA, EXTENSION_SCHEMA, READONLY, READWRITE
from infra.database.role_settings import RoleSettings
from infra.database.urls import TLS, url
from infra.password import Password

if TYPE_CHECKING:
    from infra.servers import Endpoint
    from infra.settings import Limits, Settings

__all__ = ["Database"]

# Whose members the policies of row security show every row.
_READ_ALL = "pg_read_all_data"
_SECONDS_TO_CONNECT = 15  # the server has answered just before
# Since this version the schema `public` belongs to whoever owns the database.
_PUBLIC_IS_OURS = 15


class Database(pulumi.ComponentResource):
    """A database that is ready for migrations, with least privilege.

    Attributes:
        migrator_url: For migrations; secret.
        app_url: For the application; secret.
        reader_url: For reports; secret.
        auditor_url: For whoever reads the rows of all clients; secret. None without an auditor.
        resource: The database itself.
        tables_go_with: What takes the tables away with it when it goes; None where nothing does.
        ready: What a consumer of the database waits for.
        roles: The names of its roles.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: Endpoint,
        settings: Settings,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare everything that is inside the server of `endpoint` except the tables."""
        super().__init__("groundwork:infra:Database", name, None, opts)
        self.roles = settings.access.roles
        self._name = name
        self._endpoint = endpoint
        self._access = settings.access
        self._database = settings.database
        self._fate = Fate(endpoint, settings)
        self._admin = admin.inputs(endpoint)
        self._provider = self._make_provider()
        self._logins = ["migrator", "app", "reader", *(["auditor"] if self.roles.auditor else [])]
        self._passwords = {kind: self._make_password(kind) for kind in self._logins}
        self.resource = self._make_database(self._make_roles())
        self.tables_go_with = self._fate.tables(self.resource)
        self.ready = self._fill()
        if endpoint.note:
            endpoint.note(self.ready)
        self.migrator_url = self._url("migrator")
        self.app_url = self._url("app")
        self.reader_url = self._url("reader")
        self.auditor_url = self._url("auditor") if self.roles.auditor else None
        self.register_outputs({f"{kind}_url": self._url(kind) for kind in self._logins})

    # -- the way there --------------------------------------------------------------------

    def _make_provider(self) -> postgresql.Provider:
        endpoint = self._endpoint
        return postgresql.Provider(
            f"{self._name}-admin",
            host=endpoint.host,
            port=endpoint.port,
            username=endpoint.user,
            password=endpoint.password,
            sslmode=endpoint.sslmode,
            sslrootcert=endpoint.sslrootcert or None,
            clientcert=self._client_certificate(),
            database=endpoint.maintenance,
            superuser=endpoint.superuser,
            connect_timeout=_SECONDS_TO_CONNECT,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[endpoint.server]),
        )

    def _client_certificate(self) -> postgresql.ProviderClientcertArgs | None:
        endpoint = self._endpoint
        if not endpoint.sslcert:
            return None
        return postgresql.ProviderClientcertArgs(cert=endpoint.sslcert, key=endpoint.sslkey)

    def _dynamic(self, *more: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Options of a resource that this project provides itself."""
        merged = pulumi.ResourceOptions(parent=self, depends_on=[self._endpoint.server])
        for each in (self._fate.with_the_cluster, *more):
            merged = pulumi.ResourceOptions.merge(merged, each)
        return merged

    def _options(self, *more: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Options of a resource of the provider `postgresql`."""
        provided = pulumi.ResourceOptions(parent=self, provider=self._provider)
        for each in (self._fate.with_the_cluster, *more):
            provided = pulumi.ResourceOptions.merge(provided, each)
        return provided

    # -- roles ----------------------------------------------------------------------------

    def _make_password(self, kind: str) -> Password:
        return Password(
            f"{self._name}-{kind}",
            version=self._access.password_version,
            chosen=self._access.passwords.get(kind) or None,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_roles(self) -> list[pulumi.Resource]:
        groups = {kind: self._make_group(kind) for kind in ("owner", "readwrite", "readonly")}
        roles = self.roles
        logins = [
            # What it makes is the owner's, whom it has to become: it inherits nothing.
            self._make_login("migrator", [roles.owner], groups, inherit=False),
            self._make_login("app", [roles.readwrite], groups),
            self._make_login("reader", [roles.readonly], groups),
        ]
        if roles.auditor:
            logins.append(self._make_login("auditor", [roles.readonly, _READ_ALL], groups))
        made = [*groups.values(), *logins]
        return [*made, self._make_memberships(made)]

    def _make_group(self, kind: str) -> postgresql.Role:
        name = getattr(self.roles, kind)
        return postgresql.Role(
            f"{self._name}-role-{kind}",
            name=name,
            login=False,
            # Objects elsewhere are somebody else's affair: then PostgreSQL says which they are.
            skip_reassign_owned=True,
            opts=self._options(self._fate.role(name)),
        )

    def _make_login(
        self,
        kind: str,
        member_of: list[str],
        groups: dict[str, postgresql.Role],
        *,
        inherit: bool = True,
    ) -> postgresql.Role:
        name = getattr(self.roles, kind)
        after = pulumi.ResourceOptions(depends_on=list(groups.values()))
        return postgresql.Role(
            f"{self._name}-role-{kind}",
            name=name,
            login=True,
            # A verifier: the password itself never travels to the server's log.
            password=self._passwords[kind].verifier,
            inherit=inherit,
            roles=member_of,
            connection_limit=self._limits(kind).connections,
            skip_reassign_owned=True,
            opts=self._options(self._fate.role(name), after),
        )

    def _make_memberships(self, roles: list[postgresql.Role]) -> Memberships:
        """Say what memberships hand on; of those of the provider alone, that isn't said."""
        names = self.roles
        memberships = [
            Membership(member=names.migrator, group=names.owner, inherit=False),
            Membership(member=names.app, group=names.readwrite, inherit=True),
            Membership(member=names.reader, group=names.readonly, inherit=True),
        ]
        if names.auditor:
            memberships += [
                Membership(member=names.auditor, group=group, inherit=True)
                for group in (names.readonly, _READ_ALL)
            ]
        if not self._endpoint.superuser:
            # Only so may it make a database of the owner's, and grant on it.
            user = self._endpoint.user
            memberships.append(Membership(member=user, group=names.owner, inherit=True))
        return Memberships(
            f"{self._name}-memberships",
            admin=self._admin,
            memberships=memberships,
            opts=self._dynamic(pulumi.ResourceOptions(depends_on=list(roles))),
        )

    def _limits(self, kind: str) -> Limits:
        return self._access.limits[kind]

    # -- database -------------------------------------------------------------------------

    def _make_database(self, roles: list[pulumi.Resource]) -> postgresql.Database:
        after = pulumi.ResourceOptions(depends_on=roles)
        return postgresql.Database(
            f"{self._name}-database",
            name=self._database,
            owner=self.roles.owner,
            template="template0",
            encoding="UTF8",
            lc_collate="C",
            lc_ctype="C",
            opts=self._options(self._fate.database(self._database), after),
        )

    def _inside(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        return self._options(
            self._fate.inside(self.resource), pulumi.ResourceOptions(depends_on=list(after))
        )

    def _fill(self) -> list[pulumi.Resource]:
        """Declare what is in the database; gives what a consumer waits for."""
        grants = Grants(self._name, database=self._database, owner=self.roles.owner)
        self._allow_connections(grants)
        self._fill_app_schema(grants)
        extension = self._fill_extension_schema(grants)
        self._close_public_schema(grants)
        return [*grants.all, extension, self._make_settings()]

    def _allow_connections(self, grants: Grants) -> None:
        roles = self.roles
        opts = self._inside()
        grants.on_database("public-connect", PUBLIC, [], opts=opts)
        for kind in ("migrator", "readwrite", "readonly"):
            grants.on_database(f"{kind}-connect", getattr(roles, kind), ["CONNECT"], opts=opts)
        if self._fate.own_cluster:
            for place in ("postgres", "template1"):
                name = f"public-connect-{place}"
                grants.on_database(name, PUBLIC, [], database=place, opts=self._options())

    def _fill_app_schema(self, grants: Grants) -> None:
        """Declare the schema of the migrations, and what the groups may do in it."""
        roles = self.roles
        schema = postgresql.Schema(
            f"{self._name}-schema-app",
            name=APP_SCHEMA,
            database=self._database,
            owner=roles.owner,
            opts=self._inside(),
        )
        opts = self._inside(schema)
        grants.on_schema("public-usage", PUBLIC, [], schema=APP_SCHEMA, opts=opts)
        groups = {"readwrite": READWRITE, "readonly": READONLY}
        for kind in groups:
            role = getattr(roles, kind)
            grants.on_schema(f"{kind}-usage", role, ["USAGE"], schema=APP_SCHEMA, opts=opts)
        caught_up = ExistingObjects(
            f"{self._name}-existing-objects",
            admin=self._admin,
            database=self._database,
            roles=roles,
            # The groups' USAGE first: what is taken back from members must not be missed.
            opts=self._dynamic(
                self._fate.inside(self.resource), pulumi.ResourceOptions(depends_on=grants.all)
            ),
        )
        opts = self._inside(caught_up)
        grants.nothing_by_default("function", opts=opts)
        for kind, reach in groups.items():
            role = getattr(roles, kind)
            grants.by_default(kind, role, reach, schema=APP_SCHEMA, opts=opts)

    def _fill_extension_schema(self, grants: Grants) -> pulumi.Resource:
        """Declare the extension in a schema that everybody may use and nobody may fill."""
        place = self._endpoint.found.extension_schema or EXTENSION_SCHEMA
        opts = self._inside()
        if place == EXTENSION_SCHEMA:
            made = postgresql.Schema(
                f"{self._name}-schema-ext", name=place, database=self._database, opts=opts
            )
            opts = self._inside(made)
        if place != APP_SCHEMA:
            for kind in ("owner", "readwrite", "readonly"):
                role = getattr(self.roles, kind)
                grants.on_schema(f"{kind}-usage-ext", role, ["USAGE"], schema=place, opts=opts)
        return postgresql.Extension(
            f"{self._name}-extension-vector",
            name="vector",
            database=self._database,
            schema=place,
            opts=opts,
        )

    def _close_public_schema(self, grants: Grants) -> None:
        if self._endpoint.superuser or self._endpoint.major >= _PUBLIC_IS_OURS:
            grants.on_schema("public-public", PUBLIC, [], schema="public", opts=self._inside())

    def _make_settings(self) -> RoleSettings:
        path = [APP_SCHEMA, self._endpoint.found.extension_schema or EXTENSION_SCHEMA]
        settings: dict[str, dict[str, Any]] = {}
        for kind in self._logins:
            limits = self._limits(kind)
            given = {
                "search_path": list(dict.fromkeys(path)),
                "statement_timeout": limits.statement_timeout,
                "lock_timeout": limits.lock_timeout,
                "idle_in_transaction_session_timeout": limits.idle_timeout,
                "role": self.roles.owner if kind == "migrator" else "",
            }
            settings[getattr(self.roles, kind)] = {
                setting: value for setting, value in given.items() if value
            }
        return RoleSettings(
            f"{self._name}-role-settings",
            admin=self._admin,
            database=self._database,
            settings=settings,
            opts=self._dynamic(self._fate.inside(self.resource)),
        )

    # -- outputs --------------------------------------------------------------------------

    def _url(self, kind: str) -> pulumi.Output[str]:
        endpoint, user = self._endpoint, getattr(self.roles, kind)
        options = {
            **{name: getattr(endpoint, name) for name in TLS},
            "target_session_attrs": endpoint.session_attrs,
        }
        known = pulumi.Output.all(
            addresses=endpoint.addresses, password=self._passwords[kind].password
        )
        return known.apply(
            lambda each: url(user=user, database=self._database, options=options, **each)
        )
