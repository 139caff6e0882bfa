"""Settings that whoever starts a preview may choose by environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.settings import SettingsError, parse
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.unit.settings_project import SettingsProject


def _parse(project: SettingsProject, variables: dict[str, str], **given: str) -> Settings:
    return parse(given, root=project.folder, variables=variables)


@pytest.mark.parametrize("environment", ["dev", "preview"])
def test_a_variable_stands_in_for_a_key_that_is_not_set(
    project: SettingsProject, environment: str
) -> None:
    """GROUNDWORK_REHEARSE and GROUNDWORK_SINCE go before what the environment says."""
    variables = {"GROUNDWORK_REHEARSE": "true", "GROUNDWORK_SINCE": "origin/main"}

    chosen = _parse(project, variables, environment=environment).schema
    assert (chosen.rehearse, chosen.since) == (True, "origin/main")
    quiet = _parse(project, {"GROUNDWORK_REHEARSE": "false"}, environment=environment).schema
    assert quiet.rehearse is False


def test_the_stack_goes_before_the_variables(project: SettingsProject) -> None:
    """A stack that says `rehearse: false` is never rehearsed, whatever a CI asks for."""
    variables = {"GROUNDWORK_REHEARSE": "true", "GROUNDWORK_SINCE": "origin/main"}

    chosen = _parse(project, variables, rehearse="false", since="v1").schema

    assert (chosen.rehearse, chosen.since) == (False, "v1")


def test_what_is_empty_is_not_set(project: SettingsProject) -> None:
    """The engine hands empty defaults over like values; a CI does so with variables."""
    variables = {"GROUNDWORK_REHEARSE": "true", "GROUNDWORK_SINCE": ""}
    defaults = {name: key.default for name, key in KEYS.items()}

    chosen = _parse(project, variables, **defaults).schema
    assert (chosen.rehearse, chosen.since) == (True, "")
    nothing = {"GROUNDWORK_REHEARSE": "", "GROUNDWORK_SINCE": ""}
    assert _parse(project, nothing) == project.parse()


@pytest.mark.parametrize(
    ("variable", "text", "why"),
    [
        ("GROUNDWORK_REHEARSE", "yes", "'yes' is unknown; one of: true, false"),
        ("GROUNDWORK_SINCE", "--output=/etc/passwd", "is no commit, tag or branch of git"),
        ("GROUNDWORK_SINCE", "two words", "is no commit, tag or branch of git"),
    ],
)
def test_a_mistake_names_the_variable(
    project: SettingsProject, variable: str, text: str, why: str
) -> None:
    """It is in the one message with all the others, under the name that has to be mended."""
    with pytest.raises(SettingsError) as caught:
        _parse(project, {variable: text}, port="http")

    assert len(caught.value.mistakes) == 2
    (mistake,) = (line for line in caught.value.mistakes if line.startswith(f"{variable}: "))
    assert why in mistake


def test_a_mistake_of_the_key_names_the_key(project: SettingsProject) -> None:
    """A variable that is not used is not looked at either."""
    with pytest.raises(SettingsError) as caught:
        _parse(project, {"GROUNDWORK_REHEARSE": "nonsense"}, rehearse="perhaps", since="-x")

    assert [line.partition(": ")[0] for line in caught.value.mistakes] == [
        "groundwork:rehearse",
        "groundwork:since",
    ]
