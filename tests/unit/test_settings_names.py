"""Names of the database and of its roles, as a stack may choose them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject

_KINDS = ("owner", "migrator", "readwrite", "readonly", "app", "reader", "auditor")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        ("x" * 64, "64 bytes"),
        ("é" * 32, "64 bytes"),
        ("a\0b", "NUL"),
        ("a\ud800b", "no UTF-8"),
        ("100% books?", "has % ?"),
        ("postgres", "server's own"),
        ("template0", "server's own"),
    ],
)
def test_a_database_name_that_would_not_be_kept_is_refused(
    project: SettingsProject, name: str, said: str
) -> None:
    """Empty, over 63 bytes of UTF-8, unfit for the provider, or one of the server's own."""
    mistake = project.mistake(database=name)

    assert mistake.startswith("groundwork:database: ")
    assert said in mistake


@pytest.mark.parametrize("name", ["x" * 63, 'My "Books"; --', "büro 📚", "Ledger/2026 & co@home"])
def test_an_odd_database_name_is_taken_as_it_is(project: SettingsProject, name: str) -> None:
    """Quotes, spaces, upper case, emoji and 63 bytes are all names."""
    assert project.parse(database=name).database == name


def test_roles_are_named_after_the_database_unless_they_are_chosen(
    project: SettingsProject,
) -> None:
    """A chosen name stands as it is; an auditor is there only where one is wanted."""
    chosen = {f"{kind}Role": f'The "{kind}" 📚' for kind in _KINDS}

    assert asdict(project.parse(database="books").access.roles) == {
        kind: "" if kind == "auditor" else f"books_{kind}" for kind in _KINDS
    }
    assert asdict(project.parse(auditor="true", **chosen).access.roles) == {
        kind: f'The "{kind}" 📚' for kind in _KINDS
    }
    assert project.parse(database="books", auditor="true").access.roles.auditor == "books_auditor"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 64, "64 bytes"),
        ("📚" * 16, "64 bytes"),
        ("a\0b", "NUL"),
        ("\udfff", "no UTF-8"),
        ("pg_monitor", "PostgreSQL's own"),
        ("pg_anything", "PostgreSQL's own"),
        ("public", "PostgreSQL's own"),
        ("none", "PostgreSQL's own"),
        ("postgres", "superuser"),
    ],
)
def test_a_role_name_that_postgresql_refuses_is_refused_before(
    project: SettingsProject, name: str, said: str
) -> None:
    """Too long, no text, or taken by PostgreSQL itself."""
    for kind in _KINDS:
        mistake = project.mistake(**{f"{kind}Role": name}, auditor="true")

        assert mistake.startswith(f"groundwork:{kind}Role: ")
        assert said in mistake


def test_two_roles_can_not_be_one(project: SettingsProject) -> None:
    """Chosen alike, or chosen as another one is named by default."""
    assert project.mistake(appRole="books", readerRole="books") == (
        "groundwork:readerRole: 'books' is the name of the app and of the reader, and each needs a"
        " role of its own; set groundwork:appRole or groundwork:readerRole to another"
    )
    assert project.mistake(ownerRole="groundwork_app").startswith("groundwork:ownerRole: ")
    assert project.parse(appRole="books", readerRole="Books")


def test_the_admin_of_an_existing_server_is_none_of_the_roles(project: SettingsProject) -> None:
    """The stack would change the login that it lives by."""
    url = "postgresql://My%20admin:x@db.test/postgres"

    mistake = project.mistake(target="existing", adminUrl=url, appRole="My admin")
    assert mistake == "groundwork:appRole: 'My admin' is the admin of groundwork:adminUrl"
    assert project.parse(target="existing", adminUrl=url, appRole="postgres")


@pytest.mark.parametrize("key", ["schema", "extensionSchema"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        ("é" * 32, "64 bytes"),
        ("a\0b", "NUL"),
        ("pg_shop", "a meaning of its own"),
        ("information_schema", "a meaning of its own"),
        ("$user", "a meaning of its own"),
        ("schema_ledger", "a meaning of its own"),
    ],
)
def test_a_schema_that_can_not_be_one_is_refused(
    project: SettingsProject, key: str, name: str, said: str
) -> None:
    """Empty, over 63 bytes, PostgreSQL's own, or the ledger's."""
    mistake = project.mistake(**{key: name})

    assert mistake.startswith(f"groundwork:{key}: ")
    assert said in mistake


@pytest.mark.parametrize("name", ["public", 'My "Schema"; --', "büro 📚", "a,b c\\d"])
def test_an_odd_schema_is_taken_as_it_is(project: SettingsProject, name: str) -> None:
    """The node knows it, too: that is where its tables are looked for."""
    settings = project.parse(schema=name)

    assert (settings.app_schema, settings.schema.schema) == (name, name)
