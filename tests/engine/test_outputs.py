"""What a stack gives back is enough to get in, in every form."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.project import Project

_DATABASE = 'My "Books" & `co` | 📚'
_LOGINS = ("app", "migrator", "reader", "auditor")


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A stack with an odd name of its database, and an auditor."""
    project = make_project()
    project.configure(database=_DATABASE, auditor="true")
    project.up()
    return project


@pytest.fixture(scope="module")
def outputs(project: Project) -> dict[str, Any]:
    """Its outputs, with the secrets."""
    return project.outputs()


def test_each_login_gets_in_by_its_url(project: Project, outputs: dict[str, Any]) -> None:
    """The URL of a role logs in as that role, in the stack's database."""
    for kind in _LOGINS:
        ((role, database),) = project.query(
            "SELECT session_user::text, current_database()::text", url=outputs[f"{kind}_url"]
        )

        assert (role, database) == (f"{_DATABASE}_{kind}", _DATABASE)
    assert outputs["url"] == outputs["app_url"]


def test_sqlalchemy_takes_its_url(outputs: dict[str, Any]) -> None:
    """An engine of SQLAlchemy with asyncpg connects as the application."""

    async def ask() -> str:
        engine = create_async_engine(outputs["sqlalchemy_url"])
        try:
            async with engine.connect() as connection:
                return str(await connection.scalar(text("SELECT session_user")))
        finally:
            await engine.dispose()

    assert asyncio.run(ask()) == f"{_DATABASE}_app"


def test_the_command_for_psql_logs_in_and_holds_no_password(
    project: Project, outputs: dict[str, Any]
) -> None:
    """Copied into a shell it opens psql as the application; it is no secret itself."""
    programs = Path(outputs["programs"])
    environment = project.environment | {
        "PATH": f"{programs}:{project.environment['PATH']}",
        # A relocatable PostgreSQL brings its own libpq.
        "LD_LIBRARY_PATH": str(programs.parent / "lib"),
    }
    done = subprocess.run(
        ["bash", "-c", f"{outputs['psql']} --no-psqlrc --tuples-only --no-align"],
        cwd=project.folder,
        env=environment,
        input="SELECT session_user",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout.strip() == f"{_DATABASE}_app", done.stderr
    assert outputs["password"] not in outputs["psql"]


def test_secrets_are_shown_only_to_who_asks_for_them(
    project: Project, outputs: dict[str, Any]
) -> None:
    """Everything with a password is masked; nothing else is, and holds none."""
    shown = json.loads(project.pulumi("stack", "output", "--json").text)
    masked = {name for name, value in shown.items() if value == "[secret]"}

    urls = {f"{kind}_url" for kind in _LOGINS}
    assert masked == {"url", "sqlalchemy_url", "password", *urls}
    plain = json.dumps([value for name, value in shown.items() if name not in masked])
    assert not [secret for secret in project.secrets() if len(secret) > 8 and secret in plain]
    assert {name: value for name, value in outputs.items() if name not in masked} == {
        name: value for name, value in shown.items() if name not in masked
    }


def test_the_place_and_the_state_are_plain(project: Project, outputs: dict[str, Any]) -> None:
    """Host, port, endpoint, database, version and revision say what a query says."""
    (((version, port)),) = project.query("SELECT version(), inet_server_port()")
    heads = project.query(
        "SELECT version_num FROM app.alembic_version", url=outputs["migrator_url"]
    )

    assert (outputs["host"], outputs["port"]) == ("127.0.0.1", port)
    assert outputs["endpoint"] == f"127.0.0.1:{port}"
    assert outputs["database"] == _DATABASE
    assert version.startswith(f"PostgreSQL {outputs['version']} ")
    assert [(outputs["revision"],)] == heads


def test_the_readme_names_what_is_here(outputs: dict[str, Any]) -> None:
    """It says where the server is and who may log in, and how to get a new password."""
    page = outputs["readme"]

    assert page.startswith('# ``My "Books" & `co` \\| 📚``\n')
    for said in (outputs["endpoint"], outputs["version"], outputs["revision"], outputs["psql"]):
        assert said in page
    for kind in _LOGINS:
        assert f"`{kind}_url`" in page
    assert "pulumi config set groundwork:passwordVersion 2 --stack test" in page


def test_every_command_of_the_readme_can_be_run(
    project: Project, outputs: dict[str, Any], tmp_path: Path
) -> None:
    """A new password, as the page says it, logs in, and the former one does no more."""
    before = outputs["url"]
    commands = [line for line in outputs["readme"].splitlines() if line.startswith("    pulumi c")]
    script = tmp_path / "commands"
    script.write_text("set -e\n" + "\n".join(commands))
    subprocess.run(
        ["bash", str(script)],
        cwd=project.folder,
        env=project.environment | {"PATH": os.environ["PATH"] + ":" + project.environment["PATH"]},
        check=True,
        timeout=60,
    )
    project.up()

    assert len(commands) == 2
    assert project.query("SELECT 1") == [(1,)]
    with pytest.raises(Exception, match="password authentication failed"):
        project.query("SELECT 1", url=before)
