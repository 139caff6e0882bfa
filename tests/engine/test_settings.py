"""The stack's configuration as the engine hands it over, and what an environment means."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.engine.node import Database
from tests.engine.project import Project
from tests.servers.front import Authority, Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer


_SHOWS = """
import pulumi
from infra import settings

chosen = settings.load()
seen = {"parameters": dict(chosen.parameters), "password": chosen.access.passwords["app"]}
pulumi.export("seen", pulumi.Output.secret(seen))
"""


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A stack that is never up."""
    return make_project()


def test_mistakes_end_a_preview_with_one_message(project: Project) -> None:
    """Every key at once, no traceback, nothing made."""
    values = {"databse": "x", "appPassword": "geheim-geheim", "environment": "prod", "image": "x"}
    project.configure(**values)
    outcome = project.preview(check=False)
    for key in values:
        project.configure(**{key: None})

    assert outcome.status != 0
    for key in ("databse", "appPassword", "image", "target", "dataDir"):
        assert (f"- groundwork:{key}: " in outcome.text) == (key != "dataDir")
    assert "pulumi config set --secret groundwork:appPassword" in outcome.text
    assert "geheim-geheim" not in outcome.text
    assert "Traceback" not in outcome.text


def test_pulumi_itself_refuses_what_has_another_type(project: Project) -> None:
    """Before the program begins, by the schema in Pulumi.yaml."""
    for key, kind in (("port", "integer"), ("auditor", "boolean"), ("parameters", "object")):
        project.configure(**{key: "http"})
        outcome = project.preview(check=False)
        project.configure(**{key: None})

        assert outcome.status != 0
        assert f"configuration key '{key}' must be of type '{kind}'" in outcome.text


def test_settings_come_as_they_were_set(scratch: Path) -> None:
    """Secrets, a map with numbers and booleans in it, and a name with a dot."""
    folder = scratch / f"shows-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    project = Project(folder, program=_SHOWS)
    for path, value in (
        ("work_mem", "64MB"),
        ("max_connections", "200"),
        ("jit", "false"),
        ("auto_explain.log_min_duration", "1s"),
    ):
        name = f"groundwork:parameters.{path}"
        project.pulumi("config", "set", "--path", name, "--", value)
    project.configure_secret("appPassword", "geheim 'n\" geheim")
    project.up()

    assert project.outputs()["seen"] == {
        "parameters": {
            "work_mem": "64MB",
            "max_connections": "200",
            "jit": "off",
            "auto_explain.log_min_duration": "1s",
        },
        "password": "geheim 'n\" geheim",
    }


@pytest.fixture
def admin_url(scratch: Path, postgres_server: PostgresServer) -> Iterator[str]:
    """The admin's URL of a server with TLS whose certificate is checked."""
    folder = scratch / f"tls-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    authority = Authority(folder)
    context = authority.context("localhost", clients=False)
    front = Front(postgres_server.host, postgres_server.port, context)
    user, password = postgres_server.user, quote(postgres_server.password, safe="")
    yield (
        f"postgresql://{user}:{password}@localhost:{front.port}/postgres?sslmode=verify-full"
        f"&sslrootcert={quote(str(authority.file), safe='')}"
    )
    front.close()


@pytest.mark.long
def test_prod_holds_off_a_destroy_and_is_taken_down_on_purpose(
    make_project: Callable[[], Project], postgres_server: PostgresServer, admin_url: str
) -> None:
    """Refused with all rows kept; by the way of the page everything goes."""
    name = f"prod {uuid.uuid4().hex[:8]}"
    project = make_project()
    project.configure(dataDir=None)
    project.configure(environment="prod", target="existing", database=name)
    project.configure_secret("adminUrl", admin_url)
    project.up()
    catalog = Database(url=postgres_server.url(user=postgres_server.user, database="postgres"))

    refused = project.destroy(check=False)
    assert refused.status != 0
    assert "protect" in refused.text
    assert _left(catalog, name)["databases"] == 1
    assert project.steps() == dict.fromkeys(project.steps(), "same")

    project.configure(environment="dev")
    project.up()
    project.destroy()
    assert _left(catalog, name) == {"databases": 0, "roles": 0}


def _left(catalog: Database, name: str) -> dict[str, int]:
    """Count what is named after the database, which is the database and its roles."""
    found = {}
    for kind, sql in (
        ("databases", "SELECT 1 FROM pg_database WHERE starts_with(datname, '{}')"),
        ("roles", "SELECT 1 FROM pg_roles WHERE starts_with(rolname, '{}')"),
    ):
        found[kind] = len(catalog.run(sql.format(name)))
    return found
