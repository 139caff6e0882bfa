"""What the program declares, seen through mocks of the engine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pulumi.runtime import rpc

from infra.database import url
from infra.roles import role_names

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def made() -> dict[str, Any]:
    """The inputs of every resource that the program declares for a database `books`."""
    resources: dict[str, Any] = _declare("books")["made"]
    return resources


def _declare(database: str) -> dict[str, Any]:
    """Declare everything under mocks, in a process of its own: the SDK's leave loops open."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.declare", database],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    declared: dict[str, Any] = json.loads(done.stdout)
    return declared


def _secret(value: object) -> object:
    """Give the value of what the engine is told is secret; anything else fails."""
    assert isinstance(value, dict)
    assert rpc._special_sig_key in value  # noqa: SLF001 - how the SDK marks a secret
    return value["value"]


def test_the_server_gets_verifiers_and_no_passwords_of_roles(made: dict[str, Any]) -> None:
    """Only URLs have passwords; what goes into CREATE ROLE can't be logged in with."""
    assert "password" not in made["db-role-owner"]
    for role in ("migrator", "app"):
        given = made[f"db-role-{role}"]["password"]
        assert _secret(given) == f"SCRAM-SHA-256$db-{role}"


def test_nobody_logs_in_as_the_owner_and_the_migrator_becomes_it(made: dict[str, Any]) -> None:
    """Objects belong to a role that has no login."""
    owner, migrator = made["db-role-owner"], made["db-role-migrator"]
    assert owner["login"] is False
    assert migrator["assumeRole"] == owner["name"] == "books_owner"
    assert migrator["roles"] == ["books_owner"]
    assert made["db-database"]["owner"] == "books_owner"


def test_what_migrations_will_make_is_within_the_applications_reach(made: dict[str, Any]) -> None:
    """Default privileges are the owner's, one by one, in the schema of the application."""
    tables = made["db-default-app-table"]
    assert (tables["owner"], tables["role"], tables["schema"]) == (
        "books_owner",
        "books_app",
        "app",
    )
    assert sorted(tables["privileges"]) == ["DELETE", "INSERT", "SELECT", "UPDATE"]


def test_urls_survive_every_name() -> None:
    """A database name with quotes, slashes, spaces and emoji comes out as it went in."""
    name = 'My "Books"/2026; 📚 +&=@:'
    urls = _declare(name)["urls"]

    for role, text in urls.items():
        parts = urlsplit(text)
        assert unquote(parts.path.removeprefix("/")) == name
        assert unquote(parts.username or "") == f"{name}_{role}"
        assert parts.password == f"clear-db-{role}"
        assert (parts.hostname, parts.port) == ("127.0.0.1", 15432)


@pytest.mark.parametrize("name", ["x" * 63, "é" * 31, "📚" * 15, "a"])
def test_role_names_fit_and_differ(name: str) -> None:
    """However long the database's name, no role's is cut by PostgreSQL or shared."""
    roles = role_names(name)
    names = [roles.owner, roles.migrator, roles.app]

    assert all(len(role.encode()) <= 63 for role in names)
    assert len(set(names)) == 3
    assert role_names(name[:-1] + "y").owner not in names


def test_a_url_escapes_each_of_its_parts() -> None:
    """No character of a name or a password changes the meaning of the URL."""
    text = url(user="u@:/", password="p?#%", host="h", port=1, database="d/&", sslmode="require")  # noqa: S106 - characters to escape

    assert text == "postgresql://u%40%3A%2F:p%3F%23%25@h:1/d%2F%26?sslmode=require"


def test_the_default_data_directory_is_apart_for_each_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkouts with a stack of one name share no data; neither do two stacks."""
    from infra.servers.embedded import default_data_dir

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    here = default_data_dir("groundwork/dev")
    other_stack = default_data_dir("groundwork/test")
    monkeypatch.chdir(tmp_path)

    assert len({here, other_stack, default_data_dir("groundwork/dev")}) == 3
    assert here.parent == (Path("/var/lib") if os.geteuid() == 0 else tmp_path) / "groundwork"
