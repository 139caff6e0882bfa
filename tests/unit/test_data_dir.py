"""Where the data directory of an embedded server is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.servers.embedded import default_data_dir
from infra.servers.errors import ClusterError
from infra.servers.local.moving import free_place, locate

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject

_OWNER = "groundwork/dev"


def _nowhere(_owner: str) -> Path:
    return Path("/usual")


def _cluster(folder: Path, owner: str = _OWNER) -> Path:
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("17\n")
    (folder / "groundwork.json").write_text(f'{{"owner": "{owner}"}}')
    return folder


def _located(project: SettingsProject, recorded: dict[str, str], **given: str) -> Path:
    return locate(project.parse(**given), recorded, owner=_OWNER, usual=_nowhere)


def test_without_a_server_the_setting_counts_and_then_the_usual_place(
    project: SettingsProject,
) -> None:
    """A state that has none is that of a new stack, or was lost."""
    assert _located(project, {}) == Path("/usual")
    assert _located(project, {}, dataDir="here") == project.folder / "here"


def test_a_server_is_where_the_state_says(project: SettingsProject) -> None:
    """Whatever the usual place is, and whether or not the setting that placed it is still there."""
    recorded = {"data_dir": "/first", "requested_data_dir": "~/data"}

    assert _located(project, recorded) == Path("/first")
    assert _located(project, {"data_dir": "/first"}) == Path("/first")


@pytest.mark.parametrize("text", ["data", "~/data", "./data"])
def test_a_setting_that_means_another_folder_now_is_the_same_setting(
    project: SettingsProject, text: str
) -> None:
    """Relative to another checkout, or in another home."""
    recorded = {"data_dir": "/elsewhere/data", "requested_data_dir": text}

    assert _located(project, recorded, dataDir=text) == Path("/elsewhere/data")


def test_a_folder_in_a_checkout_goes_with_it(project: SettingsProject, tmp_path: Path) -> None:
    """Where the checkout was moved, the cluster is in the new place and not in the old one."""
    _cluster(project.folder / "data")
    recorded = {"data_dir": str(tmp_path / "before" / "data"), "requested_data_dir": "data"}

    assert _located(project, recorded, dataDir="data") == project.folder / "data"


def test_another_setting_is_asked_for(project: SettingsProject, tmp_path: Path) -> None:
    """And judged by the provider; another way to write the same place is none."""
    place = _cluster(tmp_path / "place")
    link = tmp_path / "link"
    link.symlink_to(place)
    recorded = {"data_dir": str(place), "requested_data_dir": ""}

    assert _located(project, recorded, dataDir=f"{link}/../link/") == place
    assert _located(project, recorded, dataDir="/other") == Path("/other")


def test_a_place_of_another_stack_is_left_to_it(tmp_path: Path) -> None:
    """`a-b/c` and `a/b-c` come to one name; a stack of the same name has lost its state."""
    usual = tmp_path / "a-b-c-0123abcd"
    assert free_place(usual, "a-b/c") == usual
    _cluster(usual, "a/b-c")

    assert free_place(usual, "a/b-c") == usual
    assert free_place(usual, "a-b/c") == tmp_path / "a-b-c-0123abcd-2"


def test_without_a_home_there_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a user id that the machine doesn't know, in a container for example."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")

    with pytest.raises(ClusterError, match=r"no home folder.*groundwork:dataDir"):
        default_data_dir(_OWNER)
