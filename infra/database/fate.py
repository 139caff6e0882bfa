"""What becomes of the resources of a database when a stack changes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

if TYPE_CHECKING:
    from infra.servers import Endpoint
    from infra.settings import Settings

__all__ = ["Fate"]

# All that the provider would bring to what a program says of a role, or a database.
_OF_ROLES = (
    "assumeRole",
    "bypassRowLevelSecurity",
    "connectionLimit",
    "createDatabase",
    "createRole",
    "encryptedPassword",
    "idleInTransactionSessionTimeout",
    "inherit",
    "login",
    "password",
    "replication",
    "roles",
    "searchPaths",
    "skipDropRole",
    "skipReassignOwned",
    "statementTimeout",
    "superuser",
    "validUntil",
)
_OF_DATABASES = (
    "allowConnections",
    "alterObjectOwnership",
    "connectionLimit",
    "isTemplate",
    "owner",
    "tablespaceName",
)
# None of them can be changed in a database that is there: the engine would drop it and make
# another.
_FIXED = ("template", "encoding", "lcCollate", "lcCtype")


class Fate:
    """Which resources go with what, are kept, or taken over.

    Three ways to go: with the cluster, where this stack takes that away; not at all, where the
    stack retains what it made; piece by piece on a server that stays, where everything inside
    the database goes with the database.
    """

    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        """Decide by where the server is and what the stack's configuration says."""
        self._endpoint = endpoint
        self._settings = settings
        self._adopting = settings.existing_objects == "adopt"

    @property
    def own_cluster(self) -> bool:
        """Whether the whole cluster is the stack's, with databases such as `postgres`."""
        return self._endpoint.superuser and not self._settings.admin_url

    @property
    def with_the_cluster(self) -> pulumi.ResourceOptions:
        """Options of everything on the server."""
        opts = pulumi.ResourceOptions()
        if self._endpoint.owned:
            # Also where the server is down or broken.
            opts.deleted_with = self._endpoint.server
        elif self._settings.retain:
            opts.retain_on_delete = True
        return opts

    @property
    def lasting(self) -> pulumi.ResourceOptions:
        """Options of what a replacement must not undo.

        Nothing of it is ever deleted by itself: it goes with the database or the cluster. An
        extension that is no longer listed stays, since columns may be made of it. A state of a
        former version deletes, then what is deleted first is made again.
        """
        return pulumi.ResourceOptions(retain_on_delete=True, delete_before_replace=True)

    def role(self, name: str) -> pulumi.ResourceOptions:
        """Options of a role beside those of everything on the server."""
        opts = self._taken_over(name, found=name in self._endpoint.found.roles)
        if self.adopted("role", name):
            opts.ignore_changes = list(_OF_ROLES)
        return opts

    def adopted(self, kind: str, name: str) -> bool:
        """Tell whether a role, the database or its schema was there before the stack.

        Then it stays as it is; what is missing is added beside it.
        """
        return f"{kind} {name}" in self._endpoint.found.adopted

    def database(self, name: str) -> pulumi.ResourceOptions:
        """Options of the database beside those of everything on the server."""
        found = self._endpoint.found.database
        opts = self._taken_over(name, found=found)
        opts.protect = self._settings.protect or None
        others = _OF_DATABASES if self.adopted("database", name) else ()
        opts.ignore_changes = [*_FIXED, *others]
        return opts

    def inside(self, database: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of what is in the database, beside those of everything on the server."""
        depends = pulumi.ResourceOptions(depends_on=[database])
        opts = pulumi.ResourceOptions.merge(self.lasting, depends)
        if not self._endpoint.owned:
            opts.deleted_with = database
        return opts

    def tables(self, database: pulumi.Resource) -> pulumi.Resource | None:
        """Give what the tables go with; None where they stay, or go by the node's own ways."""
        if self._endpoint.owned:
            return self._endpoint.server
        return None if self._settings.retain or self._adopting else database

    def _taken_over(self, name: str, *, found: bool) -> pulumi.ResourceOptions:
        opts = pulumi.ResourceOptions()
        if found:
            opts.import_ = name
        if self._adopting:
            opts.retain_on_delete = True
        return opts
