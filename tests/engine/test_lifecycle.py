"""From nothing to a migrated PostgreSQL 17 and back, on the real engine."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.servers import ports
from tests.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.project import Project

_NAME = 'My "Books"; 📚 it\'s + 1'


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A stack that is up, whose database has an odd name."""
    project = make_project()
    project.configure(database=_NAME)
    project.up()
    return project


def test_a_preview_of_nothing_shows_everything_and_makes_nothing(
    make_project: Callable[[], Project],
) -> None:
    """Before the first `up` every resource is to be created, and no file is made."""
    fresh = make_project()

    steps = fresh.steps()

    assert set(steps.values()) == {"create"}
    assert {"server", "schema", "db-database", "db-extension-vector"} <= set(steps)
    assert not fresh.data.exists()


def test_up_ends_with_the_schema_at_head(project: Project) -> None:
    """All eleven tables, the extension, and the revision among the outputs."""
    outputs = project.outputs()
    tables = project.query(
        "SELECT relname, pg_get_userbyid(relowner) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'app' AND relkind = 'r'"
    )

    assert {name for name, _ in tables} == {*TABLES, "alembic_version"}
    assert {owner for _, owner in tables} == {f"{_NAME}_owner"}
    assert project.query("SELECT version_num FROM app.alembic_version") == [(outputs["revision"],)]
    assert project.query("SELECT '[1,2]'::vector <-> '[1,3]'::vector") == [(1.0,)]
    assert outputs["database"] == _NAME
    assert outputs["version"].startswith("17.")


def test_the_application_reads_and_writes_and_makes_nothing(project: Project) -> None:
    """Tables of migrations are within its reach at once; making some is not."""
    assert project.query(_insert("A")) == [("A",)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        project.query("CREATE TABLE mine (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        project.query("DROP TABLE clients")


def test_the_migrator_acts_as_the_owner(project: Project) -> None:
    """What it makes belongs to a role that nobody can log in as."""
    url = project.outputs()["migrator_url"]
    asked = (
        "SELECT session_user::text, current_user::text, rolcanlogin"
        " FROM pg_roles WHERE rolname = current_user"
    )

    assert project.query(asked, url=url) == [(f"{_NAME}_migrator", f"{_NAME}_owner", False)]


def test_a_second_up_and_a_refresh_change_nothing(project: Project) -> None:
    """The engine agrees in each of its ways to ask."""
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--stack", "test", "--expect-no-changes")
    project.preview("--expect-no-changes")


def test_no_secret_is_in_clear_in_state_or_log(project: Project) -> None:
    """Neither the stored state nor the server's log nor a preview has one of them."""
    secrets = project.secrets()
    log = (project.data / "server.log").read_text()
    shown = project.preview("--diff").text

    assert len(secrets) >= 8  # three passwords, their verifiers, two URLs
    for secret in secrets:
        assert secret not in project.state()
        assert secret not in log
        assert secret not in shown


def test_a_server_that_was_killed_is_started_again_with_its_rows(project: Project) -> None:
    """A preview sees that it is down; `up` starts it on its port."""
    project.query(_insert("kept"))
    endpoint = project.outputs()["endpoint"]
    _kill(project)

    assert project.steps()["server"] == "update"
    assert "it will be started" in project.up().text

    assert project.outputs()["endpoint"] == endpoint
    assert project.query("SELECT count(*) FROM skill_files WHERE name = 'kept'") == [(1,)]
    project.preview("--expect-no-changes")


def test_a_new_revision_is_seen_and_applied(project: Project) -> None:
    """A file more in the history: the schema node alone changes, rows stay."""
    project.query(_insert("before"))
    revision = _revise(project, "CREATE TABLE more (id int)")

    changed = {name: op for name, op in project.steps().items() if op != "same"}
    assert changed == {"schema": "update"}
    project.up()

    assert project.outputs()["revision"] == revision
    assert project.query("SELECT count(*) FROM more") == [(0,)]  # by default privileges
    assert project.query("SELECT count(*) FROM skill_files WHERE name = 'before'") == [(1,)]


def test_a_revision_that_fails_is_undone_and_told(project: Project) -> None:
    """The message is PostgreSQL's; once the file is mended, `up` goes on."""
    revision = _revise(project, "CREATE TABLE half (id int)", "SELECT 1 / 0")

    failed = project.up(check=False)

    assert failed.status != 0
    assert "division by zero" in failed.text
    assert "Traceback" not in failed.text
    assert project.query("SELECT to_regclass('app.half')::text") == [(None,)]
    file = project.migrations / "versions" / f"{revision}_.py"
    file.write_text(file.read_text().replace("1 / 0", "1 / 1"))
    project.up()
    assert project.outputs()["revision"] == revision


def test_two_heads_are_refused_before_anything_runs(project: Project) -> None:
    """The preview names both and the command that merges them."""
    below = project.outputs()["revision"]
    heads = sorted(_revise(project, "SELECT 1", below=below) for _ in range(2))

    refused = project.preview(check=False)

    assert refused.status != 0
    assert "2 heads" in refused.text
    assert f'alembic merge -m "merge heads" {" ".join(heads)}' in refused.text
    assert "Traceback" not in refused.text
    for head in heads:
        (project.migrations / "versions" / f"{head}_.py").unlink()


def test_a_schema_that_was_taken_back_by_hand_is_brought_to_head(project: Project) -> None:
    """The database is the truth: `up` looks there, not into the state."""
    before, url = project.outputs()["revision"], project.outputs()["migrator_url"]
    revision = _revise(project, "CREATE TABLE again (id int)")
    project.up()
    project.query("DROP TABLE again", url=url)
    project.query(f"UPDATE alembic_version SET version_num = '{before}'", url=url)  # noqa: S608 - our own value

    assert project.steps()["schema"] == "update"
    project.up()

    assert project.query("SELECT version_num FROM alembic_version") == [(revision,)]
    assert project.query("SELECT count(*) FROM again") == [(0,)]


def test_a_data_directory_that_is_gone_is_made_anew_with_all_inside(project: Project) -> None:
    """Everything in the cluster is replaced with it, and `up` ends at head again."""
    _kill(project)
    for path in sorted(project.data.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    project.data.rmdir()

    steps = project.steps()
    assert steps["server"] == "replace"
    project.up()

    assert project.query("SELECT count(*) FROM skill_files") == [(0,)]
    project.preview("--expect-no-changes")


def test_destroy_leaves_nothing(project: Project) -> None:
    """No process, no data directory, no port in use, even where the server was killed before."""
    port = int(project.outputs()["endpoint"].rpartition(":")[2])
    pid = project.pid()
    project.pulumi("destroy", "--yes", "--skip-preview", "--stack", "test")

    assert not project.data.exists()
    assert ports.is_free(port)
    assert not _is_alive(pid)

    project.up()
    _kill(project)
    project.pulumi("destroy", "--yes", "--skip-preview", "--stack", "test")
    assert not project.data.exists()


def _insert(name: str) -> str:
    """Return SQL for a row of a table that belongs to no client, which every session sees."""
    return (
        "INSERT INTO skill_files (name, version, effective_date, content)"  # noqa: S608 - a constant of this file
        f" VALUES ('{name}', '1', '2026-01-01', 'text') RETURNING name"
    )


def _revise(project: Project, *statements: str, below: str = "") -> str:
    """Write a revision on top of the one that is applied; give its id."""
    revision = os.urandom(6).hex()
    body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
    (project.migrations / "versions" / f"{revision}_.py").write_text(
        f'"""Made by a test."""\nfrom alembic import op\nrevision = {revision!r}\n'
        f"down_revision = {below or project.outputs()['revision']!r}\n"
        f"def upgrade():\n{body}\ndef downgrade():\n    raise NotImplementedError\n"
    )
    return revision


def _kill(project: Project) -> None:
    pid = project.pid()
    os.kill(pid, signal.SIGKILL)
    while _is_alive(pid):
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/cwd").exists()  # of one that waits to be reaped, it has no target
