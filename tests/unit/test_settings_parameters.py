"""Settings of postgresql.conf that a stack chooses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject


def test_texts_numbers_and_booleans_are_values(project: SettingsProject) -> None:
    """Written as postgresql.conf has them, whatever quotes are in them."""
    given = {
        "work_mem": "64MB",
        "Max_Connections": 200,
        "random_page_cost": 1.1,
        "jit": False,
        "log_line_prefix": "%m '[\\p]' ",
        "shared_preload_libraries": "",
    }

    assert project.parse(parameters=json.dumps(given)).parameters == {
        "work_mem": "64MB",
        "max_connections": "200",
        "random_page_cost": "1.1",
        "jit": "off",
        "log_line_prefix": "%m '[\\p]' ",
        "shared_preload_libraries": "",
    }


def test_a_dot_in_a_name_may_have_come_as_a_map(project: SettingsProject) -> None:
    """`pulumi config set --path` makes a map of what is before the dot."""
    nested = {"auto_explain": {"log_min_duration": "1s"}, "pg_trgm.word_similarity_threshold": 0.5}

    assert project.parse(parameters=json.dumps(nested)).parameters == {
        "auto_explain.log_min_duration": "1s",
        "pg_trgm.word_similarity_threshold": "0.5",
    }


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("port", "groundwork:port"),
        ("PORT", "groundwork:port"),
        ("data_directory", "groundwork:dataDir"),
        ("listen_addresses", "address"),
        ("hba_file", "places"),
        ("include_dir", "places"),
        ("unix_socket_directories", "TCP"),
        ("unix_socket_permissions", "TCP"),
        ("ssl", "groundwork:tlsCertificate"),
        ("ssl_ca_file", "groundwork:tlsCertificate"),
        ("password_encryption", "SCRAM"),
        ("client_connection_check_interval", "killed"),
    ],
)
def test_what_the_project_sets_itself_is_refused_with_the_way_to_it(
    project: SettingsProject, name: str, way: str
) -> None:
    """In whatever case it is written."""
    mistake = project.mistake(parameters=json.dumps({name: "1"}))

    assert mistake.startswith(f"groundwork:parameters: {name!r} is not to be set here: ")
    assert way in mistake


@pytest.mark.parametrize(
    "name", ["", "work-mem", "work mem", "a.b.c", "1st", "a=b", "a\nb", "ä", "a'", "-c x", "."]
)
def test_a_name_that_is_none_is_refused(project: SettingsProject, name: str) -> None:
    """It would end a line of the file, or begin an option of the command."""
    mistake = project.mistake(parameters=json.dumps({name: "1"}))

    assert mistake.startswith(f"groundwork:parameters: {name!r} is no name of a setting")


@pytest.mark.parametrize(
    "value", [None, [], ["a"], {}, {"x": {"y": 1}}, "a\nport = 1", "a\0b", "\ud800", "\x7f"]
)
def test_a_value_that_is_none_is_refused(project: SettingsProject, value: object) -> None:
    """Nothing, lists, deeper maps, and texts that would be more than one line."""
    mistake = project.mistake(parameters=json.dumps({"work_mem": value}))

    assert mistake.startswith("groundwork:parameters: 'work_mem")


def test_one_setting_in_two_cases_is_refused(project: SettingsProject) -> None:
    """PostgreSQL would take the later one, and nobody knows which that is."""
    mistake = project.mistake(parameters='{"jit": true, "JIT": false}')

    assert mistake == "groundwork:parameters: 'JIT' is given twice"


@pytest.mark.parametrize("text", ["", "[]", "64MB", '"a"', "{", "null"])
def test_what_is_no_map_is_refused_with_the_command_for_one(
    project: SettingsProject, text: str
) -> None:
    """The way to set one value is in the message."""
    mistake = project.mistake(parameters=text)

    assert "is no map of names to values" in mistake
    assert "pulumi config set --path 'groundwork:parameters.work_mem' 64MB" in mistake


def test_every_mistake_of_a_map_is_told(project: SettingsProject) -> None:
    """Three settings, three lines."""
    assert len(project.mistakes(parameters='{"port": 1, "x y": 1, "jit": null}')) == 3


def test_a_secret_among_the_settings_is_refused(project: SettingsProject) -> None:
    """The server shows them, so that none stays secret."""
    mistake = project.mistake(parameters='{"jit": true}', secrets={"parameters"})

    assert mistake.startswith("groundwork:parameters: has a secret")


def test_roles_are_promised_no_more_connections_than_there_are(project: SettingsProject) -> None:
    """97 of PostgreSQL's 100, or of what the stack chooses; a role without a limit counts none."""
    assert project.parse(appConnections="67")
    assert "leaves 97 for roles" in project.mistake(appConnections="68")
    assert project.parse(appConnections="168", parameters='{"max_connections": 201}')
    assert "promise 98" in project.mistake(
        appConnections="68", parameters='{"superuser_reserved_connections": 3}'
    )
    assert project.mistake(appConnections="63", auditor="true")
    assert project.parse(appConnections="-1", readerConnections="87")
