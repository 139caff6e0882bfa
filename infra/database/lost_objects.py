"""Compares a server with objects that a state has, and makes again those that are missing.

Objects are mappings: `kind`, the last part of the provider's type ("Role", "Grant", ...), and the
outputs that the provider `postgresql` had of the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.database import admin as administrator
from infra.database import recorded_grants
from infra.database.admin import AccessError
from infra.database.existing_objects import VERSION_TABLE
from infra.database.grants import PUBLIC
from infra.schema.statements.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Object = Mapping[str, Any]

__all__ = ["find", "restore"]

_SEPARATE_OPTIONS = 16  # the major version since which a membership has options of its own
_FLAGS = {
    "superuser": "SUPERUSER",
    "createDatabase": "CREATEDB",
    "createRole": "CREATEROLE",
    "inherit": "INHERIT",
    "login": "LOGIN",
    "bypassRowLevelSecurity": "BYPASSRLS",
    "replication": "REPLICATION",
}
# The letters of a kind of object in pg_default_acl and for acldefault.
_LETTERS = {
    "table": ("r", "r"),
    "sequence": ("S", "s"),
    "function": ("f", "f"),
    "routine": ("f", "f"),
    "type": ("T", "T"),
    "schema": ("n", "n"),
}

_ROLES = "SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[])"
_DATABASES = "SELECT datname::text FROM pg_database WHERE datname = ANY ($1::text[])"
_SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE nspname = ANY ($1::text[])"
_EXTENSIONS = "SELECT extname::text FROM pg_extension WHERE extname = ANY ($1::text[])"
_IDENTITIES = """
SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND pg_get_userbyid(c.relowner) = $1::text
AND $2::text IN ('', n.nspname::text) AND EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
"""
_VERSION_TABLES = f"""
SELECT c.oid::regclass::text AS name, n.nspname::text AS schema, ARRAY(
    SELECT DISTINCT a.grantee::regrole::text
    FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
    AND pg_get_userbyid(a.grantee)::text = ANY ($2::text[])
    AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')) AS writers
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1::text[]) AND c.relkind = 'r'
AND pg_has_role(current_user, c.relowner, 'USAGE') AND {VERSION_TABLE}
"""  # noqa: S608 - a constant
# Of what is listed before, who holds it: $1, which is `public` for every role.
_HELD = """
SELECT array_agg(DISTINCT privilege_type::text) FROM acl, aclexplode(acl.items)
WHERE CASE WHEN $1 = 'public' THEN grantee = 0 ELSE grantee = to_regrole(quote_ident($1)) END
"""
_ON_DATABASE = """
WITH acl (items) AS (
    SELECT coalesce(datacl, acldefault('d', datdba)) FROM pg_database WHERE datname = $2
)
"""
_ON_SCHEMA = """
WITH acl (items) AS (
    SELECT coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = $2
)
"""
# What holds in all schemas begins with PostgreSQL's own default, what holds in one adds to it.
_BY_DEFAULT = """
WITH place AS (
    SELECT (SELECT oid FROM pg_roles WHERE rolname = $2) AS owner,
           coalesce((SELECT oid FROM pg_namespace WHERE nspname = $3), 0) AS home
), acl (items) AS (
    SELECT coalesce(
        (SELECT defaclacl FROM pg_default_acl
         WHERE defaclrole = owner AND defaclnamespace = home AND defaclobjtype::text = $4),
        CASE WHEN home = 0 THEN acldefault($5::text::"char", owner) END)
    FROM place
)
"""


async def find(admin: dict[str, Any], objects: Sequence[Object]) -> list[str]:
    """Name what of the objects is missing, or has other privileges than it was given.

    Args:
        admin: As `infra.database.admin.inputs` gives it.
        objects: See above.

    Raises:
        LiveError: The server doesn't answer.
    """
    lost: list[str] = []
    databases = _kind(objects, "Database")
    async with administrator.session(admin) as connection:
        roles = await _missing(connection, _ROLES, _kind(objects, "Role"))
        gone = await _missing(connection, _DATABASES, databases)
        lost += [f"the role {each['name']!r}" for each in roles]
        lost += [f"the database {each['name']!r}" for each in gone]
        lost += [
            _title(each)
            for each in _kind(objects, "Grant")
            if each["objectType"] == "database" and await _differs(connection, each)
        ]
    there = [each["name"] for each in databases if each not in gone]
    for database in there:
        async with administrator.session(admin, database) as connection:
            lost += [_title(each) for each in await _lost_inside(connection, objects, database)]
            lost += [
                f"what {', '.join(table['writers'])} may do with {table['name']}"
                for table in await _version_tables(connection, objects, database)
                if table["writers"]
            ]
    return lost


async def restore(admin: dict[str, Any], objects: Sequence[Object]) -> None:
    """Make what is missing, and give privileges as they were given.

    A role that was dropped also gets what the schema's ledger remembers of its privileges.

    Args:
        admin: As `infra.database.admin.inputs` gives it.
        objects: See above.

    Raises:
        LiveError: The server doesn't answer.
        AccessError: The server refuses.
    """
    async with administrator.session(admin) as connection:
        roles = await _missing(connection, _ROLES, _kind(objects, "Role"))
        await _make_roles(connection, roles)
        databases = _kind(objects, "Database")
        for each in await _missing(connection, _DATABASES, databases):
            await _become(connection, each["owner"])
            await _execute(connection, _create_database(each))
        for each in _kind(objects, "Grant"):
            if each["objectType"] == "database" and await _differs(connection, each):
                await _grant(connection, each)
    for each in databases:
        async with administrator.session(admin, each["name"]) as connection:
            await _restore_inside(connection, objects, each["name"])
            names = [role["name"] for role in roles]
            statements = await recorded_grants.statements(connection, names)
            statements += await _on_identities(connection, objects, names)
            for table in await _version_tables(connection, objects, each["name"]):
                statements += _on_version_table(table, objects, names)
            doing = "giving roles the privileges that the ledger remembers"
            await administrator.execute(connection, statements, doing=doing)


async def _restore_inside(connection: Any, objects: Sequence[Object], database: str) -> None:
    # Twice, since a schema that was made is only then known to lack its privileges.
    for _ in range(2):
        for each in await _lost_inside(connection, objects, database):
            if each["kind"] == "Schema":
                await _become(connection, each.get("owner"))
                await _execute(connection, _create_schema(each))
            elif each["kind"] == "Extension":
                schema = f" SCHEMA {identifier(each['schema'])}" if each.get("schema") else ""
                await _execute(connection, f"CREATE EXTENSION {identifier(each['name'])}{schema}")
            else:
                await _grant(connection, each)


async def _lost_inside(connection: Any, objects: Sequence[Object], database: str) -> list[Object]:
    """Give what is missing in the database of a session, in the order in which it is made."""
    inside = [each for each in objects if each.get("database") == database]
    schemas = await _missing(connection, _SCHEMAS, _kind(inside, "Schema"))
    extensions = await _missing(connection, _EXTENSIONS, _kind(inside, "Extension"))
    privileges = [
        each
        for each in (*_kind(inside, "Grant"), *_kind(inside, "DefaultPrivileges"))
        if (each["kind"] == "DefaultPrivileges" or each["objectType"] == "schema")
        and await _differs(connection, each)
    ]
    return [*schemas, *extensions, *privileges]


def _kind(objects: Iterable[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


async def _missing(connection: Any, question: str, objects: Sequence[Object]) -> list[Object]:
    rows = await connection.fetch(question, [each["name"] for each in objects])
    there = {row[0] for row in rows}
    return [each for each in objects if each["name"] not in there]


async def _differs(connection: Any, each: Object) -> bool:
    """Tell whether a role has other privileges than it was given; without its place, it has not."""
    schema, role = each.get("schema") or "", each["role"]
    if each["kind"] == "DefaultPrivileges":
        letters = _LETTERS[each["objectType"]]
        question: tuple[str, ...] = (_BY_DEFAULT + _HELD, role, each["owner"], schema, *letters)
    elif each["objectType"] == "database":
        question = (_ON_DATABASE + _HELD, role, each["database"])
    else:
        question = (_ON_SCHEMA + _HELD, role, schema)
    held = await connection.fetchval(*question)
    if set(held or ()) == set(each.get("privileges") or ()):
        return False
    needed = [(_ROLES, role)] if role != PUBLIC else []
    if each["kind"] == "DefaultPrivileges":
        needed.append((_ROLES, each["owner"]))
    if schema:
        needed.append((_SCHEMAS, schema))
    elif each["kind"] == "Grant":
        needed.append((_DATABASES, each["database"]))
    return all([await connection.fetch(query, [name]) for query, name in needed])


def _title(each: Object) -> str:
    if each["kind"] == "Schema":
        return f"the schema {each['name']!r}"
    if each["kind"] == "Extension":
        return f"the extension {each['name']!r}"
    place = f"schema {each['schema']!r}" if each.get("schema") else f"database {each['database']!r}"
    if each["kind"] == "Grant":
        return f"what {each['role']!r} may do in {place}"
    return f"what {each['role']!r} may do with each new {each['objectType']} in {place}"


async def _on_identities(
    connection: Any, objects: Sequence[Object], roles: Sequence[str]
) -> list[str]:
    """Write GRANTs on sequences of identity columns, which no catalog of the ledger lists."""
    statements = []
    for each in _kind(objects, "DefaultPrivileges"):
        if each["objectType"] == "sequence" and each["role"] in roles and each.get("privileges"):
            privileges, role = ", ".join(each["privileges"]), identifier(each["role"])
            places = await connection.fetch(_IDENTITIES, each["owner"], each.get("schema") or "")
            statements += [
                f"GRANT {privileges} ON SEQUENCE {place['name']} TO {role}" for place in places
            ]
    return statements


async def _version_tables(
    connection: Any, objects: Sequence[Object], database: str
) -> list[Object]:
    """List Alembic's tables in the schemas of a database, with the groups that may write there."""
    privileges = [
        each
        for each in _kind(objects, "DefaultPrivileges")
        if each.get("database") == database and each.get("schema")
    ]
    schemas = list({each["schema"] for each in privileges})
    groups = list({each["role"] for each in privileges})
    return [dict(row) for row in await connection.fetch(_VERSION_TABLES, schemas, groups)]


def _on_version_table(table: Object, objects: Sequence[Object], roles: Sequence[str]) -> list[str]:
    """Write what lets no group write into Alembic's table, and roles that are new read it."""
    writing = "INSERT, UPDATE, DELETE, TRUNCATE"
    statements = [f"REVOKE {writing} ON {table['name']} FROM {role}" for role in table["writers"]]
    for each in _kind(objects, "DefaultPrivileges"):
        place = (each["objectType"], each.get("schema"))
        if each["role"] in roles and place == ("table", table["schema"]):
            statements.append(f"GRANT SELECT ON {table['name']} TO {identifier(each['role'])}")
    return statements


# -- statements -------------------------------------------------------------------------------


async def _execute(connection: Any, *statements: str) -> None:
    """Run statements one by one: some can't be in a transaction."""
    import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

    for statement in statements:
        try:
            await connection.execute(statement)
        except asyncpg.PostgresError as exc:
            raise _refused(exc, statement) from exc


def _refused(exc: Any, statement: str) -> AccessError:
    return AccessError(
        f"What was removed from the server can't be made again: {exc.message or exc}"
        f" ({exc.sqlstate}).\n  {statement}\nWhat was made before it stays. `pulumi refresh` takes"
        " what is missing out of the state, and `pulumi up` makes it then."
    )


async def _make_roles(connection: Any, roles: Sequence[Object]) -> None:
    for each in roles:
        flags = [("" if each.get(key) else "NO") + word for key, word in _FLAGS.items()]
        limit = int(each.get("connectionLimit", -1))  # the engine's numbers are floats
        name = identifier(each["name"])
        await _execute(connection, f"CREATE ROLE {name} {' '.join(flags)} CONNECTION LIMIT {limit}")
        await _set_password(connection, name, each.get("password"))
    for each in roles:
        for group in each.get("roles") or ():
            await _execute(connection, f"GRANT {identifier(group)} TO {identifier(each['name'])}")


async def _set_password(connection: Any, name: str, password: str | None) -> None:
    import asyncpg  # noqa: PLC0415 - as above

    if not password:
        return
    try:
        await connection.execute(f"ALTER ROLE {name} PASSWORD {literal(password)}")
    except asyncpg.PostgresError as exc:
        raise _refused(exc, f"ALTER ROLE {name} PASSWORD ...") from None  # it has the password


async def _become(connection: Any, role: str | None) -> None:
    """Let an administrator without superuser act for a role that is to own something."""
    ours = "SELECT pg_has_role(current_user, rolname, 'USAGE') FROM pg_roles WHERE rolname = $1"
    if not role or await connection.fetchval(ours, role) is not False:
        return
    separate = connection.get_server_version().major >= _SEPARATE_OPTIONS
    options = " WITH INHERIT TRUE, SET TRUE" if separate else ""
    await _execute(connection, f"GRANT {identifier(role)} TO CURRENT_USER{options}")


def _create_database(each: Object) -> str:
    limit = int(each.get("connectionLimit", -1))
    return (
        f"CREATE DATABASE {identifier(each['name'])} OWNER {identifier(each['owner'])}"
        f" TEMPLATE {identifier(each.get('template') or 'template0')}"
        f" ENCODING {literal(each.get('encoding') or 'UTF8')}"
        f" LC_COLLATE {literal(each.get('lcCollate') or 'C')}"
        f" LC_CTYPE {literal(each.get('lcCtype') or 'C')} CONNECTION LIMIT {limit}"
    )


def _create_schema(each: Object) -> str:
    owner = f" AUTHORIZATION {identifier(each['owner'])}" if each.get("owner") else ""
    return f"CREATE SCHEMA {identifier(each['name'])}{owner}"


async def _grant(connection: Any, each: Object) -> None:
    schema = each.get("schema") or ""
    before = ""
    if each["kind"] == "DefaultPrivileges":
        await _become(connection, each["owner"])
        inside = f" IN SCHEMA {identifier(schema)}" if schema else ""
        before = f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(each['owner'])}{inside} "
        place = f"{each['objectType'].upper()}S"
    elif each["objectType"] == "database":
        place = f"DATABASE {identifier(each['database'])}"
    else:
        place = f"SCHEMA {identifier(schema)}"
    role = identifier(each["role"])
    if each["role"] == PUBLIC:
        role = "PUBLIC"
    statements = [f"{before}REVOKE ALL ON {place} FROM {role}"]
    if each.get("privileges"):
        statements.append(f"{before}GRANT {', '.join(each['privileges'])} ON {place} TO {role}")
    await administrator.execute(connection, statements, doing="putting privileges right")
