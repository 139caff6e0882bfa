"""Privileges on objects that exist, and on those to come, and memberships."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.run import RunError

if TYPE_CHECKING:
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.stack import Stack

READER = "Re\"ader's ☕"
SCHEMA = 'Sche"ma'

# Privileges of a role, of `public` where the name is empty, as `PRIVILEGE` or `PRIVILEGE*`.
HELD = """
SELECT DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END
FROM aclexplode(({acl})) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE COALESCE(r.rolname, '') = $1 ORDER BY 1
"""
DATABASE = "SELECT datacl FROM pg_database WHERE datname = 'data'"
IN_SCHEMA = "SELECT nspacl FROM pg_namespace WHERE nspname = 'Sche\"ma'"
RELATION = "SELECT relacl FROM pg_class WHERE relname = '{}'"
FUNCTION = "SELECT proacl FROM pg_proc WHERE proname = '{}'"
COLUMN = """
SELECT attacl FROM pg_attribute WHERE attrelid = '"Sche""ma".first'::regclass AND attname = '{}'
"""
FUTURE = "SELECT defaclacl FROM pg_default_acl WHERE defaclobjtype = '{}'"
MEMBER = """
SELECT admin_option FROM pg_auth_members WHERE pg_get_userbyid(member) = $1
AND pg_get_userbyid(roleid) = $2
"""


def held(catalog: Catalog, acl: str, role: str = READER) -> list[str]:
    """The privileges of a role in an access list of the database `data`."""
    return [row[0] for row in catalog.rows(HELD.format(acl=acl), role, database="data")]


def grant(
    kind: str, *privileges: str, role: str = READER, after: str = "", **args: object
) -> dict[str, object]:
    """A grant as the test program reads it, made after another one on the same object."""
    arguments = {"role": role, "database": "data", "object_type": kind, "privileges": privileges}
    return {
        "type": "Grant",
        "args": {**arguments, **args},
        "after": [after] if after else [],
    }


@pytest.fixture(autouse=True)
def objects(catalog: Catalog) -> None:
    """A database with a schema, tables, a sequence, functions and a role."""
    quoted = '"Sche""ma"'
    catalog.run("CREATE DATABASE data", 'CREATE ROLE "Re""ader\'s ☕"', "CREATE ROLE maker")
    catalog.run(
        f"CREATE SCHEMA {quoted}",
        f"CREATE TABLE {quoted}.first (a int, b int)",
        f"CREATE TABLE {quoted}.second (a int)",
        f"CREATE SEQUENCE {quoted}.counter",
        f"CREATE FUNCTION {quoted}.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'",
        f"CREATE FUNCTION {quoted}.twice(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $1'",
        f"GRANT USAGE ON SCHEMA {quoted} TO maker",
        database="data",
    )


def test_grants_on_every_kind_of_object(stack: Stack, catalog: Catalog) -> None:
    """Each grant gives what it lists and no more, settles, and takes it away when it goes."""
    tables = grant("table", "SELECT", "INSERT", schema=SCHEMA)
    stack.up(
        database=grant("database", "CONNECT", "TEMPORARY"),
        schema=grant("schema", "USAGE", schema=SCHEMA),
        tables=tables,
        some=grant(
            "table", "SELECT", role="maker", after="tables", schema=SCHEMA, objects=["second"]
        ),
        sequences=grant("sequence", "USAGE", schema=SCHEMA),
        functions=grant("function", "EXECUTE", schema=SCHEMA),
        column=grant(
            "column",
            "SELECT",
            role="maker",
            after="some",
            schema=SCHEMA,
            objects=["first"],
            columns=["a"],
        ),
        nobody=grant("database", role="public", after="database"),
    )
    stack.assert_settled()
    assert held(catalog, DATABASE) == ["CONNECT", "TEMPORARY"]
    assert held(catalog, IN_SCHEMA) == ["USAGE"]
    assert held(catalog, RELATION.format("first")) == ["INSERT", "SELECT"]
    assert held(catalog, RELATION.format("second")) == ["INSERT", "SELECT"]
    assert held(catalog, RELATION.format("first"), "maker") == []
    assert held(catalog, RELATION.format("second"), "maker") == ["SELECT"]
    assert held(catalog, RELATION.format("counter")) == ["USAGE"]
    assert held(catalog, FUNCTION.format("twice") + " LIMIT 1") == ["EXECUTE"]
    assert held(catalog, COLUMN.format("a"), "maker") == ["SELECT"]
    assert held(catalog, COLUMN.format("b"), "maker") == []
    # An empty list of privileges takes away what everybody has from the start.
    assert held(catalog, DATABASE, "") == []
    assert stack.outputs()["tables"]["id"] == f"{READER}_data_{SCHEMA}_table"
    stack.destroy()
    for acl in (DATABASE, IN_SCHEMA, RELATION.format("first"), RELATION.format("counter")):
        assert held(catalog, acl) == []


def test_grants_change_and_are_repaired(stack: Stack, catalog: Catalog) -> None:
    """Fewer privileges change in place, the grant option replaces, and a revocation is repaired."""
    stack.up(
        database=grant("database", "CONNECT", "CREATE"),
        tables=grant("table", "SELECT", "INSERT", schema=SCHEMA),
        option=grant("schema", "USAGE", schema=SCHEMA),
    )
    changed = {
        "database": grant("database", "CONNECT"),
        "tables": grant("table", "SELECT", schema=SCHEMA),
        "option": grant("schema", "USAGE", schema=SCHEMA, with_grant_option=True),
    }
    steps = stack.up(**changed).steps
    assert (steps["database"], steps["tables"]) == (["update"], ["update"])
    assert "replace" in steps["option"]
    stack.assert_settled()
    assert held(catalog, DATABASE) == ["CONNECT"]
    assert held(catalog, RELATION.format("first")) == ["SELECT"]
    assert held(catalog, IN_SCHEMA) == ["USAGE*"]
    catalog.run(
        'REVOKE CONNECT ON DATABASE data FROM "Re""ader\'s ☕"',
        'GRANT DELETE ON "Sche""ma".second TO "Re""ader\'s ☕"',
        database="data",
    )
    assert stack.drift().steps == {"database": ["update"], "tables": ["update"]}
    stack.up("--refresh")
    stack.assert_settled()
    assert held(catalog, DATABASE) == ["CONNECT"]
    assert held(catalog, RELATION.format("first")) == ["SELECT"]


def test_default_privileges_and_memberships(stack: Stack, catalog: Catalog) -> None:
    """Objects to come get their privileges, members their role; both are seen when taken away."""
    future = {"role": READER, "database": "data", "owner": "maker", "object_type": "table"}
    declared = {
        "inside": {
            "type": "DefaultPrivileges",
            "args": {**future, "schema": SCHEMA, "privileges": ["SELECT", "INSERT"]},
        },
        "everywhere": {
            "type": "DefaultPrivileges",
            "args": {**future, "object_type": "sequence", "privileges": ["USAGE"]},
        },
        "member": {"type": "GrantRole", "args": {"role": READER, "grant_role": "maker"}},
    }
    stack.up(**declared)
    stack.assert_settled()
    assert held(catalog, FUTURE.format("r")) == ["INSERT", "SELECT"]
    assert held(catalog, FUTURE.format("S")) == ["USAGE"]
    assert catalog.rows(MEMBER, READER, "maker") == [(False,)]
    outputs = stack.outputs()
    assert [outputs[name]["id"] for name in declared] == [
        f"{READER}_data_{SCHEMA}_maker_table",
        f"{READER}_data_noschema_maker_sequence",
        f"{READER}_maker_false",
    ]
    catalog.run(
        'ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA "Sche""ma"'
        ' REVOKE INSERT ON TABLES FROM "Re""ader\'s ☕"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE maker REVOKE ALL ON SEQUENCES FROM "Re""ader\'s ☕"',
        'REVOKE maker FROM "Re""ader\'s ☕"',
        database="data",
    )
    assert stack.drift().steps == {
        "inside": ["update"],
        "everywhere": ["delete"],
        "member": ["delete"],
    }
    stack.up("--refresh")
    stack.assert_settled()
    assert held(catalog, FUTURE.format("r")) == ["INSERT", "SELECT"]
    assert held(catalog, FUTURE.format("S")) == ["USAGE"]
    assert catalog.rows(MEMBER, READER, "maker") == [(False,)]
    stack.destroy()
    assert held(catalog, FUTURE.format("r")) == held(catalog, FUTURE.format("S")) == []
    assert catalog.rows(MEMBER, READER, "maker") == []


def test_a_privilege_that_the_object_cannot_have_is_refused(stack: Stack) -> None:
    """The run ends with the name of the privilege, and nothing is in the state."""
    with pytest.raises(RunError, match="SELECT"):
        stack.up(wrong=grant("database", "SELECT"))
    assert "wrong" not in stack.outputs()
