"""Other names for what a stack has: refused by comparison with its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.database import renames
from infra.database.renames import RenameError
from infra.servers.stack_state import StackState

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject

_ROLE = "postgresql:index/role:Role"
_SCHEMA = "postgresql:index/schema:Schema"
_DATABASE = "postgresql:index/database:Database"


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a stack whose database is `books`, with another name for the application."""
    names = {kind: f"books_{kind}" for kind in ("owner", "migrator", "readwrite", "readonly")}
    found = {
        f"urn:pulumi:dev::shop::{_ROLE}::db-role-{kind}": {"type": _ROLE, "outputs": {"name": name}}
        for kind, name in {**names, "app": "shop", "reader": "books_reader"}.items()
    }
    database = {"type": _DATABASE, "outputs": {"name": "books"}}
    found[f"urn:pulumi:dev::shop::{_DATABASE}::db-database"] = database
    monkeypatch.setattr(StackState, "read", lambda: StackState(resources=found))


def _refused(project: SettingsProject, **keys: str) -> str:
    with pytest.raises(RenameError) as refused:
        renames.refuse("db", project.parse(**keys))
    return str(refused.value)


@pytest.mark.usefixtures("books")
def test_the_names_that_the_state_has_pass(project: SettingsProject) -> None:
    """So does a role that it has not."""
    renames.refuse("db", project.parse(database="books", appRole="shop", auditor="true"))


@pytest.mark.usefixtures("books")
def test_another_database_is_refused(project: SettingsProject) -> None:
    """Roles that are named after it are not told one by one."""
    said = _refused(project, database="it's ours", appRole="shop")

    assert "the database is 'books', and groundwork:database says \"it's ours\"" in said
    assert "    pulumi config set groundwork:database books\n" in said
    assert "Role" not in said


@pytest.mark.usefixtures("books")
def test_another_role_is_refused(project: SettingsProject) -> None:
    """The command sets the former name, or takes the key out where that was the default."""
    said = _refused(project, database="books", readonlyRole="a reader", appRole="a shop's")

    assert "the readonly is 'books_readonly', and groundwork:readonlyRole" in said
    assert "    pulumi config rm groundwork:readonlyRole\n" in said
    assert "    pulumi config set groundwork:appRole shop\n" in said


@pytest.mark.usefixtures("books")
def test_a_chosen_role_is_told_beside_the_database(project: SettingsProject) -> None:
    """With the former database alone, it would still have another name."""
    said = _refused(project, database="ours", appRole="shop", ownerRole="boss")

    assert "the owner is 'books_owner', and groundwork:ownerRole would make it 'boss'" in said
    assert "    pulumi config rm groundwork:ownerRole\n" in said


@pytest.mark.parametrize(
    ("kind", "keys", "command"),
    [
        ("app", {"schema": "shop"}, "pulumi config set groundwork:schema made"),
        ("ext", {"extensionSchema": "other"}, "pulumi config set groundwork:extensionSchema made"),
    ],
)
def test_another_schema_is_refused(
    project: SettingsProject,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    keys: dict[str, str],
    command: str,
) -> None:
    """That of the migrations, and that of the extensions."""
    urn = f"urn:pulumi:dev::shop::{_SCHEMA}::db-schema-{kind}"
    found = {urn: {"type": _SCHEMA, "outputs": {"name": "made"}}}
    monkeypatch.setattr(StackState, "read", lambda: StackState(resources=found))

    assert command in _refused(project, **keys)
    renames.refuse("db", project.parse(**dict.fromkeys(keys, "made")))


def test_another_schema_than_an_adopted_one_is_refused(
    project: SettingsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`public` is no resource of its own; the grant on it says which schema it was."""
    kind = "postgresql:index/grant:Grant"
    urn = f"urn:pulumi:dev::shop::{kind}::db-grant-public-usage"
    found = {urn: {"type": kind, "outputs": {"schema": "public"}}}
    monkeypatch.setattr(StackState, "read", lambda: StackState(resources=found))

    assert "pulumi config set groundwork:schema public" in _refused(project, schema="app")
    renames.refuse("db", project.parse(schema="public"))


def test_a_new_database_with_a_quote_is_refused(
    project: SettingsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack that has one goes on with it."""
    monkeypatch.setattr(StackState, "read", StackState)
    assert "groundwork:database it_s" in _refused(project, database="it's")

    urn = f"urn:pulumi:dev::shop::{_DATABASE}::db-database"
    found = {urn: {"type": _DATABASE, "outputs": {"name": "it's"}}}
    monkeypatch.setattr(StackState, "read", lambda: StackState(resources=found))
    renames.refuse("db", project.parse(database="it's"))
