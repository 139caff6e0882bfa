"""What a resource does where its object, or what that is in, has another name or is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.run import RunError

if TYPE_CHECKING:
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.stack import Stack

_EXECUTE = """
SELECT EXISTS (SELECT FROM pg_default_acl WHERE defaclobjtype = 'f' AND defaclnamespace = 0)
"""


def _declared(database: str, group: str) -> dict[str, dict[str, Any]]:
    """A database and a role, and what the project keeps in one for the other."""
    grant = {"role": group, "database": database}
    return {
        "group": {"type": "Role", "args": {"name": group}},
        "data": {"type": "Database", "args": {"name": database}},
        "connect": {
            "type": "Grant",
            "args": {**grant, "object_type": "database", "privileges": ["CONNECT"]},
            "after": ["group", "data"],
        },
        "schema": {
            "type": "Schema",
            "args": {"name": "app", "database": database},
            "after": ["data"],
        },
        "future": {
            "type": "DefaultPrivileges",
            "args": {
                **grant,
                "owner": group,
                "schema": "app",
                "object_type": "table",
                "privileges": ["SELECT"],
            },
            "after": ["group", "schema"],
        },
        "extension": {
            "type": "Extension",
            "args": {"name": "vector", "database": database},
            "after": ["data"],
        },
    }


def _without(declared: dict[str, dict[str, Any]], *names: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in declared.items() if name not in names}


@pytest.mark.parametrize("kept", ["connect", "schema", "future", "extension"])
def test_a_renamed_database_fails_all_that_is_in_it(
    stack: Stack, catalog: Catalog, kept: str
) -> None:
    """The database is renamed in place; what is in it is deleted by the former name, and fails."""
    others = {"connect", "future", "extension"} - {kept}
    others |= set() if kept in ("schema", "future") else {"schema"}
    stack.up(**_without(_declared("before", "readers"), *others))

    with pytest.raises(RunError, match='database "before" does not exist'):
        stack.up(**_without(_declared("after", "readers"), *others))

    assert catalog.rows("SELECT 1 FROM pg_database WHERE datname = 'after'")


@pytest.mark.parametrize("kept", ["connect", "future"])
def test_a_renamed_role_fails_its_privileges(stack: Stack, catalog: Catalog, kept: str) -> None:
    """The role is renamed in place; REVOKE names it as before, and fails."""
    others = {"connect", "future", "extension"} - {kept}
    stack.up(**_without(_declared("data", "before"), *others))

    with pytest.raises(RunError, match='role "before" does not exist'):
        stack.up(**_without(_declared("data", "after"), *others))

    assert catalog.rows("SELECT 1 FROM pg_roles WHERE rolname = 'after'")


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        ("DROP DATABASE data WITH (FORCE)", 'database "data" does not exist'),
        ("DROP ROLE readers", 'role "readers" does not exist'),
    ],
)
def test_what_is_gone_already_can_not_be_removed(
    stack: Stack, catalog: Catalog, gone: str, problem: str
) -> None:
    """A destroy without a refresh before it fails, and names what is not there."""
    stack.up(**_without(_declared("data", "readers"), "connect", "schema", "future", "extension"))
    catalog.run(gone)

    with pytest.raises(RunError, match=problem):
        stack.destroy()


def test_an_extension_that_is_gone_can_not_be_removed(stack: Stack, catalog: Catalog) -> None:
    """DROP EXTENSION is sent without IF EXISTS."""
    stack.up(**_without(_declared("data", "readers"), "connect", "schema", "future"))
    catalog.run("DROP EXTENSION vector", database="data")

    with pytest.raises(RunError, match='extension "vector" does not exist'):
        stack.destroy()


def test_a_database_with_a_quote_in_its_name_can_not_be_dropped(
    stack: Stack, catalog: Catalog
) -> None:
    """Connections are refused first, and the statement that ends sessions has the name unquoted."""
    stack.up(data={"type": "Database", "args": {"name": "it's"}})

    with pytest.raises(RunError, match="syntax error"):
        stack.destroy()

    assert catalog.rows("SELECT datallowconn FROM pg_database WHERE datname = $1", "it's") == [
        (False,)
    ]


def test_default_execute_that_public_got_again_is_not_seen(stack: Stack, catalog: Catalog) -> None:
    """No row in pg_default_acl is read as no privileges, although EXECUTE is the default."""
    nobody = {"owner": "readers", "object_type": "function", "privileges": []}
    declared = _without(_declared("data", "readers"), "connect", "schema", "future", "extension")
    declared["public"] = {
        "type": "DefaultPrivileges",
        "args": {"role": "public", "database": "data", **nobody},
        "after": ["group", "data"],
    }
    stack.up(**declared)
    assert catalog.value(_EXECUTE, database="data") is True
    catalog.run(
        "ALTER DEFAULT PRIVILEGES FOR ROLE readers GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        database="data",
    )
    assert catalog.value(_EXECUTE, database="data") is False

    assert stack.drift().steps == {}
