"""Schemas and extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.postgresql.catalog import quote
from tests.plugins.run import RunError

if TYPE_CHECKING:
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.stack import Stack

ODD = "Sche\"ma's ☕"
SCHEMA = "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1"
EXTENSION = """
SELECT nspname::text, extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE extname = $1
"""


def resource(kind: str, *after: str, **args: object) -> dict[str, object]:
    """A resource as the test program reads it."""
    return {"type": kind, "args": args, "after": after}


def test_schemas_and_extensions_through_their_life(stack: Stack, catalog: Catalog) -> None:
    """They are made, settle, move in place, are repaired after changes by hand, and removed."""
    base = {
        "owner": resource("Role", name="owner"),
        "data": resource("Database", name="data"),
        "other": resource("Database", name="other"),
    }
    stack.up(
        **base,
        odd=resource("Schema", "owner", name=ODD, database={"output": "data.name"}, owner="owner"),
        plain=resource("Schema", "data", name="plain", database="data"),
        vector=resource("Extension", "plain", name="vector", database="data", schema="plain"),
    )
    stack.assert_settled()
    assert catalog.value(SCHEMA, ODD, database="data") == "owner"
    assert catalog.value(SCHEMA, "plain", database="data") == catalog.user
    (schema, version), *_ = catalog.rows(EXTENSION, "vector", database="data")
    outputs = stack.outputs()
    assert schema == outputs["vector"]["schema"] == "plain"
    assert outputs["vector"]["version"] == version
    assert [outputs[name]["id"] for name in ("odd", "plain", "vector")] == [
        f"data.{ODD}",
        "data.plain",
        "data.vector",
    ]
    assert outputs["plain"]["owner"] == catalog.user

    moved = {
        "odd": resource("Schema", "owner", name=ODD, database="data", owner=catalog.user),
        "plain": resource("Schema", "data", name="plain", database="data", drop_cascade=True),
        "vector": resource("Extension", "odd", name="vector", database="data", schema=ODD),
    }
    assert stack.up(**base, **moved).steps == {
        "odd": ["update"],
        "plain": ["update"],
        "vector": ["update"],
    }
    stack.assert_settled()
    assert catalog.value(SCHEMA, ODD, database="data") == catalog.user
    assert catalog.rows(EXTENSION, "vector", database="data") == [(ODD, version)]

    catalog.run(
        "DROP EXTENSION vector",
        f"ALTER SCHEMA {quote(ODD)} OWNER TO owner",
        "CREATE TABLE plain.full (id int)",
        database="data",
    )
    assert stack.drift().steps == {"vector": ["delete"], "odd": ["update"]}
    stack.up("--refresh")
    assert catalog.value(SCHEMA, ODD, database="data") == catalog.user
    assert catalog.rows(EXTENSION, "vector", database="data") == [(ODD, version)]

    elsewhere = resource("Extension", "other", name="vector", database="other")
    replaced = stack.up(**base, odd=moved["odd"], vector=elsewhere)
    assert "replace" in replaced.steps["vector"]
    assert catalog.rows(EXTENSION, "vector", database="data") == []
    assert catalog.rows(EXTENSION, "vector", database="other") == [("public", version)]
    assert catalog.value(SCHEMA, "plain", database="data") is None


def test_a_schema_that_exists_is_taken_over(stack: Stack, catalog: Catalog) -> None:
    """A schema of that name becomes the stack's, with the owner that the program gives."""
    catalog.run("CREATE ROLE heir", "CREATE DATABASE data")
    catalog.run("CREATE SCHEMA old", "CREATE TABLE old.kept (id int)", database="data")
    stack.up(old=resource("Schema", name="old", database="data", owner="heir"))
    stack.assert_settled()
    assert catalog.value(SCHEMA, "old", database="data") == "heir"
    assert catalog.value("SELECT count(*) FROM old.kept", database="data") == 0
    with pytest.raises(RunError, match="cannot drop schema old"):
        stack.destroy()
    assert catalog.value("SELECT count(*) FROM old.kept", database="data") == 0


def test_an_extension_that_the_server_lacks_is_refused(stack: Stack) -> None:
    """The run fails with the name of the extension."""
    with pytest.raises(RunError, match="no_such_extension"):
        stack.up(missing=resource("Extension", name="no_such_extension"))
