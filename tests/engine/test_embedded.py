"""Settings, passwords and the fate of the data of an embedded server, on the real engine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.engine.programs import SERVER_ALONE
from tests.engine.project import Project
from tests.servers.running import kill_all, processes, stop_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_ROWS = "SELECT count(*) FROM kept"


@pytest.fixture(scope="module")
def project(scratch: Path) -> Iterator[Project]:
    """A server without a schema that is up, with settings of its own and a row."""
    folder = scratch / f"embedded-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    project = Project(folder, program=SERVER_ALONE)
    _set(project, "work_mem", "it's too much")
    refused = project.up(check=False)
    assert refused.status != 0
    assert not project.data.exists(), "a new cluster that PostgreSQL refuses is not left behind"
    assert '"work_mem": "it\'s too much"' in refused.text
    assert "Traceback" not in refused.text
    _set(project, "work_mem", "5MB")
    _set(project, "log_statement", "all")
    project.up()
    project.query("CREATE TABLE kept AS SELECT 1 AS one")
    yield project
    stop_server(project.data)
    shutil.rmtree(folder)


def _set(project: Project, name: str, value: str | None) -> None:
    project.configure(**{f"parameters.{name}": value})


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
    _set(project, "shared_preload_libraries", None)
    project.preview("--expect-no-changes")


def test_a_setting_that_was_changed_by_hand_is_seen_and_put_right(project: Project) -> None:
    """By a preview at once; a refresh shows the value; `up` has the last word."""
    project.query("ALTER SYSTEM SET work_mem = '1MB'")
    project.query("SELECT pg_reload_conf()")

    assert "changed by hand: they will be put right" in project.preview().text
    assert '"1MB"' in project.refresh("--diff").text
    assert "server update" in project.up().text

    assert project.query("SHOW work_mem") != [("1MB",)]
    project.preview("--expect-no-changes")


def test_the_superuser_gets_another_password_while_sessions_go_on(project: Project) -> None:
    """The former one opens no session any more; neither is in the log, which has everything."""
    former = project.outputs()["url"]
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
    new = project.outputs()["url"]
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
    assert project.query(_ROWS) == [(1,)]

    kill_all(project.data)
    project.refresh(check=False)
    project.up()
    assert project.query(_ROWS) == [(1,)]
    project.preview("--expect-no-changes")


def test_a_protected_server_is_destroyed_when_the_protection_is_taken_off(project: Project) -> None:
    """Until then it runs on with its rows; a destroy leaves nothing, though it was killed."""
    project.configure(protect="true")
    project.up()
    pid = project.pid()

    refused = project.destroy(check=False)

    assert refused.status != 0
    assert "protect" in refused.text
    assert project.pid() == pid
    assert project.query(_ROWS) == [(1,)]
    project.configure(protect="false")
    project.up()
    kill_all(project.data)
    project.destroy()
    assert not project.data.exists()


# -- with a schema in it --------------------------------------------------------------------

_KEEP = (
    "INSERT INTO skill_files (name, version, effective_date, content)"
    " VALUES ('kept', '1', '2026-01-01', 'text')"
)
_KEPT = "SELECT count(*) FROM skill_files WHERE name = 'kept'"


@pytest.fixture(scope="module")
def whole(make_project: Callable[[], Project]) -> Project:
    """A whole stack that is up, with a row."""
    project = make_project()
    project.up()
    project.query(_KEEP)
    return project


def test_a_role_that_was_dropped_by_hand_comes_back_after_a_refresh(whole: Project) -> None:
    """It is made again, and not looked for to be imported."""
    (server,) = [each for each in whole.resources() if each["urn"].endswith("::server")]
    password = json.loads(server["outputs"]["password"]["plaintext"])
    admin = f"postgresql://postgres:{password}@{whole.outputs()['endpoint']}"
    whole.query("DROP OWNED BY groundwork_reader", url=f"{admin}/groundwork")
    whole.query("DROP ROLE groundwork_reader", url=f"{admin}/postgres")

    whole.refresh()
    whole.up()

    url = whole.outputs()["reader_url"]
    assert whole.query("SELECT count(*) FROM skill_files", url=url) == [(1,)]
    whole.preview("--expect-no-changes")


def test_a_stack_that_lost_its_state_takes_everything_over(whole: Project) -> None:
    """Server, roles and database come back into the state, with every row."""
    whole.forget()
    whole.configure(retain="true")

    assert "is of a stack of this name: it is taken over" in whole.preview().text
    steps = whole.steps()
    assert steps["server"] == "create"
    assert {steps["db-database"], steps["db-role-app"]} <= {"import", "update"}
    whole.up()

    assert whole.query(_KEPT) == [(1,)]
    whole.preview("--expect-no-changes")


def test_destroy_can_keep_the_data_for_the_next_up(whole: Project) -> None:
    """It stops the server and says where the directory is; `up` has its rows again."""
    done = whole.destroy()

    assert f"its data directory is kept: {whole.data}" in done.text
    assert not any(processes(whole.data))
    assert '"resources"' not in whole.state()
    whole.preview()
    whole.up()

    assert whole.query(_KEPT) == [(1,)]
    whole.preview("--expect-no-changes")
    whole.configure(retain="false")
    whole.up()
    whole.destroy()
    assert not whole.data.exists()
