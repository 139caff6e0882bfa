"""A whole life of all resources on the real engine, and the same on the suite's own driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.comparison import differences

if TYPE_CHECKING:
    from tests.conftest import PostgresServer
    from tests.plugins.engine import EngineStack
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.stack import Stack

    AnyStack = Stack | EngineStack

pytestmark = pytest.mark.long

PASSWORD = "engine-s3cret"  # noqa: S105 - made up
ALL = {"group", "app", "other", "data", "schema", "vector", "usage", "future", "member"}
ON_DATA = ("schema", "vector", "usage", "future")
REPLACED = ["delete-replaced", "replace", "create-replacement"]
FOUND = "Found one's"
IN_PLACE = "SELECT rolconnlimit, rolcanlogin FROM pg_roles WHERE rolname = 'app'"
EXTENSION = "SELECT count(*) FROM pg_extension WHERE extname = 'vector'"


def resource(kind: str, *after: str, provider: str = "", **args: object) -> dict[str, Any]:
    """A resource as the test program reads it."""
    return {"type": kind, "args": args, "after": after, "provider": provider}


def program(server: PostgresServer) -> dict[str, dict[str, Any]]:
    """Every type of resource, with the outputs of some as the inputs of others."""
    data, app = {"output": "data.name"}, {"output": "app.name"}
    inside: dict[str, Any] = {"role": app, "database": data, "schema": {"output": "schema.name"}}
    return {
        "pg": resource(
            "Provider",
            host=server.host,
            port=server.port,
            username=server.user,
            password={"secret": server.password},
            sslmode="disable",
        ),
        "group": resource("Role", name="group"),
        "app": resource(
            "Role",
            provider="pg",
            name="app",
            login=True,
            password={"secret": PASSWORD},
            roles=[{"output": "group.name"}],
            connection_limit=3,
        ),
        "other": resource("Role", name="other"),
        "data": resource("Database", name="data", owner={"output": "group.name"}),
        "schema": resource("Schema", name="inside", database=data),
        "vector": resource("Extension", "schema", name="vector", database=data, schema="inside"),
        "usage": resource("Grant", **inside, object_type="schema", privileges=["USAGE"]),
        "future": resource(
            "DefaultPrivileges",
            "usage",
            **inside,
            owner={"output": "group.name"},
            object_type="table",
            privileges=["SELECT"],
        ),
        "member": resource("GrantRole", role={"output": "other.name"}, grant_role="group"),
    }


def changed(declared: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One resource other in place, one that is replaced with all that is in it, and two less."""
    kept = {name: each for name, each in declared.items() if name not in ("other", "member")}
    app = {**kept["app"], "args": {**kept["app"]["args"], "connection_limit": 5}}
    data = {**kept["data"], "args": {**kept["data"]["args"], "template": "template1"}}
    return {**kept, "app": app, "data": data}


def made_and_changed(stack: AnyStack, catalog: Catalog, server: PostgresServer) -> list[Any]:
    """Everything is made, and changed in place or by replacement, with what depends on it."""
    made = stack.up(**program(server))
    assert made.steps == {name: ["create"] for name in ALL}
    outputs = stack.outputs()
    assert outputs["vector"]["schema"] == "inside"
    assert catalog.rows(IN_PLACE) == [(3, True)]
    assert catalog.login("app", PASSWORD, database="data")
    state = stack.exported()
    assert "ciphertext" in state
    assert PASSWORD not in state
    assert server.password not in state
    moved = stack.up(**changed(program(server)))
    replaced = dict.fromkeys(("data", *ON_DATA), REPLACED)
    removed = {name: ["delete"] for name in ("other", "member")}
    assert moved.steps == {"app": ["update"], **replaced, **removed}
    assert catalog.rows(IN_PLACE) == [(5, True)]
    assert catalog.value(EXTENSION, database="data") == 1
    return [made.steps, outputs, moved.steps, stack.outputs()]


def repaired_and_imported(stack: AnyStack, catalog: Catalog) -> list[Any]:
    """What was changed by hand is seen and put right, and a role of others is taken over."""
    catalog.run("ALTER ROLE app NOLOGIN", f'CREATE ROLE "{FOUND}" CONNECTION LIMIT 2')
    catalog.run("DROP EXTENSION vector", database="data")
    drift = stack.drift()
    assert drift.steps == {"app": ["update"], "vector": ["delete"]}
    repaired = stack.up("--refresh")
    assert repaired.steps == {"app": ["update"], "vector": ["create"]}
    assert catalog.rows(IN_PLACE) == [(5, True)]
    assert catalog.value(EXTENSION, database="data") == 1
    stack.assert_settled()
    adopted = stack.adopt(found=("postgresql:index/role:Role", FOUND))
    assert adopted.steps == {"found": ["import"]}
    outputs = stack.outputs()
    assert outputs["found"]["connectionLimit"] == 2
    return [drift.steps, repaired.steps, adopted.steps, outputs]


def live(stack: AnyStack, catalog: Catalog, server: PostgresServer) -> list[Any]:
    """The whole life; what it told."""
    before = catalog.objects()
    told = made_and_changed(stack, catalog, server)
    told += repaired_and_imported(stack, catalog)
    ended = stack.destroy()
    assert ended.steps == {name: ["delete"] for name in (ALL | {"found"}) - {"other", "member"}}
    assert catalog.objects() == before
    # Providers have made-up ids, and the engine counts the stack itself as a resource.
    names = ALL | {"found"}
    return [
        {name: each for name, each in found.items() if name in names}
        for found in [*told, ended.steps]
    ]


def test_the_driver_does_what_the_engine_does(
    stack: Stack, engine_stack: EngineStack, catalog: Catalog, postgres_server: PostgresServer
) -> None:
    """The engine takes all resources through a life, and the driver gets the same steps of it."""
    on_engine = live(engine_stack, catalog, postgres_server)
    assert differences(live(stack, catalog, postgres_server), on_engine) == []
