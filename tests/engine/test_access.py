"""Who may do what on a migrated stack, and what its roles begin with."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from infra.schema.statements.sql import identifier, literal
from tests.engine import matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.project import Project

_DATABASE = 'My "Books"; 📚'
_OWNER = 'Eigner "der" Bücher\'s'
_READWRITE = "read+write; --"
_APP = "App 1 = 'two'"
_MIGRATOR = f"{_DATABASE}_migrator"


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A migrated stack with an auditor and odd names, and with one migration more."""
    project = make_project()
    names = {"ownerRole": _OWNER, "readwriteRole": _READWRITE, "appRole": _APP}
    project.configure(database=_DATABASE, auditor="true", appStatementTimeout="7s", **names)
    project.up()
    _revise(project, *matrix.LATER)
    project.up()
    project.query(
        "INSERT INTO clients (id, name) VALUES (gen_random_uuid(), 'One') RETURNING id",
        url=project.outputs()["migrator_url"],
    )
    return project


@pytest.fixture(scope="module")
def admin(project: Project) -> Callable[..., list[Any]]:
    """Statements run as the superuser, whose password is in the state; the last one's rows."""
    (made,) = [each for each in project.resources() if each["urn"].endswith("::server-admin")]
    password = json.loads(made["outputs"]["password"]["plaintext"])
    place = urlsplit(project.outputs()["app_url"])
    url = f"postgresql://postgres:{password}@{place.hostname}:{place.port}{place.path}"

    def run(*statements: str) -> list[Any]:
        return [project.query(statement, url=url) for statement in statements][-1]

    return run


def test_the_document_has_a_cell_for_every_role_object_and_verb() -> None:
    """No more rows, no fewer, and every cell says yes or no."""
    table = matrix.documented()

    assert matrix.missing_cells(table) == []
    assert list(table) == list(matrix.acts("o", "w", "r"))


@pytest.mark.parametrize("role", matrix.ROLES)
def test_the_server_answers_as_the_document_says(project: Project, role: str) -> None:
    """Everything is tried as that role, tables of a later migration included."""
    acts = matrix.acts(_OWNER, _READWRITE, f"{_DATABASE}_readonly")
    said = {cell: answers.get(role, "") for cell, answers in matrix.documented().items()}

    found = matrix.ask(project.outputs()[_url(role)], acts)

    assert {cell: found.get(cell) for cell in said} == said


@pytest.mark.parametrize(
    ("role", "setting", "value"),
    [
        ("app", "search_path", "app, ext"),
        ("app", "statement_timeout", "7s"),
        ("app", "lock_timeout", "5s"),
        ("app", "idle_in_transaction_session_timeout", "1min"),
        ("reader", "statement_timeout", "5min"),
        ("auditor", "statement_timeout", "5min"),
        ("migrator", "search_path", "app, ext"),
        ("migrator", "statement_timeout", "0"),
        ("migrator", "lock_timeout", "0"),
        ("migrator", "role", _OWNER),
    ],
)
def test_a_session_begins_with_the_limits_of_its_role(
    project: Project, role: str, setting: str, value: str
) -> None:
    """Path and timeouts are there at once; migrations bring their own timeouts."""
    assert project.query(f"SHOW {setting}", url=project.outputs()[_url(role)]) == [(value,)]


def test_settings_are_of_the_one_database(project: Project) -> None:
    """What a role has elsewhere is not touched; the number of sessions is the role's."""
    limits = dict(
        project.query(
            "SELECT rolname::text, rolconnlimit FROM pg_roles"
            " WHERE rolcanlogin AND rolname <> 'postgres'"
        )
    )

    assert project.query("SELECT FROM pg_db_role_setting WHERE setdatabase = 0") == []
    assert limits == {_APP: 60, _MIGRATOR: 10, f"{_DATABASE}_reader": 20, f"{_DATABASE}_auditor": 5}


def test_the_migrator_has_nothing_before_it_becomes_the_owner(project: Project) -> None:
    """Its membership lets it SET ROLE, and hands nothing on."""
    held = project.query(
        "SELECT inherit_option, set_option, admin_option FROM pg_auth_members"
        " JOIN pg_roles r ON r.oid = member WHERE rolname LIKE '%migrator'"
    )

    assert held == [(False, True, False)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(_as_itself(project.outputs()["migrator_url"], "TABLE app.later"))


async def _as_itself(url: str, statement: str) -> None:
    session = await asyncpg.connect(url)
    try:
        await session.execute("SET ROLE NONE")
        await session.execute(statement)
    finally:
        await session.close()


def test_a_second_up_and_a_refresh_change_nothing(project: Project) -> None:
    """Nothing of it is seen as changed without a change."""
    project.up("--expect-no-changes")
    project.refresh("--expect-no-changes")


_DEFAULTS = f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(_OWNER)} IN SCHEMA app"
_IN_DEFAULTS = "SELECT FROM pg_default_acl WHERE defaclacl::text LIKE '%=arwd/%'"
# What somebody changes by hand, and what is true before and after.
_PRIVILEGES = {
    "db-grant-readwrite-connect": (
        f"REVOKE CONNECT ON DATABASE {identifier(_DATABASE)} FROM {identifier(_READWRITE)}",
        f"has_database_privilege({literal(_READWRITE)}, current_database(), 'CONNECT')",
    ),
    "db-grant-public-connect": (
        f"GRANT TEMPORARY ON DATABASE {identifier(_DATABASE)} TO PUBLIC",
        f"NOT has_database_privilege({literal(_READWRITE)}, current_database(), 'TEMPORARY')",
    ),
    "db-grant-readwrite-usage": (
        f"REVOKE USAGE ON SCHEMA app FROM {identifier(_READWRITE)}",
        f"has_schema_privilege({literal(_READWRITE)}, 'app', 'USAGE')",
    ),
    "db-default-readwrite-table": (
        f"{_DEFAULTS} REVOKE INSERT ON TABLES FROM {identifier(_READWRITE)}",
        f"EXISTS ({_IN_DEFAULTS})",
    ),
    "db-role-app": (
        f"REVOKE {identifier(_READWRITE)} FROM {identifier(_APP)}",
        f"pg_has_role({literal(_APP)}, {literal(_READWRITE)}, 'USAGE')",
    ),
}
_SETTINGS = {
    "db-role-settings": (
        f"ALTER ROLE {identifier(_APP)} IN DATABASE {identifier(_DATABASE)} SET lock_timeout = 0",
        "current_setting('lock_timeout') = '5s'",
    ),
    "db-memberships": (
        f"GRANT {identifier(_OWNER)} TO {identifier(_MIGRATOR)} WITH INHERIT TRUE",
        f"NOT pg_has_role({literal(_MIGRATOR)}, {literal(_OWNER)}, 'USAGE')",
    ),
}


@pytest.mark.long
def test_privileges_and_settings_that_were_changed_by_hand_are_shown_and_put_right(
    project: Project, admin: Callable[..., list[Any]]
) -> None:
    """A refresh shows each as it is, `up` repairs it, and the next preview is clean.

    What isn't the project's own is left alone.
    """
    for change, right in _PRIVILEGES.values():
        admin(change)
        assert admin(f"SELECT {right}") == [(False,)]
    alter = f"ALTER ROLE {identifier(_APP)} IN DATABASE {identifier(_DATABASE)}"
    admin(f"{alter} SET statement_timeout = 0", f"{alter} SET work_mem = '5MB'")

    seen = project.refresh("--diff").text
    changed = {name for name, step in project.steps().items() if step != "same"}
    project.up()

    assert set(_PRIVILEGES) <= changed
    for _, right in _PRIVILEGES.values():
        assert admin(f"SELECT {right}") == [(True,)]
    assert re.search(r'statement_timeout *: "7s" => "0"', seen)
    assert project.query("SHOW statement_timeout") == [("7s",)]
    assert project.query("SHOW work_mem") == [("5MB",)]
    project.preview("--expect-no-changes")


def test_settings_that_were_changed_by_hand_are_seen_by_a_preview(
    project: Project, admin: Callable[..., list[Any]]
) -> None:
    """No refresh is needed for what this project provides itself; `up` puts it right."""
    for change, right in _SETTINGS.values():
        admin(change)
        assert project.query(f"SELECT {right}") == [(False,)]

    assert {name for name, step in project.steps().items() if step != "same"} == set(_SETTINGS)
    project.up()

    for _, right in _SETTINGS.values():
        assert project.query(f"SELECT {right}") == [(True,)]
    project.preview("--expect-no-changes")


@pytest.mark.long
def test_passwords_are_changed_in_place_while_sessions_go_on(project: Project) -> None:
    """New ones let in, old ones don't; nothing is replaced and no revision runs."""
    before, events = project.outputs(), _events(project)
    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(asyncpg.connect(before["app_url"]))
    try:
        project.configure(passwordVersion="2")
        planned = project.previewed()
        assert {step["op"] for step in planned.values()} <= {"same", "update"}
        assert planned["schema"]["newState"]["inputs"]["pending"] == {}
        project.up()
        assert loop.run_until_complete(session.fetchval("SELECT 1")) == 1
        loop.run_until_complete(session.close())
    finally:
        loop.close()

    after = project.outputs()
    for role in matrix.ROLES:
        assert project.query("SELECT 1", url=after[_url(role)]) == [(1,)]
        with pytest.raises(asyncpg.InvalidPasswordError):
            project.query("SELECT 1", url=before[_url(role)])
    assert _events(project) == events


@pytest.mark.long
def test_a_chosen_password_and_timeouts_are_taken(project: Project) -> None:
    """Any printable text does, for that role alone; an empty timeout sets none."""
    chosen, before = "Chosen: %40 'x' \\ 1", project.outputs()
    project.configure_secret("appPassword", chosen)
    project.configure(appLockTimeout="", appStatementTimeout="8s")
    project.up()
    after = project.outputs()

    assert unquote(urlsplit(after["app_url"]).password or "") == chosen
    assert project.query("SELECT 1") == [(1,)]
    assert after["reader_url"] == before["reader_url"]
    assert project.query("SHOW lock_timeout") == [("0",)]
    assert project.query("SHOW statement_timeout") == [("8s",)]


@pytest.mark.long
def test_a_password_and_an_auditor_go_where_none_is_wanted(project: Project) -> None:
    """The first is generated again, the second is dropped; nothing else is touched."""
    chosen = project.outputs()["app_url"]
    project.configure(auditor="false", appPassword=None)
    steps = project.steps()
    project.up()

    assert {name: step for name, step in steps.items() if name[:3] == "db-" and step != "same"} == {
        "db-app": "update",
        "db-role-app": "update",
        "db-auditor": "delete",
        "db-role-auditor": "delete",
        "db-memberships": "update",
        "db-role-settings": "update",
    }
    assert project.outputs()["app_url"] != chosen
    assert project.query("SELECT 1") == [(1,)]
    assert project.query("SELECT FROM pg_roles WHERE rolname LIKE '%auditor'") == []
    assert "auditor_url" not in project.outputs()
    project.preview("--expect-no-changes")


def _events(project: Project) -> list[Any]:
    url = project.outputs()["migrator_url"]
    return project.query("SELECT count(*) FROM schema_ledger.events", url=url)


def _url(role: str) -> str:
    return f"{role}_url"


def _revise(project: Project, *statements: str) -> str:
    """Write a revision on top of the one that is applied; give its id."""
    revision = os.urandom(6).hex()
    body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
    (project.migrations / "versions" / f"{revision}_.py").write_text(
        f'"""Made by a test."""\nfrom alembic import op\nrevision = {revision!r}\n'
        f"down_revision = {project.outputs()['revision']!r}\n"
        f"def upgrade():\n{body}\ndef downgrade():\n    raise NotImplementedError\n"
    )
    return revision
