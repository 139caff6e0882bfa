"""What the program declares, seen through mocks of the engine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pulumi.runtime import rpc

from infra.database import url
from infra.roles import role_names

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """The inputs of every resource that the program declares for a database `books`."""
    resources: dict[str, Any] = _declare("books")["made"]
    return resources


@cache  # none of the tests changes what they get
def _declare(database: str, *more: str) -> dict[str, Any]:
    """Declare everything under mocks, in a process of its own: the SDK's leave loops open."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.declare", database, *more],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    declared: dict[str, Any] = json.loads(done.stdout)
    return declared


def _of(each: list[dict[str, Any]], **wanted: str) -> list[dict[str, Any]]:
    """Give those that have these values."""
    return [one for one in each if all(one.get(key) == wanted[key] for key in wanted)]


def _secret(value: object) -> object:
    """Give the value of what the engine is told is secret; anything else fails."""
    assert isinstance(value, dict)
    assert rpc._special_sig_key in value  # noqa: SLF001 - how the SDK marks a secret
    return value["value"]


def test_the_server_gets_verifiers_and_no_passwords_of_roles(made: dict[str, Any]) -> None:
    """Only URLs have passwords; what goes into CREATE ROLE can't be logged in with."""
    for group in ("owner", "readwrite", "readonly"):
        assert "password" not in made[f"db-role-{group}"]
    for role in ("migrator", "app", "reader"):
        given = made[f"db-role-{role}"]["password"]
        assert _secret(given) == f"SCRAM-SHA-256$db-{role}"


def test_nobody_logs_in_as_the_owner_or_a_group(made: dict[str, Any]) -> None:
    """Objects belong to a role that has no login, and so do privileges."""
    for group in ("owner", "readwrite", "readonly"):
        assert made[f"db-role-{group}"]["login"] is False
    assert made["db-database"]["owner"] == "books_owner"


def test_the_owner_sees_the_sessions_of_a_cluster_of_the_stacks_own(made: dict[str, Any]) -> None:
    """A preview names the session that is in a migration's way, with its age and query."""
    (held,) = _of(made["db-memberships"]["memberships"], member="books_owner")

    assert made["db-role-owner"]["roles"] == ["pg_read_all_stats"]
    assert held == {
        "member": "books_owner",
        "group": "pg_read_all_stats",
        "inherit": True,
        "set": True,
    }


def test_the_migrator_becomes_the_owner_in_its_database_alone(made: dict[str, Any]) -> None:
    """It may SET ROLE and inherits nothing; search_path and role are settings of the database."""
    migrator = made["db-role-migrator"]
    (held,) = _of(made["db-memberships"]["memberships"], member="books_migrator")
    settings = made["db-role-settings"]["settings"]

    assert migrator["roles"] == ["books_owner"]
    assert migrator["inherit"] is False
    assert held == {
        "member": "books_migrator",
        "group": "books_owner",
        "inherit": False,
        "set": True,
    }
    assert not {"assumeRole", "searchPaths"} & set(migrator)
    assert settings["books_migrator"]["role"] == "books_owner"
    assert all(own["search_path"] == ["app", "ext"] for own in settings.values())
    assert not any("role" in own for role, own in settings.items() if role != "books_migrator")


def test_what_migrations_will_make_is_within_the_groups_reach(made: dict[str, Any]) -> None:
    """Default privileges are the owner's, one by one, in the schema of the application."""
    for group, privileges in (
        ("readwrite", ["DELETE", "INSERT", "SELECT", "UPDATE"]),
        ("readonly", ["SELECT"]),
    ):
        tables = made[f"db-default-{group}-table"]
        assert (tables["owner"], tables["role"], tables["schema"]) == (
            "books_owner",
            f"books_{group}",
            "app",
        )
        assert sorted(tables["privileges"]) == privileges


def test_public_loses_what_it_has_unasked(made: dict[str, Any]) -> None:
    """On the database and those of the server, on schemas, and on functions to come."""
    of_public = _of(list(made.values()), role="public")

    assert len(of_public) == 6
    assert all(each["privileges"] == [] for each in of_public)
    assert {each["database"] for each in of_public} == {"books", "postgres", "template1"}
    assert "schema" not in made["db-default-public-function"]  # in a schema it would add nothing


def test_an_auditor_is_there_where_one_is_wanted(made: dict[str, Any]) -> None:
    """It reads by the group of readers and by the role that the policies of rows know."""
    with_auditor = _declare("books", "auditor=true")
    role = with_auditor["made"]["db-role-auditor"]

    assert "db-role-auditor" not in made
    assert sorted(role["roles"]) == ["books_readonly", "pg_read_all_data"]
    assert "auditor" in with_auditor["urls"]


def test_limits_are_the_roles_own(made: dict[str, Any]) -> None:
    """Timeouts go with role and database, the number of sessions with the role."""
    settings = made["db-role-settings"]["settings"]

    assert set(settings["books_app"]) == {
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "search_path",
        "statement_timeout",
    }
    assert made["db-role-app"]["connectionLimit"] > 0


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
    names = [roles.owner, roles.migrator, roles.readwrite, roles.readonly, roles.app, roles.reader]

    assert all(len(role.encode()) <= 63 for role in names)
    assert len(set(names)) == 6
    assert role_names(name[:-1] + "y").owner not in names


def test_names_of_roles_have_no_comma(made: dict[str, Any]) -> None:
    """A name with a comma can't log in through asyncpg; what replaces it is nobody else's name."""
    roles = role_names("a,b")

    assert not any("," in name for name in (roles.migrator, roles.app, roles.reader))
    assert roles.app != role_names("a;b").app
    assert made["db-role-app"]["name"] == "books_app"  # where there is none, nothing is changed


def test_a_url_escapes_each_of_its_parts() -> None:
    """No character of a name, a password or a path changes the meaning of the URL."""
    text = url(
        user="u@:/",
        password="p?#%",  # noqa: S106 - characters to escape
        addresses="h:1,[::1]:2",
        database="d/&",
        options={"sslmode": "require", "sslrootcert": "/a b&c", "target_session_attrs": ""},
    )

    assert text == (
        "postgresql://u%40%3A%2F:p%3F%23%25@h:1,[::1]:2/d%2F%26"
        "?sslmode=require&sslrootcert=/a%20b%26c"
    )


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
