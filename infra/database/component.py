"""Roles, database, schemas, extension and privileges, over the provider `postgresql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_postgresql as postgresql

from infra.database import admin
from infra.database.adopted_logins import AdoptedLogins
from infra.database.existing_objects import ExistingObjects
from infra.database.fate import Fate
from infra.database.grants import PUBLIC, Grants
from infra.database.memberships import Membership, Memberships
from infra.database.names import READONLY, READWRITE
from infra.database.own_privileges import OwnPrivileges
from infra.database.recorded_objects import RecordedObjects
from infra.database.role_settings import RoleSettings, own_settings
from infra.database.urls import TLS, address, search_path, url
from infra.password import Password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.extensions import Extension
    from infra.servers import Endpoint
    from infra.settings import Limits, Settings

__all__ = ["Database"]

# Whose members the policies of row security show every row.
_READ_ALL = "pg_read_all_data"
# To whose members PostgreSQL shows what other sessions run, and since when.
_SEE_SESSIONS = "pg_read_all_stats"
_GROUPS = ("owner", "readwrite", "readonly")
_SECONDS_TO_CONNECT = 15  # the server has answered just before
# Since this version the schema `public` belongs to whoever owns the database.
_PUBLIC_IS_OURS = 15
_PUBLIC = "public"


class Database(pulumi.ComponentResource):
    """A database that is ready for migrations, with least privilege.

    Attributes:
        migrator_url: For migrations; secret.
        app_url: For the application; secret.
        reader_url: For reports; secret.
        admin_url: The administrator's, into a database that was there before; secret. None where
            there was none.
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
        self._schema = settings.app_schema
        self._extension_schema = settings.extension_schema
        self._extensions = settings.extensions
        self._fate = Fate(endpoint, settings)
        self._admin = admin.inputs(endpoint)
        self._recorded = RecordedObjects(name, admin=self._admin, opts=self._dynamic())
        self._provider = self._make_provider()
        self._logins = ["migrator", "app", "reader", *(["auditor"] if self.roles.auditor else [])]
        self._passwords = {
            kind: self._make_password(kind) for kind in self._logins if self._sets_password(kind)
        }
        self.resource = self._make_database(self._make_roles())
        self.tables_go_with = self._fate.tables(self.resource)
        self.ready = self._fill()
        if endpoint.note:
            endpoint.note(self.ready)
        self.migrator_url = self._url("migrator")
        self.app_url = self._url("app")
        self.reader_url = self._url("reader")
        self.auditor_url = self._url("auditor") if self.roles.auditor else None
        self.admin_url = self._admin_url() if endpoint.found.database else None
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
        provided = pulumi.ResourceOptions(
            parent=self, provider=self._provider, depends_on=[self._recorded]
        )
        for each in (self._fate.with_the_cluster, *more):
            provided = pulumi.ResourceOptions.merge(provided, each)
        return provided

    # -- roles ----------------------------------------------------------------------------

    def _sets_password(self, kind: str) -> bool:
        """Tell whether a role gets its password here; an adopted one keeps its own unless asked."""
        asked = kind in self._access.passwords or self._access.password_version > 1
        return asked or not self._fate.adopted("role", getattr(self.roles, kind))

    def _make_password(self, kind: str) -> Password:
        return Password(
            f"{self._name}-{kind}",
            version=self._access.password_version,
            chosen=self._access.passwords.get(kind) or None,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_roles(self) -> list[pulumi.Resource]:
        """Declare the roles: the stack's own, what links them, and then those that it adopts.

        An adopted one is imported when it has all that it lacked, so that a later refresh finds
        what the import found.
        """
        kinds = (*_GROUPS, *self._logins)
        adopted = [kind for kind in kinds if self._fate.adopted("role", getattr(self.roles, kind))]
        groups = [self._make_group(kind) for kind in _GROUPS if kind not in adopted]
        logins = [self._make_login(kind, groups) for kind in self._logins if kind not in adopted]
        made = [*groups, *logins, *self._complete_adopted_logins()]
        made.append(self._make_memberships(made))
        return [
            *made,
            *(
                self._make_group(kind, made) if kind in _GROUPS else self._make_login(kind, made)
                for kind in adopted
            ),
        ]

    def _make_group(self, kind: str, after: Sequence[pulumi.Resource] = ()) -> pulumi.Resource:
        name = getattr(self.roles, kind)
        return postgresql.Role(
            f"{self._name}-role-{kind}",
            name=name,
            login=False,
            roles=(self._groups_of_owner() or None) if kind == "owner" else None,
            # Objects elsewhere are somebody else's affair: then PostgreSQL says which they are.
            skip_reassign_owned=True,
            opts=self._options(
                self._fate.role(name), pulumi.ResourceOptions(depends_on=list(after))
            ),
        )

    def _make_login(self, kind: str, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        name, roles = getattr(self.roles, kind), self.roles
        member_of = {
            "migrator": [roles.owner],
            "app": [roles.readwrite],
            "reader": [roles.readonly],
            "auditor": [roles.readonly, _READ_ALL],
        }
        return postgresql.Role(
            f"{self._name}-role-{kind}",
            name=name,
            login=True,
            # A verifier: the password itself never travels to the server's log.
            password=self._passwords[kind].verifier if kind in self._passwords else None,
            # What the migrator makes is the owner's, whom it has to become: it inherits nothing.
            inherit=kind != "migrator",
            roles=member_of[kind],
            connection_limit=self._limits(kind).connections,
            skip_reassign_owned=True,
            opts=self._options(
                self._fate.role(name), pulumi.ResourceOptions(depends_on=list(after))
            ),
        )

    def _complete_adopted_logins(self) -> list[pulumi.Resource]:
        """Give adopted roles what logging in takes and they lack: LOGIN, a password where asked."""
        verifiers = {
            name: self._passwords[kind].verifier if kind in self._passwords else None
            for kind in self._logins
            if self._fate.adopted("role", name := getattr(self.roles, kind))
        }
        if not verifiers:
            return []
        return [
            AdoptedLogins(
                f"{self._name}-adopted-logins",
                admin=self._admin,
                logins=verifiers,
                opts=self._dynamic(),
            )
        ]

    def _make_memberships(self, roles: list[pulumi.Resource]) -> Memberships:
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
        memberships += [
            Membership(member=names.owner, group=each, inherit=True)
            for each in self._groups_of_owner()
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

    def _groups_of_owner(self) -> list[str]:
        """List what the owner is a member of.

        What an adopted database has, its owners keep; migrations change it as members of them. In a
        cluster of the stack's own they may name the session that is in their way.
        """
        seeing = [_SEE_SESSIONS] if self._fate.own_cluster else []
        return [*self._endpoint.found.owners, *seeing]

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
        extensions = self._install_extensions(grants)
        self._close_public_schema(grants)
        made = [*grants.all, *extensions, self._make_settings()]
        own = OwnPrivileges(
            f"{self._name}-own-privileges",
            admin=self._admin,
            database=self._database,
            roles=self.roles,
            opts=self._dynamic(
                self._fate.inside(self.resource), pulumi.ResourceOptions(depends_on=made)
            ),
        )
        return [*made, own]

    def _allow_connections(self, grants: Grants) -> None:
        roles = self.roles
        opts = self._inside()
        # Who comes in by PUBLIC to a database that was there goes on to.
        found = self._endpoint.found
        grants.on_database("public-connect", PUBLIC, found.public.get("", ()), opts=opts)
        if found.creates:
            grants.on_database("owner-create", roles.owner, ["CREATE", "CONNECT"], opts=opts)
        for kind in ("migrator", "readwrite", "readonly"):
            grants.on_database(f"{kind}-connect", getattr(roles, kind), ["CONNECT"], opts=opts)
        if self._fate.own_cluster:
            opts = self._options(self._fate.lasting)
            for place in ("postgres", "template1"):
                name = f"public-connect-{place}"
                grants.on_database(name, PUBLIC, [], database=place, opts=opts)

    def _fill_app_schema(self, grants: Grants) -> None:
        """Declare the schema of the migrations, and what the groups may do in it."""
        roles = self.roles
        opts = self._inside(*self._make_schema("app", self._schema, owner=roles.owner))
        found = self._endpoint.found
        of_public = found.public.get(self._schema, ())
        grants.on_schema("public-usage", PUBLIC, of_public, schema=self._schema, opts=opts)
        if found.creates:
            may = ["CREATE", "USAGE"]
            grants.on_schema(
                "owner-create-schema", roles.owner, may, schema=self._schema, opts=opts
            )
        groups = {"readwrite": READWRITE, "readonly": READONLY}
        for kind in groups:
            role = getattr(roles, kind)
            grants.on_schema(f"{kind}-usage", role, ["USAGE"], schema=self._schema, opts=opts)
        caught_up = ExistingObjects(
            f"{self._name}-existing-objects",
            admin=self._admin,
            database=self._database,
            schema=self._schema,
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
            grants.by_default(kind, role, reach, schema=self._schema, opts=opts)

    def _make_schema(self, kind: str, name: str, *, owner: str = "") -> list[pulumi.Resource]:
        """Declare a schema, unless it is there in any case: `public`, and one that is adopted."""
        if name == _PUBLIC or self._fate.adopted("schema", name):
            return []
        return [
            postgresql.Schema(
                f"{self._name}-schema-{kind}",
                name=name,
                database=self._database,
                owner=owner or None,
                opts=self._inside(),
            )
        ]

    def _place(self, extension: Extension) -> str:
        """Say in which schema an extension is, or is to be."""
        there = self._endpoint.found.extensions.get(extension.name, "")
        return extension.schema or there or self._extension_schema

    def _install_extensions(self, grants: Grants) -> list[pulumi.Resource]:
        """Declare the extensions, in schemas that all roles may use and none may create in."""
        places = list(dict.fromkeys(map(self._place, self._extensions)))
        after = {place: self._open_extension_schema(grants, place) for place in places}
        made: list[pulumi.Resource] = []
        for each in self._extensions:
            place = self._place(each)
            # One after the other: one may need those before it.
            opts = self._inside(*after[place], *made[-1:])
            extension = postgresql.Extension(
                f"{self._name}-extension-{each.name}",
                name=each.name,
                database=self._database,
                schema=place,
                opts=opts,
            )
            made.append(extension)
        return made

    def _open_extension_schema(self, grants: Grants, place: str) -> list[pulumi.Resource]:
        """Declare a schema of extensions and who may use it; gives the schema if it is made."""
        if place == self._schema:
            return []
        kind = self._short(place)
        made: list[pulumi.Resource] = []
        if place == self._extension_schema or place in {each.schema for each in self._extensions}:
            made = self._make_schema(kind, place)
        opts = self._inside(*made)
        for who in ("owner", "readwrite", "readonly"):
            role = getattr(self.roles, who)
            grants.on_schema(f"{who}-usage-{kind}", role, ["USAGE"], schema=place, opts=opts)
        return made

    def _short(self, place: str) -> str:
        """Name a schema of extensions in the names of resources: `ext` is that of `vector`."""
        first = next((each for each in self._extensions if each.name == "vector"), None)
        usual = self._place(first) if first else self._extension_schema
        return "ext" if place == usual else f"ext-{place}"

    def _close_public_schema(self, grants: Grants) -> None:
        if self._schema == _PUBLIC:
            return
        if self._endpoint.superuser or self._endpoint.major >= _PUBLIC_IS_OURS:
            of_public = self._endpoint.found.public.get(_PUBLIC, ())
            opts = self._inside()
            grants.on_schema("public-public", PUBLIC, of_public, schema=_PUBLIC, opts=opts)

    def _make_settings(self) -> RoleSettings:
        settings = {getattr(self.roles, kind): self._settings_of(kind) for kind in self._logins}
        return RoleSettings(
            f"{self._name}-role-settings",
            admin=self._admin,
            database=self._database,
            settings=settings,
            opts=self._dynamic(self._fate.inside(self.resource)),
        )

    def _path(self) -> list[str]:
        return list(dict.fromkeys([self._schema, *map(self._place, self._extensions)]))

    def _settings_of(self, kind: str) -> dict[str, Any]:
        """Give what sessions of a role begin with here."""
        name, limits = getattr(self.roles, kind), self._limits(kind)
        if kind != "migrator" and self._fate.adopted("role", name):
            return own_settings(self._endpoint.found.settings.get(name, {}))
        given = {
            "search_path": self._path(),
            "statement_timeout": limits.statement_timeout,
            "lock_timeout": limits.lock_timeout,
            "idle_in_transaction_session_timeout": limits.idle_timeout,
            "role": self.roles.owner if kind == "migrator" else "",
        }
        return {setting: value for setting, value in given.items() if value}

    # -- outputs --------------------------------------------------------------------------

    def _url(self, kind: str) -> pulumi.Output[str]:
        endpoint, user = self._endpoint, getattr(self.roles, kind)
        options = {
            **{name: getattr(endpoint, name) for name in TLS},
            "target_session_attrs": endpoint.session_attrs,
        }
        known = pulumi.Output.all(
            addresses=endpoint.addresses,
            # That of an adopted role is its own, and known to who uses it.
            password=self._passwords[kind].password if kind in self._passwords else "",
        )
        return known.apply(
            lambda each: url(user=user, database=self._database, options=options, **each)
        )

    def _admin_url(self) -> pulumi.Output[str]:
        """Give the administrator's, with the search_path that the migrator is to have."""
        endpoint = self._endpoint
        tls = {name: getattr(endpoint, name) for name in TLS}
        options = tls | search_path(self._path())
        known = pulumi.Output.all(
            host=endpoint.host, port=endpoint.port, user=endpoint.user, password=endpoint.password
        )
        return pulumi.Output.secret(
            known.apply(
                lambda each: url(
                    user=each["user"],
                    password=each["password"],
                    addresses=address(each["host"], int(each["port"])),
                    database=self._database,
                    options=options,
                )
            )
        )
