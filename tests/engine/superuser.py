"""Looks into the cluster of an embedded stack, and changes it, as its superuser."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

from infra.database.urls import url

if TYPE_CHECKING:
    from tests.engine.project import Project

__all__ = ["everything", "run"]

# Without what differs between two objects of one name and definition.
_EVERYTHING = """
CREATE FUNCTION pg_temp.sorted(acl aclitem[]) RETURNS text LANGUAGE sql
    RETURN (SELECT string_agg(each::text, ' ' ORDER BY each::text) FROM unnest(acl) each);
SELECT 'role', rolname::text, concat_ws(' ', rolcanlogin, rolinherit, rolconnlimit, rolpassword)
FROM pg_authid
UNION ALL
SELECT 'membership', m.roleid::regrole || ' ' || m.member::regrole,
    concat_ws(' ', inherit_option, set_option)
FROM pg_auth_members m
UNION ALL
SELECT 'setting', concat_ws(' ', datname, setrole::regrole),
    (SELECT array_agg(each ORDER BY each) FROM unnest(setconfig) each)::text
FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase
UNION ALL
SELECT 'database', datname::text, concat_ws(' ', datdba::regrole, pg_temp.sorted(datacl))
FROM pg_database
UNION ALL
SELECT 'schema', nspname::text, concat_ws(' ', nspowner::regrole, pg_temp.sorted(nspacl))
FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'extension', extname::text, extnamespace::regnamespace::text FROM pg_extension
UNION ALL
SELECT 'relation', oid::regclass::text, concat_ws(' ', relowner::regrole, pg_temp.sorted(relacl))
FROM pg_class
WHERE relnamespace::regnamespace::text IN ('app', 'schema_ledger') AND relkind IN ('r', 'S', 'v')
UNION ALL
SELECT 'function', oid::regprocedure::text, pg_temp.sorted(proacl)
FROM pg_proc WHERE pronamespace::regnamespace::text = 'app'
UNION ALL
SELECT 'default privileges', concat_ws(' ', defaclrole::regrole, nspname, defaclobjtype),
    pg_temp.sorted(defaclacl)
FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace
UNION ALL
SELECT 'version', 'alembic_version', version_num FROM app.alembic_version
ORDER BY 1, 2, 3
"""


def run(project: Project, sql: str, *, database: str = "groundwork") -> list[tuple[Any, ...]]:
    """Run statements that are apart by a line's end; gives the rows of the last one."""
    parts = {
        each["urn"].rpartition("::")[2]: each.get("outputs", {}) for each in project.resources()
    }
    place = f"127.0.0.1:{int(parts['server']['port'])}"
    secret = parts["server-admin"]["password"]["plaintext"].strip('"')
    where = url(user="postgres", password=secret, addresses=place, database=database, options={})

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(where)
        try:
            *before, query = sql.strip().split(";\n")
            for statement in before:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def everything(project: Project) -> dict[tuple[str, str], str]:
    """Give roles, privileges, settings and objects: by kind and name, what there is to say."""
    return {(kind, name): said for kind, name, said in run(project, _EVERYTHING)}
