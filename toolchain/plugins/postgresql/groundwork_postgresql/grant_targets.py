"""What a grant is about, in the catalog and in the words of GRANT and REVOKE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundwork_plugin.errors import PluginError
from groundwork_plugin.properties import text

from .privileges import words
from .sql import identifier, identifiers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Value, Values

    from .session import Session

__all__ = [
    "WITHOUT_SCHEMA",
    "columns_granted",
    "existing_objects",
    "owners",
    "privileges_granted",
    "target",
]

WITHOUT_SCHEMA = ("database", "foreign_data_wrapper", "foreign_server")
"""The object types that are in no schema."""

# What `ON TABLE` takes: tables, partitioned tables, views, materialised views, foreign tables.
_TABLES = ["r", "p", "v", "m", "f"]
_FUNCTIONS = {"function": ["f", "a", "w"], "procedure": ["p"], "routine": ["f", "a", "w", "p"]}

# Each query takes the role and answers one row an object, with the privileges that the role has.
_GRANTED = """
ARRAY(SELECT DISTINCT a.privilege_type FROM aclexplode({acl}) a LEFT JOIN pg_roles g
      ON g.oid = a.grantee
      WHERE CASE WHEN $1 = 'public' THEN a.grantee = 0 ELSE g.rolname = $1 END)
"""
_SINGLE = {
    "database": ("datacl", "pg_database", "datname"),
    "schema": ("nspacl", "pg_namespace", "nspname"),
    "foreign_data_wrapper": ("fdwacl", "pg_foreign_data_wrapper", "fdwname"),
    "foreign_server": ("srvacl", "pg_foreign_server", "srvname"),
}
_RELATIONS = """
SELECT c.relname::text AS name, {granted} AS privileges
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $2 AND c.relkind::text = ANY($3::text[])
"""
_ROUTINES = """
SELECT p.proname::text AS name, p.oid, {granted} AS privileges
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $2 AND p.prokind::text = ANY($3::text[])
"""
_COLUMNS = """
SELECT t.attname::text AS name, {granted} AS privileges
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $2 AND c.relname = $3 AND t.attname = ANY($4::text[]) AND NOT t.attisdropped
"""
_DATABASE_OWNER = """
SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()
"""
_OWNERS = """
SELECT DISTINCT tableowner::text AS owner FROM pg_tables WHERE schemaname = $1 AND $2
UNION SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1
"""


async def target(session: Session, values: Values) -> str:
    """What stands behind ON.

    Args:
        session: In the database of the grant.
        values: Inputs or outputs of the grant.

    Raises:
        PluginError: It names a function with arguments that the schema does not have.
    """
    object_type, schema = text(values, "objectType"), text(values, "schema")
    objects = words(values.get("objects"))
    word = object_type.upper().replace("_", " ")
    if object_type == "database":
        return f"DATABASE {identifier(text(values, 'database'))}"
    if object_type == "schema":
        return f"SCHEMA {identifier(schema)}"
    if object_type in WITHOUT_SCHEMA:
        return f"{word} {identifiers(objects)}"
    if object_type == "column":
        return f"TABLE {identifier(schema)}.{identifier(objects[0])}"
    if not objects:
        return f"ALL {word}S IN SCHEMA {identifier(schema)}"
    qualified = [await _qualified(session, object_type, schema, name) for name in objects]
    return f"{word} {', '.join(qualified)}"


async def privileges_granted(session: Session, values: Values) -> list[list[str]]:
    """The privileges that the role has, a list for each object that the grant is about.

    Args:
        session: In the database of the grant.
        values: Inputs or outputs of the grant.
    """
    object_type, role = text(values, "objectType"), text(values, "role")
    objects, schema = words(values.get("objects")), text(values, "schema")
    if object_type in _SINGLE:
        acl, catalog, column = _SINGLE[object_type]
        name = text(values, object_type) if object_type in ("database", "schema") else objects[0]
        query = f"SELECT {_GRANTED.format(acl=acl)} FROM {catalog} WHERE {column} = $2"  # noqa: S608 - constants
        held = await session.fetchval(query, role, name)
        return [held] if held is not None else []
    if object_type in _FUNCTIONS:
        query = _ROUTINES.format(granted=_GRANTED.format(acl="p.proacl"))
        rows = await session.fetch(query, role, schema, _FUNCTIONS[object_type])
        chosen = [await _routine(session, schema, name) for name in objects if "(" in name]
        return [
            row["privileges"]
            for row in rows
            if not objects or row["name"] in objects or row["oid"] in chosen
        ]
    kinds = ["S"] if object_type == "sequence" else _TABLES if objects else ["r"]
    query = _RELATIONS.format(granted=_GRANTED.format(acl="c.relacl"))
    rows = await session.fetch(query, role, schema, kinds)
    return [row["privileges"] for row in rows if not objects or row["name"] in objects]


async def columns_granted(session: Session, values: Values) -> Iterable[Value]:
    """Those of the grant's columns on which the role has the grant's privilege.

    Args:
        session: In the database of the grant.
        values: Inputs or outputs of the grant.
    """
    columns = words(values.get("columns"))
    rows = await session.fetch(
        _COLUMNS.format(granted=_GRANTED.format(acl="t.attacl")),
        text(values, "role"),
        text(values, "schema"),
        words(values.get("objects"))[0],
        columns,
    )
    wanted = set(words(values.get("privileges")))
    held = {row["name"] for row in rows if wanted <= _spelled_out(row["privileges"])}
    return [column for column in columns if column in held]


async def existing_objects(session: Session, values: Values) -> list[Value] | None:
    """The objects that a grant names and that still exist; None: it names some and all are gone.

    Args:
        session: In the database of the grant.
        values: Inputs or outputs of the grant.
    """
    objects, object_type = words(values.get("objects")), text(values, "objectType")
    schema = text(values, "schema")
    if not objects:
        return []
    left: list[Value] = []
    for name in objects:
        if object_type in _SINGLE:
            _, catalog, column = _SINGLE[object_type]
            query = f"SELECT 1 FROM {catalog} WHERE {column} = $1"  # noqa: S608 - constants
            found = await session.fetchval(query, name)
        elif object_type in _FUNCTIONS:
            found = await _routine(session, schema, name)
        else:
            relation = f"{identifier(schema)}.{identifier(name)}"
            found = await session.fetchval("SELECT to_regclass($1)::oid", relation)
        if found:
            left.append(name)
    return left or None


async def owners(session: Session, values: Values) -> list[str]:
    """The roles whose membership it takes to change the privileges.

    Args:
        session: In the database of the grant.
        values: Inputs or outputs of the grant.
    """
    object_type = text(values, "objectType")
    if object_type in ("foreign_data_wrapper", "foreign_server"):
        return []
    database_owner = str(await session.fetchval(_DATABASE_OWNER))
    if object_type == "database":
        return [database_owner]
    rows = await session.fetch(_OWNERS, text(values, "schema"), object_type != "schema")
    # The owner of `public` is this word for whoever owns the database.
    return [database_owner if row["owner"] == "pg_database_owner" else row["owner"] for row in rows]


async def _qualified(session: Session, object_type: str, schema: str, name: str) -> str:
    if object_type not in _FUNCTIONS or "(" not in name:
        return f"{identifier(schema)}.{identifier(name)}"
    signature = await session.fetchrow(
        "SELECT proname::text AS name, pg_get_function_identity_arguments(oid) AS arguments"
        " FROM pg_proc WHERE oid = $1",
        await _routine(session, schema, name),
    )
    if signature is None:
        raise PluginError(
            f"there is no {object_type} {name!r} in schema {schema!r}; nothing was changed; write "
            "its arguments as types alone, for example 'total(integer, text)'"
        )
    return f"{identifier(schema)}.{identifier(signature['name'])}({signature['arguments']})"


async def _routine(session: Session, schema: str, name: str) -> int | None:
    """The number of a routine; the server takes its signature apart, so none of it is run."""
    if "(" in name:
        base, _, arguments = name.partition("(")
        signature = f"{identifier(schema)}.{identifier(base.strip())}({arguments}"
        oid = await session.fetchval("SELECT to_regprocedure($1)::oid", signature)
    else:
        query = (
            "SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname = $1 AND p.proname = $2 LIMIT 1"
        )
        oid = await session.fetchval(query, schema, name)
    return oid if isinstance(oid, int) else None


def _spelled_out(privileges: Iterable[str]) -> set[str]:
    held = set(privileges)
    return held | {"ALL"} if held == {"SELECT", "INSERT", "UPDATE", "REFERENCES"} else held
