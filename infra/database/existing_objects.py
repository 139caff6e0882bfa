"""What stood in the schema of the migrations before the groups came: they get it in their reach.

Default privileges are about the future alone. A database that is taken over, or one of a stack
from before there were groups, has tables that they say nothing of. That is caught up with once,
before the default privileges are made: what comes later has what its migration says.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pulumi import dynamic

from infra.database import admin as administrator
from infra.database.names import privileges_by_group
from infra.dynamic import Provider, known
from infra.schema.statements.sql import identifier
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.roles import Roles

__all__ = ["VERSION_TABLE", "ExistingObjects", "ExistingObjectsProvider"]

# A group that has default privileges here already has met every object when it was made.
_NEW = """
SELECT wanted.name FROM unnest($3::text[]) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a
    WHERE d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
    AND pg_get_userbyid(d.defaclrole) = $2 AND pg_get_userbyid(a.grantee) = wanted.name)
"""
# Whose default privileges a former version gave to a role itself.
_DIRECT = """
SELECT DISTINCT pg_get_userbyid(a.grantee)::text AS name, CASE d.defaclobjtype
    WHEN 'r' THEN 'TABLES' ELSE 'SEQUENCES' END AS kind
FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a
WHERE d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
AND pg_get_userbyid(d.defaclrole) = $2 AND d.defaclobjtype IN ('r', 'S')
AND pg_get_userbyid(a.grantee) = ANY ($3::text[])
ORDER BY 1, 2
"""
# Alembic's tables, by what it gives each: who writes there decides what is taken for migrated.
VERSION_TABLE = """
EXISTS (SELECT FROM pg_attribute v WHERE v.attrelid = c.oid AND v.attname = 'version_num')
AND EXISTS (SELECT FROM pg_constraint k
            WHERE k.conrelid = c.oid AND k.contype = 'p' AND k.conname = c.relname || '_pkc')
"""
# Objects of extensions are left out: their installer's word holds. So are functions that were
# closed to PUBLIC: nobody is to call them whom they were not opened to. Sequences of identity
# columns are among the rest: default privileges reach those of a new table as well.
_OBJECTS = f"""
SELECT CASE WHEN c.relkind = 'S' THEN 'sequence' WHEN {VERSION_TABLE} THEN 'version table'
            ELSE 'table' END AS kind,
       format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
              c.oid::regclass) AS place,
       pg_get_userbyid(c.relowner)::text AS owner,
       pg_has_role(current_user, c.relowner, 'USAGE') AS ours
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT 'function', format('ROUTINE %s', p.oid::regprocedure),
       pg_get_userbyid(p.proowner)::text, pg_has_role(current_user, p.proowner, 'USAGE')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
AND EXISTS (
    SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE a.grantee = 0)
ORDER BY 1, 2
"""  # noqa: S608 - a constant


class ExistingObjectsProvider(Provider):
    """Grants once on what is there; nothing of it is watched, migrations may change it."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Catch up again for another group, or in another schema."""
        same = known(news["groups"]) and all(
            olds.get(key) == news[key] for key in ("database", "schema", "owner", "groups")
        )
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Grant to groups that have no default privileges yet."""
        asyncio.run(_catch_up(props))
        return dynamic.CreateResult("objects", _kept(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Do the same for what changed."""
        asyncio.run(_catch_up(news))
        return dynamic.UpdateResult(_kept(news))


class ExistingObjects(dynamic.Resource, module="groundwork", name="ExistingObjects"):
    """Grants on what was made before there were default privileges."""

    def __init__(
        self,
        name: str,
        *,
        admin: pulumi.Input[dict[str, Any]],
        database: str,
        schema: str,
        roles: Roles,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare that the groups reach what is in the schema of the migrations already.

        Args:
            name: Of the resource.
            admin: As `infra.database.admin.inputs` gives it.
            database: Its name.
            schema: Of the migrations.
            roles: The groups get privileges on what is there. Default privileges that the
                members have themselves, and what came of them, are taken back.
            opts: The engine's.
        """
        inputs = {
            "admin": admin,
            "database": database,
            "schema": schema,
            "owner": roles.owner,
            "groups": privileges_by_group(roles),
            "logins": [roles.app, roles.reader],
        }
        super().__init__(ExistingObjectsProvider(), name, inputs, opts)


def _kept(props: Mapping[str, Any]) -> dict[str, Any]:
    return {key: props[key] for key in ("admin", "database", "schema", "owner", "groups", "logins")}


async def _catch_up(props: Mapping[str, Any]) -> None:
    place = (props["schema"], props["owner"])
    async with administrator.session(props["admin"], props["database"]) as connection:
        new = [row["name"] for row in await connection.fetch(_NEW, *place, list(props["groups"]))]
        objects = await connection.fetch(_OBJECTS, props["schema"]) if new else []
        statements = [
            f"GRANT {', '.join(_privileges(props['groups'][group], each['kind']))}"
            f" ON {each['place']} TO {identifier(group)}"
            for group in new
            for each in objects
            if each["ours"]
        ]
        for row in await connection.fetch(_DIRECT, *place, props["logins"]):
            statements += _take_back(props, row["name"], row["kind"])
        doing = f"granting what is in schema {props['schema']} already"
        await administrator.execute(connection, statements, doing=doing)
    _tell(props, [each for each in objects if not each["ours"]])


def _privileges(reach: Mapping[str, list[str]], kind: str) -> list[str]:
    """Give the privileges on a kind of object; where migrations stand, others only read."""
    return ["SELECT"] if kind == "version table" else reach[kind]


def _take_back(props: Mapping[str, Any], role: str, kind: str) -> list[str]:
    schema, owner, role = map(identifier, (props["schema"], props["owner"], role))
    place = f"IN SCHEMA {schema}"
    return [
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} {place} REVOKE ALL ON {kind} FROM {role}",
        f"REVOKE ALL ON ALL {kind} {place} FROM {role}",
        f"REVOKE ALL ON SCHEMA {schema} FROM {role}",
    ]


def _tell(props: Mapping[str, Any], strange: list[Any]) -> None:
    """Say what only somebody else can grant on."""
    if strange:
        owners = ", ".join(sorted({each["owner"] for each in strange}))
        text = (
            f"{len(strange)} objects in schema {props['schema']} belong to {owners}, and were left"
            f" as they are: let their owner grant on them to {', '.join(props['groups'])}, or"
            f" give them to {props['owner']}"
        )
        print(visible(text))  # noqa: T201 - the engine shows it
