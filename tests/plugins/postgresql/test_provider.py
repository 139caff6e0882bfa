"""The provider's own configuration, imports, and administrators that are no superusers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.run import RunError

if TYPE_CHECKING:
    from tests.conftest import PostgresServer
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.postgresql.conftest import MakeStack
    from tests.plugins.stack import Stack

SECRET = "sup3r-hidden"  # noqa: S105 - made up
APP = "pass-word"
LIMITS = """
SELECT rolconnlimit, datconnlimit FROM pg_database JOIN pg_roles r ON r.oid = datdba
WHERE datname = 'old'
"""
INSIDE = """
SELECT oid FROM pg_namespace WHERE nspname = 'old'
UNION ALL SELECT oid FROM pg_extension WHERE extname = 'vector' ORDER BY 1
"""


def resource(kind: str, *after: str, provider: str = "", **args: object) -> dict[str, object]:
    """A resource as the test program reads it."""
    return {"type": kind, "args": args, "after": after, "provider": provider}


def numbers(catalog: Catalog) -> list[object]:
    """What tells the objects of the import from new ones of the same names."""
    outside = catalog.rows("SELECT oid, datdba FROM pg_database WHERE datname = 'old'")
    return [*outside, *catalog.rows(INSIDE, database="old")]


def test_an_administrator_without_superuser(
    stack: Stack, catalog: Catalog, postgres_server: PostgresServer
) -> None:
    """An explicit provider with CREATEROLE and CREATEDB alone sets a whole database up."""
    catalog.run(f"CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD '{SECRET}'")
    declared = {
        "pg": resource(
            "Provider",
            host=postgres_server.host,
            port=postgres_server.port,
            username="admin",
            password={"secret": SECRET},
            database="postgres",
            sslmode="disable",
            superuser=False,
            connect_timeout=15,
        ),
        "owner": resource("Role", provider="pg", name="owner"),
        "app": resource("Role", provider="pg", name="app", login=True, password=APP),
        "data": resource("Database", "owner", provider="pg", name="data", owner="owner"),
        "schema": resource(
            "Schema", "data", provider="pg", name="schema", database="data", owner="owner"
        ),
        "usage": resource(
            "Grant",
            "schema",
            "app",
            provider="pg",
            role="app",
            database="data",
            schema="schema",
            object_type="schema",
            privileges=["USAGE"],
        ),
        "future": resource(
            "DefaultPrivileges",
            "usage",
            provider="pg",
            role="app",
            database="data",
            owner="owner",
            schema="schema",
            object_type="table",
            privileges=["SELECT"],
        ),
    }
    stack.up(**declared)
    stack.assert_settled()
    query = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'data'"
    assert catalog.value(query) == "owner"
    query = "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'schema'"
    assert catalog.value(query, database="data") == "owner"
    assert catalog.login("app", APP, database="data")
    query = "SELECT has_schema_privilege('app', 'schema', 'USAGE')"
    assert catalog.value(query, database="data") is True
    query = "SELECT count(*) FROM pg_default_acl"
    assert catalog.value(query, database="data") == 1
    # What it borrowed to act for the owner, it gave back.
    query = "SELECT count(*) FROM pg_auth_members WHERE member = 'admin'::regrole AND set_option"
    assert catalog.value(query) == 0
    assert SECRET not in stack.exported()
    stack.destroy()
    assert {name for _, name in catalog.objects()}.isdisjoint({"owner", "app", "data"})


def test_objects_are_imported(stack: Stack, catalog: Catalog) -> None:
    """Roles, databases, schemas and extensions come in by their ids, and stay what they are."""
    catalog.run('CREATE ROLE "Old\'s" LOGIN CONNECTION LIMIT 4')
    catalog.run('CREATE DATABASE old OWNER "Old\'s" TEMPLATE template0 CONNECTION LIMIT 6')
    catalog.run("CREATE SCHEMA old", "CREATE EXTENSION vector SCHEMA old", database="old")
    before = numbers(catalog)
    stack.declare()
    with pytest.raises(RunError, match="does not exist"):
        stack.adopt(nobody=("postgresql:index/role:Role", "nobody"))
    stack.adopt(
        role=("postgresql:index/role:Role", "Old's"),
        data=("postgresql:index/database:Database", "old"),
        schema=("postgresql:index/schema:Schema", "old.old"),
        vector=("postgresql:index/extension:Extension", "old.vector"),
    )
    # The first update may write down defaults that no catalog tells; nothing is made anew.
    taken_over = stack.up(
        role=resource("Role", name="Old's", login=True, connection_limit=4),
        data=resource("Database", name="old", owner="Old's", connection_limit=6),
        schema=resource("Schema", name="old", database="old"),
        vector=resource("Extension", name="vector", database="old", schema="old"),
    )
    assert {step for steps in taken_over.steps.values() for step in steps} <= {"update"}
    stack.assert_settled()
    assert numbers(catalog) == before
    assert catalog.rows(LIMITS) == [(4, 6)]
    outputs = stack.outputs()
    assert (outputs["role"]["login"], outputs["role"]["connectionLimit"]) == (True, 4)
    assert (outputs["data"]["owner"], outputs["data"]["encoding"]) == ("Old's", "UTF8")
    assert outputs["schema"]["owner"] == catalog.user
    assert outputs["vector"]["schema"] == "old"


def test_a_wrong_password_is_told_and_not_shown(make_stack: MakeStack, catalog: Catalog) -> None:
    """The run fails with the user's name, without the password."""
    stack = make_stack(PGPASSWORD=SECRET)
    refusal = f'password authentication failed for user "{catalog.user}"'
    with pytest.raises(RunError, match=refusal) as failure:
        stack.up(role=resource("Role", name="never"))
    assert SECRET not in str(failure.value)
