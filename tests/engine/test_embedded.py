"""Settings, passwords and the fate of the data of an embedded server, on the real engine."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.servers.running import kill_all, processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.project import Outcome, Project

pytestmark = pytest.mark.long

_KEEP = (
    "INSERT INTO skill_files (name, version, effective_date, content)"
    " VALUES ('kept', '1', '2026-01-01', 'text')"
)
_KEPT = "SELECT count(*) FROM skill_files WHERE name = 'kept'"


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A stack that is up, with settings of its own and a row."""
    project = make_project()
    _set(project, "work_mem", "it's too much")
    refused = project.up(check=False)
    assert refused.status != 0
    assert not project.data.exists(), "a new cluster that PostgreSQL refuses is not left behind"
    assert '"work_mem": "it\'s too much"' in refused.text
    assert "Traceback" not in refused.text
    _set(project, "work_mem", "5MB")
    _set(project, "log_statement", "all")
    project.up()
    project.query(_KEEP)
    return project


def _set(project: Project, name: str, value: str) -> None:
    project.pulumi("config", "set", "--path", f"groundwork:parameters.{name}", "--", value)


def _admin(project: Project) -> str:
    """Give the URL of the superuser, whose password is in the state alone."""
    export = json.loads(project.pulumi("stack", "export", "--show-secrets").text)
    resources = export["deployment"]["resources"]
    server = next(each for each in resources if each["urn"].endswith("::server"))
    known = server["outputs"]
    password = json.loads(known["password"]["plaintext"])
    return f"postgresql://postgres:{password}@127.0.0.1:{int(known['port'])}/postgres"


def _destroy(project: Project, *, check: bool = True) -> Outcome:
    return project.pulumi("destroy", "--yes", "--skip-preview", "--stack", "test", check=check)


def test_settings_are_reloaded_or_take_a_restart_and_that_is_said(project: Project) -> None:
    """The preview names what restarts the server; one that does nothing follows."""
    assert project.query("SHOW work_mem") == [("5MB",)]
    _set(project, "work_mem", "6MB")

    assert "no session was ended" in project.up().text
    assert project.query("SHOW work_mem") == [("6MB",)]

    _set(project, "max_connections", "150")
    pid = project.pid()
    preview = project.preview()
    assert "will be restarted: it reads max_connections at its start alone" in preview.text
    assert project.pid() == pid
    assert "restarted for max_connections, which ended no sessions" in project.up().text
    assert project.query("SHOW max_connections") == [("150",)]
    project.preview("--expect-no-changes")


def test_a_setting_that_postgresql_refuses_ends_the_preview(project: Project) -> None:
    """Its words are there with the name and the value; the server is as it was."""
    pid = project.pid()
    _set(project, "shared_preload_libraries", "no such library")

    for outcome in (project.preview(check=False), project.up(check=False)):
        assert outcome.status != 0
        assert "PostgreSQL refuses shared_preload_libraries = 'no such library'" in outcome.text
        assert "could not access file" in outcome.text
        assert "Traceback" not in outcome.text

    assert project.pid() == pid
    project.pulumi("config", "rm", "--path", "groundwork:parameters.shared_preload_libraries")
    project.preview("--expect-no-changes")


def test_a_setting_that_was_changed_by_hand_is_seen_and_put_right(project: Project) -> None:
    """By a preview at once; a refresh shows the value; `up` has the last word."""
    project.query("ALTER SYSTEM SET work_mem = '1MB'", url=_admin(project))
    project.query("SELECT pg_reload_conf()", url=_admin(project))

    assert "changed by hand: they will be put right" in project.preview().text
    refreshed = project.pulumi("refresh", "--yes", "--skip-preview", "--diff", "--stack", "test")
    assert '"1MB"' in refreshed.text
    assert project.steps()["server"] == "update"
    project.up()

    assert project.query("SHOW work_mem") != [("1MB",)]
    project.preview("--expect-no-changes")


def test_the_superuser_gets_another_password_while_sessions_go_on(project: Project) -> None:
    """The former one opens no session any more; neither is in the log, which has everything."""
    former = _admin(project)
    project.configure(adminPasswordVersion="2")

    async def rotate() -> str:
        session = await asyncpg.connect(former)
        try:
            said = (await asyncio.to_thread(project.up)).text
            assert await session.fetchval("SELECT 42") == 42
            return said
        finally:
            await session.close()

    assert "another password; no session was ended" in asyncio.run(rotate())
    with pytest.raises(asyncpg.InvalidPasswordError):
        project.query("SELECT 1", url=former)
    new = _admin(project)
    assert project.query("SELECT 1", url=new) == [(1,)]
    log = (project.data / "server.log").read_text()
    assert "SELECT 42" in log
    for url in (former, new):
        assert (urlsplit(url).password or url) not in log
    project.preview("--expect-no-changes")


def test_all_processes_killed_at_once_cost_no_row(project: Project) -> None:
    """As after a loss of power; also where a refresh comes first. Nothing is done by hand."""
    kill_all(project.data)
    project.up()
    assert project.query(_KEPT) == [(1,)]

    kill_all(project.data)
    project.pulumi("refresh", "--yes", "--skip-preview", "--stack", "test", check=False)
    project.up()
    assert project.query(_KEPT) == [(1,)]
    project.preview("--expect-no-changes")


def test_a_role_that_was_dropped_by_hand_comes_back_after_a_refresh(project: Project) -> None:
    """It is made again, and not looked for to be imported."""
    admin = _admin(project)
    inside = f"{admin.rpartition('/')[0]}/groundwork"
    project.query("DROP OWNED BY groundwork_reader", url=inside)
    project.query("DROP ROLE groundwork_reader", url=admin)

    project.pulumi("refresh", "--yes", "--skip-preview", "--stack", "test")
    project.up()

    url = project.outputs()["reader_url"]
    assert project.query("SELECT count(*) FROM skill_files", url=url) == [(1,)]
    project.preview("--expect-no-changes")


def test_a_stack_that_lost_its_state_takes_everything_over(project: Project) -> None:
    """Server, roles and database come back into the state, with every row."""
    project.pulumi("stack", "rm", "--force", "--yes", "--preserve-config", "test")
    project.pulumi("stack", "init", "test")

    steps = project.steps()
    assert steps["server"] == "create"
    assert {steps["db-database"], steps["db-role-app"]} <= {"import", "update"}
    project.up()

    assert project.query(_KEPT) == [(1,)]
    project.preview("--expect-no-changes")


def test_destroy_can_keep_the_data_for_the_next_up(project: Project) -> None:
    """It stops the server and says where the directory is; `up` has its rows again."""
    project.configure(retain="true")
    project.up()
    done = _destroy(project)

    assert f"its data directory is kept: {project.data}" in done.text
    assert not any(processes(project.data))
    assert '"resources"' not in project.state()
    project.preview()
    project.up()

    assert project.query(_KEPT) == [(1,)]
    project.preview("--expect-no-changes")
    project.configure(retain="false")
    project.up()
    _destroy(project)
    assert not project.data.exists()


def test_a_protected_server_is_not_destroyed(make_project: Callable[[], Project]) -> None:
    """It runs on with its rows, and goes when the protection is taken off."""
    project = make_project()
    project.configure(protect="true")
    project.up()
    project.query(_KEEP)
    pid = project.pid()

    refused = _destroy(project, check=False)

    assert refused.status != 0
    assert "protect" in refused.text
    assert project.pid() == pid
    assert project.query(_KEPT) == [(1,)]
    project.configure(protect="false")
    project.up()
    _destroy(project)
    assert not project.data.exists()
