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

_NAME = 'My "Books"; 📚 its + 1'


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A stack that is not up yet, whose database has an odd name; each test goes on with it."""
    project = make_project()
    project.configure(database=_NAME)
    return project


def test_a_preview_of_nothing_shows_everything_and_makes_nothing(project: Project) -> None:
    """Before the first `up` every resource is to be created, and no file is made."""
    steps = project.steps()

    assert set(steps.values()) == {"create"}
    assert {"server", "schema", "db-database", "db-extension-vector"} <= set(steps)
    assert not project.data.exists()


def test_up_ends_with_the_schema_at_head(project: Project) -> None:
    """All eleven tables, the extension, and the revision among the outputs."""
    project.up()
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
    project.refresh("--expect-no-changes")


def test_no_secret_is_in_clear_in_state_or_log(project: Project) -> None:
    """Passwords, verifiers and URLs; tests/engine/test_secrets.py looks everywhere else."""
    secrets = project.secrets()
    log = (project.data / "server.log").read_text()

    assert len(secrets) >= 8  # three passwords, their verifiers, two URLs
    for secret in secrets:
        assert secret not in project.state()
        assert secret not in log


def test_a_server_that_was_killed_is_started_again_with_its_rows(project: Project) -> None:
    """A preview sees that it is down; `up` starts it on its port."""
    project.query(_insert("kept"))
    endpoint = project.outputs()["endpoint"]
    _kill(project)

    assert project.steps()["server"] == "update"
    assert "it will be started" in project.up().text

    assert project.outputs()["endpoint"] == endpoint
    assert project.query("SELECT count(*) FROM skill_files WHERE name = 'kept'") == [(1,)]


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
    """No process, no data directory, no port in use."""
    port = int(project.outputs()["endpoint"].rpartition(":")[2])
    pid = project.pid()
    project.destroy()

    assert not project.data.exists()
    assert ports.is_free(port)
    assert not _is_alive(pid)


def _insert(name: str) -> str:
    """Return SQL for a row of a table that belongs to no client, which every session sees."""
    return (
        "INSERT INTO skill_files (name, version, effective_date, content)"  # noqa: S608 - a constant of this file
        f" VALUES ('{name}', '1', '2026-01-01', 'text') RETURNING name"
    )


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


def _kill(project: Project) -> None:
    pid = project.pid()
    os.kill(pid, signal.SIGKILL)
    while _is_alive(pid):
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/cwd").exists()  # of one that waits to be reaped, it has no target
