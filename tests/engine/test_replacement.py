"""Every resource of the program is replaced in place, and afterwards everything is as before."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.engine import superuser
from tests.engine.project import Project
from tests.servers.running import stop_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

# PostgreSQL has one role and one database of a name, and a data directory has one server: none can
# be made beside the former one, and that is said.
_REFUSED = {
    "postgresql:index/role:Role": "already exists",
    "postgresql:index/database:Database": "already exists",
    "pulumi-python:dynamic/groundwork:EmbeddedServer": "Nothing was changed",
}


@pytest.fixture(scope="module")
def project(scratch: Path) -> Iterator[Project]:
    """A stack that is up, with a row, and that would downgrade its schema where it is destroyed."""
    folder = scratch / f"replaced-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    project = Project(folder)
    project.configure(on_destroy="downgrade", auditor="true")
    project.up()
    superuser.run(project, "INSERT INTO app.clients (name) VALUES ('kept') RETURNING 1")
    yield project
    stop_server(project.data)
    shutil.rmtree(folder)


def _replaceable(project: Project) -> list[str]:
    return [
        each["urn"]
        for each in project.resources()
        if each.get("custom") and not each["type"].startswith("pulumi:")
    ]


def test_each_type_is_replaced_without_a_trace(project: Project) -> None:
    """A replacement that is possible changes nothing; one that is not is refused.

    One resource of each type: all of them together are those that are tainted below.
    """
    before = superuser.everything(project)
    passwords = project.secrets()
    for urn in {urn.rpartition("::")[0]: urn for urn in _replaceable(project)}.values():
        done = project.up("--replace", urn, check=False)
        assert "Traceback" not in done.text
        refused = [said for kind, said in _REFUSED.items() if f"{kind}::" in urn]
        assert all(said in done.text for said in refused)
        assert bool(done.status) is bool(refused), f"{urn}:\n{done.text}"
        assert superuser.everything(project) == before, f"{urn}:\n{done.text}"
        assert project.secrets() == passwords, f"{urn}:\n{done.text}"
        if urn.endswith("::server-contents"):  # what it writes is no object of PostgreSQL
            project.preview("--expect-no-changes")
    project.preview("--expect-no-changes")


def test_what_is_tainted_together_is_made_again_together(project: Project) -> None:
    """Privileges, settings, memberships, passwords and the node in one `up`."""
    before, passwords = superuser.everything(project), project.secrets()
    tainted = [urn for urn in _replaceable(project) if not any(f"{k}::" in urn for k in _REFUSED)]
    for urn in tainted:
        project.pulumi("state", "taint", urn, "--yes")

    project.up()

    assert superuser.everything(project) == before
    assert project.secrets() == passwords
    project.preview("--expect-no-changes")


def test_another_name_is_refused_before_anything_runs(project: Project) -> None:
    """By comparison with the state, in a preview and in an `up` without one."""
    before = superuser.everything(project)
    project.configure(database="another")

    for refused in (project.preview(check=False), project.up(check=False)):
        assert refused.status != 0
        assert "the database is 'groundwork'" in refused.text
        assert "pulumi config set groundwork:database groundwork" in refused.text
        assert "Traceback" not in refused.text

    assert superuser.everything(project) == before
    project.configure(database=None, readonlyRole="another")
    refused = project.up(check=False)
    assert "the readonly is 'groundwork_readonly'" in refused.text
    assert superuser.everything(project) == before
    project.configure(readonlyRole=None)
    project.preview("--expect-no-changes")


def test_a_destroy_still_downgrades(project: Project) -> None:
    """Also where the program runs for it, which declares what is then destroyed."""
    project.pulumi("state", "unprotect", "--all", "--yes")
    node = next(each["urn"] for each in project.resources() if each["urn"].endswith("::schema"))
    for options in ((), ("--run-program",)):
        project.destroy("--target", node, *options)
        assert superuser.run(project, "SELECT to_regclass('app.clients')::text") == [(None,)]
        project.up()
