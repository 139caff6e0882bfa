"""Keys in a wrong namespace: reported with what to write; those of providers are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.settings import SettingsError, parse
from infra.settings.namespace import strays

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("groundwork:target", "write shop:target"),
        ("groundwork:nonsense", "take it out: pulumi config rm groundwork:nonsense"),
        ("shopp:port", "write shop:port"),
        ("former-name:environment", "write shop:environment"),
    ],
)
def test_a_key_of_another_project_is_told_with_what_to_write(key: str, advice: str) -> None:
    """Of the published name, of one misspelled, and of a name that the project had before."""
    (said,) = strays([key, "shop:database"], "shop")

    assert said.startswith(f"{key}: is read by nothing here, since this project's name is shop;")
    assert said.endswith(advice)


@pytest.mark.parametrize(
    "key",
    [
        "shop:target",
        "shop:nonsense",  # reported as an unknown key of the project's own
        "docker:host",
        "postgresql:database",
        "postgresql:port",
        "pulumi:tags",
        "aws:region",
        "azure:environment",
        "our-own:colour",
    ],
)
def test_keys_of_the_project_and_of_others_are_left_alone(key: str) -> None:
    """A provider may have a key of our name, and another program keys of its own."""
    assert list(strays([key], "shop")) == []


def test_they_are_in_the_one_message_with_all_other_mistakes(project: SettingsProject) -> None:
    """Each on a line of its own."""
    wrong = tuple(strays(["groundwork:target", "groundwork:port"], "shop"))

    with pytest.raises(SettingsError) as caught:
        parse({"nonsense": "1"}, root=project.folder, strays=wrong)

    assert len(caught.value.mistakes) == 3
    assert "groundwork:target: " in str(caught.value)
    assert "nonsense: no such key" in str(caught.value)
