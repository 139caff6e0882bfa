"""What was removed from the server outside of Pulumi: one `up` without a refresh repairs it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from infra.servers.throwaway import throwaway
from tests.engine import superuser
from tests.engine.existing import Server, Stack, trusting_binaries
from tests.engine.project import Project
from tests.servers.running import stop_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One thing that somebody does.

    Attributes:
        sql: What they run.
        said: What the next preview says of it.
        database: Where.
    """

    sql: str
    said: str
    database: str = "groundwork"


_REMOVALS = {
    "grant on a schema": Removal(
        sql="REVOKE USAGE ON SCHEMA app FROM groundwork_readwrite",
        said="what 'groundwork_readwrite' may do in schema 'app'",
    ),
    "grant on the database": Removal(
        sql="REVOKE CONNECT ON DATABASE groundwork FROM groundwork_readonly",
        said="what 'groundwork_readonly' may do in database 'groundwork'",
    ),
    "privilege of PUBLIC": Removal(
        sql="GRANT CONNECT ON DATABASE groundwork TO PUBLIC",
        said="what 'public' may do in database 'groundwork'",
    ),
    "default privilege": Removal(
        sql="ALTER DEFAULT PRIVILEGES FOR ROLE groundwork_owner IN SCHEMA app"
        " REVOKE SELECT ON TABLES FROM groundwork_readonly",
        said="what 'groundwork_readonly' may do with each new table",
    ),
    "default EXECUTE for PUBLIC": Removal(
        sql="ALTER DEFAULT PRIVILEGES FOR ROLE groundwork_owner"
        " GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        said="what 'public' may do with each new function",
    ),
    "setting": Removal(
        sql="ALTER ROLE groundwork_app IN DATABASE groundwork RESET search_path",
        said="settings of roles",
    ),
    "membership": Removal(
        sql="REVOKE groundwork_readwrite FROM groundwork_app", said="memberships of roles"
    ),
    "login": Removal(sql="DROP ROLE groundwork_app", said="the role 'groundwork_app'"),
    "group": Removal(
        sql="DROP OWNED BY groundwork_readonly;\nDROP ROLE groundwork_readonly",
        said="the role 'groundwork_readonly'",
    ),
    "ledger": Removal(sql="DROP SCHEMA schema_ledger CASCADE", said="ledger"),
    "schema": Removal(sql="DROP SCHEMA app CASCADE", said="the schema 'app'"),
    "database": Removal(
        sql="DROP DATABASE groundwork WITH (FORCE)",
        said="the database 'groundwork'",
        database="postgres",
    ),
}


@pytest.fixture(scope="module")
def project(scratch: Path) -> Iterator[Project]:
    """A stack that is up."""
    folder = scratch / f"removed-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    project = Project(folder)
    project.up()
    yield project
    stop_server(project.data)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def before(project: Project) -> dict[tuple[str, str], str]:
    """What there was before anything was removed."""
    return superuser.everything(project)


@pytest.mark.parametrize("what", _REMOVALS)
def test_one_up_repairs_it(project: Project, before: dict[tuple[str, str], str], what: str) -> None:
    """The preview names it, `up` makes it again with all that hung on it, and is done."""
    removal = _REMOVALS[what]
    superuser.run(project, removal.sql, database=removal.database)

    assert removal.said in project.preview().text

    project.up()
    assert superuser.everything(project) == before
    project.preview("--expect-no-changes")


def test_a_refresh_before_does_the_same(
    project: Project, before: dict[tuple[str, str], str]
) -> None:
    """What a refresh has taken out of the state is made by the provider, in the same `up`."""
    removal = _REMOVALS["database"]
    superuser.run(project, removal.sql, database=removal.database)

    project.up("--refresh")

    assert superuser.everything(project) == before
    project.preview("--expect-no-changes")


def test_an_administrator_without_superuser_repairs_the_same(scratch: Path) -> None:
    """On another team's server, one `up` makes database and roles again, with their privileges."""
    with (
        trusting_binaries(scratch) as binaries,
        throwaway(password="another team's", binaries=binaries) as made,  # noqa: S106 - a throwaway's
    ):
        server = Server(throwaway=made)
        folder = scratch / f"removed-{os.urandom(4).hex()}"
        folder.mkdir(mode=0o755)
        stack = Stack(folder, database="shop")
        stack.admin(server.make_admin("keeper"))
        try:
            stack.up()
            _drop_and_repair(stack, server)
        finally:
            shutil.rmtree(folder)


def _drop_and_repair(stack: Stack, server: Server) -> None:
    roles = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'shop%' ORDER BY 1"
    before = server.run(roles)
    may = "SELECT relacl::text FROM pg_class WHERE relname = 'clients'"
    held = sorted(str(server.run(may, database="shop")[0][0]).strip("{}").split(","))

    server.run(
        "DROP OWNED BY shop_readonly", "DROP ROLE shop_readonly", "SELECT 1", database="shop"
    )
    stack.up()
    assert server.run(roles) == before
    assert sorted(str(server.run(may, database="shop")[0][0]).strip("{}").split(",")) == held

    server.run("DROP DATABASE shop WITH (FORCE)", "SELECT 1")
    assert "the database 'shop'" in stack.preview().text
    stack.up()
    assert stack.query("SELECT count(*) FROM clients") == [(0,)]
    stack.preview("--expect-no-changes")
    stack.destroy()
    assert server.run(roles) == []
