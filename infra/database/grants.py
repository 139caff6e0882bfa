"""Privileges, one after the other on each object."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pulumi
import pulumi_postgresql as postgresql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.database.names import Reach

__all__ = ["PUBLIC", "Grants"]

PUBLIC = "public"
"""What the provider calls every role; no role itself."""


class Grants:
    """Declares privileges so that no two change one object at once.

    PostgreSQL refuses one of two ('tuple concurrently updated'): each waits for the one before it
    on its object; those on different objects don't wait for each other.
    """

    def __init__(self, name: str, *, database: str, owner: str) -> None:
        """Declare nothing yet.

        Args:
            name: What the resources' names begin with.
            database: Whose objects they are about.
            owner: Whose objects default privileges are about.
        """
        self._name = name
        self._database = database
        self._owner = owner
        self._last: dict[tuple[str, str], pulumi.Resource] = {}

    @property
    def all(self) -> list[pulumi.Resource]:
        """The last on each object: who waits for these has waited for every one."""
        return list(self._last.values())

    def on_database(
        self,
        name: str,
        role: str,
        privileges: Sequence[str],
        *,
        opts: pulumi.ResourceOptions,
        database: str = "",
    ) -> None:
        """Let a role have these privileges on the database, or another, and no others."""
        place = database or self._database
        self._last["database", place] = postgresql.Grant(
            f"{self._name}-grant-{name}",
            database=place,
            role=role,
            object_type="database",
            privileges=list(privileges),
            opts=self._in_turn(("database", place), opts),
        )

    def on_schema(
        self,
        name: str,
        role: str,
        privileges: Sequence[str],
        *,
        schema: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Let a role have these privileges on a schema, and no others."""
        self._last["schema", schema] = postgresql.Grant(
            f"{self._name}-grant-{name}",
            database=self._database,
            role=role,
            object_type="schema",
            schema=schema,
            privileges=list(privileges),
            opts=self._in_turn(("schema", schema), opts),
        )

    def by_default(
        self, name: str, role: str, reach: Reach, *, schema: str, opts: pulumi.ResourceOptions
    ) -> None:
        """Let a role have these privileges on what the owner will make in a schema."""
        for kind, privileges in asdict(reach).items():
            self._by_default(f"{name}-{kind}", role, privileges, (kind, schema), opts)

    def nothing_by_default(self, kind: str, *, opts: pulumi.ResourceOptions) -> None:
        """Take from PUBLIC what it has on whatever the owner will make, in any schema.

        Default privileges in a schema only add to those of all schemas, so it is these.
        """
        self._by_default(f"{PUBLIC}-{kind}", PUBLIC, (), (kind, ""), opts)

    def _by_default(
        self,
        name: str,
        role: str,
        privileges: Sequence[str],
        place: tuple[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        kind, schema = place
        self._last[place] = postgresql.DefaultPrivileges(
            f"{self._name}-default-{name}",
            database=self._database,
            role=role,
            owner=self._owner,
            schema=schema or None,
            object_type=kind,
            privileges=list(privileges),
            opts=self._in_turn(place, opts),
        )

    def _in_turn(
        self, place: tuple[str, str], opts: pulumi.ResourceOptions
    ) -> pulumi.ResourceOptions:
        before = self._last.get(place)
        if before is None:
            return opts
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[before]))
