"""The list of extensions, as a stack may write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.extensions import Extension

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('["vector"]', [("vector", "")]),
        ("[]", []),
        ("", []),
        ("vector, pg_trgm", [("vector", ""), ("pg_trgm", "")]),
        (
            '[{"name": "uuid-ossp", "schema": "My \\"Tools\\""}, "vector"]',
            [("uuid-ossp", 'My "Tools"'), ("vector", "")],
        ),
    ],
)
def test_extensions_are_names_or_names_with_schemas(
    project: SettingsProject, text: str, found: list[tuple[str, str]]
) -> None:
    """In the order in which they are written; none is a list, too."""
    expected = tuple(Extension(name=name, schema=schema) for name, schema in found)

    assert project.parse(extensions=text).extensions == expected


def test_without_the_key_there_is_vector(project: SettingsProject) -> None:
    """As in stacks from before the key."""
    assert project.parse().extensions == (Extension(name="vector"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"vector": true}', "is no list"),
        ('["vector"', "is no list"),
        ("[1]", "is no extension"),
        ('[""]', "is no extension"),
        ('[{"schema": "ext"}]', "is no extension"),
        ('[{"name": "vector", "version": "1"}]', "has 'version'"),
        ('[{"name": "vector", "schema": "pg_catalog"}]', "PostgreSQL's own"),
        ('["vector", {"name": "vector"}]', "listed twice"),
        ('["plpgsql"]', "in every database"),
    ],
)
def test_a_list_that_means_nothing_is_refused(
    project: SettingsProject, text: str, said: str
) -> None:
    """With what is wrong in it."""
    mistake = project.mistake(extensions=text)

    assert mistake.startswith("groundwork:extensions: ")
    assert said in mistake
