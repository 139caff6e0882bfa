"""What was there before the groups: a stack of a former version, a database of somebody else."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from infra.servers.throwaway import throwaway
from tests.engine.existing import Server, Stack
from tests.engine.former import PROGRAM
from tests.engine.project import ROOT, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_PRIVILEGES = (
    "SELECT coalesce(string_agg(privilege_type, ' ' ORDER BY 1), '') FROM pg_class,"
    " aclexplode(relacl) WHERE oid = 'app.skill_files'::regclass AND grantee::regrole::text = "
)


@pytest.fixture
def former(scratch: Path) -> Iterator[Project]:
    """A stack that a former version has brought up."""
    folder = scratch / f"former-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    project = Project(folder, program=PROGRAM)
    project.up()
    yield project
    project.destroy(check=False)
    shutil.rmtree(folder)


def test_a_stack_from_before_there_were_groups_is_changed_in_place(former: Project) -> None:
    """Roles, passwords and rows stay; what the application had itself it has by its group."""
    before = former.outputs()
    former.query(
        "INSERT INTO skill_files (name, version, effective_date, content)"
        " VALUES ('kept', '1', '2026-01-01', 'text') RETURNING name"
    )
    program = former.folder / "__main__.py"
    program.unlink()
    program.symlink_to(ROOT / "__main__.py")

    steps = former.steps()
    assert not [name for name, step in steps.items() if "replace" in step]
    kept = ("db-database", "db-app", "db-migrator", "db-role-owner", "db-role-app", "server")
    assert {steps.get(name, "same") for name in kept} <= {"same", "update"}
    former.configure(drift="refuse")  # what the program changed itself is no drift
    assert "that the program changed itself are no drift" in former.up().text

    after = former.outputs()
    assert (after["url"], after["migrator_url"]) == (before["url"], before["migrator_url"])
    assert former.query("SELECT name FROM skill_files") == [("kept",)]
    assert former.query(f"{_PRIVILEGES} 'groundwork_app'") == [("",)]
    assert former.query(f"{_PRIVILEGES} 'groundwork_readonly'") == [("SELECT",)]
    for role, held in {"app": "", "readwrite": "SELECT USAGE", "readonly": "SELECT"}.items():
        on_sequence = _PRIVILEGES.replace("skill_files", "agent_logs_id_seq")
        assert former.query(f"{on_sequence} 'groundwork_{role}'") == [(held,)]
    on_versions = _PRIVILEGES.replace("skill_files", "alembic_version")
    for role, held in {"app": "", "readwrite": "SELECT", "readonly": "SELECT"}.items():
        assert former.query(f"{on_versions} 'groundwork_{role}'") == [(held,)]
    assert former.query("SELECT name FROM skill_files", url=after["reader_url"]) == [("kept",)]
    assert former.query("SHOW statement_timeout") == [("30s",)]
    assert former.query(
        "SELECT inherit_option FROM pg_auth_members JOIN pg_roles r ON r.oid = member"
        " WHERE rolname = 'groundwork_migrator'"
    ) == [(False,)]
    former.preview("--expect-no-changes")
    former.refresh()
    former.preview("--expect-no-changes")


_SHOP = (
    "CREATE SCHEMA app",
    "CREATE TABLE app.orders (id serial PRIMARY KEY, note text)",
    "CREATE VIEW app.notes AS SELECT note FROM app.orders",
    "CREATE FUNCTION app.open() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE FUNCTION app.closed() RETURNS int LANGUAGE sql RETURN 1",
    "REVOKE ALL ON FUNCTION app.closed() FROM PUBLIC",
    "INSERT INTO app.orders (note) VALUES ('old') RETURNING id",
)
_MAY = """
SELECT has_table_privilege(who, 'app.orders', 'INSERT'),
       has_table_privilege(who, 'app.orders', 'SELECT'),
       has_table_privilege(who, 'app.notes', 'SELECT'),
       has_sequence_privilege(who, 'app.orders_id_seq', 'USAGE'),
       has_function_privilege(who, 'app.open()', 'EXECUTE'),
       has_function_privilege(who, 'app.closed()', 'EXECUTE'),
       has_database_privilege(who, 'postgres', 'CONNECT')
FROM (VALUES ('{who}')) AS each (who)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL 17 of another team, with a database in use."""
    with throwaway(password="another team's -%@/") as made:  # noqa: S106 - of a throwaway server
        server = Server(throwaway=made)
        server.make_admin("keeper")
        server.run(
            "CREATE ROLE shop_owner",
            "CREATE ROLE stranger",
            "GRANT shop_owner TO keeper WITH ADMIN OPTION",
            "GRANT pg_read_all_data TO keeper WITH ADMIN OPTION",
            "CREATE DATABASE shop OWNER shop_owner TEMPLATE template0",
            "SELECT 1",
        )
        server.run("CREATE EXTENSION vector", "SET ROLE shop_owner", *_SHOP, database="shop")
        server.run(
            "CREATE TABLE app.strange (id int)",
            "ALTER TABLE app.strange OWNER TO stranger",
            "SELECT 1",
            database="shop",
        )
        yield server


@pytest.fixture
def stack(scratch: Path, server: Server) -> Iterator[Stack]:
    """A stack that takes the database over, as an administrator without superuser."""
    folder = scratch / f"shop-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    stack = Stack(folder, database="shop")
    stack.admin(server.url("keeper"))
    stack.configure(existingObjects="adopt", auditor="true")
    yield stack
    stack.destroy(check=False)
    shutil.rmtree(folder)


def test_what_stands_in_a_database_that_is_taken_over_is_in_reach(
    stack: Stack, server: Server
) -> None:
    """All but what was closed to everybody or belongs to somebody else, which is told."""
    said = stack.up().text

    assert "1 objects in schema app belong to stranger" in said
    assert server.run(_MAY.format(who="shop_app"), database="shop") == [
        (True, True, True, True, True, False, True)
    ]
    assert server.run(_MAY.format(who="shop_reader"), database="shop") == [
        (False, True, True, False, True, False, True)
    ]
    urls = stack.outputs()
    assert stack.query("SELECT note FROM orders") == [("old",)]
    assert stack.query("SELECT count(*) FROM clients", url=urls["auditor_url"]) == [(0,)]
    stack.preview("--expect-no-changes")

    _repairs_what_is_revoked(stack, server)
    stack.destroy()
    assert {("role", "shop_app"), ("database", "shop")} <= server.objects()


def _repairs_what_is_revoked(stack: Stack, server: Server) -> None:
    """An administrator without superuser sees and repairs grants on the database as well."""
    server.run("REVOKE CONNECT ON DATABASE shop FROM shop_readwrite", "SELECT 1")
    server.run("REVOKE USAGE ON SCHEMA app FROM shop_readonly", "SELECT 1", database="shop")

    stack.refresh()
    stack.up()

    assert server.run(
        "SELECT has_database_privilege('shop_app', 'shop', 'CONNECT'),"
        " has_schema_privilege('shop_reader', 'app', 'USAGE')",
        database="shop",
    ) == [(True, True)]
    stack.preview("--expect-no-changes")
