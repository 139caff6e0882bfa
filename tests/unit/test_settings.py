"""Settings: what is accepted, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra.schema.model import Policy
from infra.schema.options import Options
from infra.settings import SettingsError, docs, parse
from infra.settings.keys import KEYS

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose migrations are where they are by default."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "alembic.ini").touch()
    return tmp_path


def _mistakes(root: Path, **values: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(values, root=root)
    return caught.value.mistakes


def test_defaults_are_enough(root: Path) -> None:
    """A stack that sets nothing gets an embedded server on a free port."""
    chosen = parse({}, root=root)

    assert (chosen.target, chosen.database, chosen.port) == ("embedded", "groundwork", 0)
    assert chosen.data_dir is None
    assert chosen.migrations == root / "migrations"


def test_every_mistake_is_listed_in_one_message_with_its_key(root: Path) -> None:
    """Several mistakes come together, each with the key to set, and nothing is changed."""
    values = {"target": "cloud", "port": "70000", "database": "", "migrations": "nowhere"}
    with pytest.raises(SettingsError) as caught:
        parse(values, root=root)

    text = str(caught.value)
    assert "4 mistakes; nothing was changed" in text
    for key in values:
        assert f"- groundwork:{key}: " in text
    assert "pulumi config set" in text


@pytest.mark.parametrize("port", ["-1", "1", "1023", "65536", "99999999999", "http", "54.3", ""])
def test_a_port_out_of_range_is_refused(root: Path, port: str) -> None:
    """A port is a whole number from 1024 to 65535, or 0."""
    (mistake,) = _mistakes(root, port=port)

    assert mistake.startswith("groundwork:port: ")


@pytest.mark.parametrize("port", ["0", "1024", "65535"])
def test_a_port_in_range_is_taken(root: Path, port: str) -> None:
    """The ends of the range belong to it."""
    assert parse({"port": port}, root=root).port == int(port)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        ("x" * 64, "64 bytes"),
        ("é" * 32, "64 bytes"),
        ("a\0b", "NUL"),
        ("100% books?", "has % ?"),
        ("postgres", "server's own"),
        ("template0", "server's own"),
    ],
)
def test_a_database_name_that_would_not_be_kept_is_refused(
    root: Path, name: str, said: str
) -> None:
    """Empty, over 63 bytes of UTF-8, unfit for the provider, or one of the server's own."""
    (mistake,) = _mistakes(root, database=name)

    assert mistake.startswith("groundwork:database: ")
    assert said in mistake


@pytest.mark.parametrize("name", ["x" * 63, 'My "Books"; --', "büro 📚", "Ledger/2026 & co@home"])
def test_an_odd_database_name_is_taken_as_it_is(root: Path, name: str) -> None:
    """Quotes, spaces, upper case, emoji and 63 bytes are all names."""
    assert parse({"database": name}, root=root).database == name


def test_a_misspelt_key_is_refused_with_the_nearest_right_one(root: Path) -> None:
    """An unknown key never passes for a default."""
    (mistake,) = _mistakes(root, databse="books")

    assert mistake == "groundwork:databse: no such key; did you mean groundwork:database?"


def test_a_missing_configuration_of_alembic_is_told_before_anything_is_made(root: Path) -> None:
    """The folder is there, and nothing that Alembic would read."""
    (root / "migrations" / "alembic.ini").unlink()
    (mistake,) = _mistakes(root)

    assert mistake == (
        "groundwork:migrations: the folder 'migrations' has no alembic.ini and no pyproject.toml"
    )


def test_a_pyproject_is_a_configuration_too(root: Path) -> None:
    """Alembic takes its options from pyproject.toml as well."""
    (root / "migrations" / "alembic.ini").rename(root / "migrations" / "pyproject.toml")

    assert parse({}, root=root).migrations == root / "migrations"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("downgrade", "yes"),
        ("drift", "maybe"),
        ("edited", "ignore"),
        ("apply", "offline"),
        ("on_destroy", "drop"),
        ("lock_timeout", "5 seconds"),
        ("statement_timeout", "-1"),
        ("approved_plan", "abc"),
        ("approved_plan", "the one of Monday"),
        ("revision", ""),
        ("url_variable", "MY-URL"),
    ],
)
def test_an_option_of_the_schema_that_means_nothing_is_refused(
    root: Path, key: str, value: str
) -> None:
    """Each has its words, and the message begins with the key to set."""
    (mistake,) = _mistakes(root, **{key: value})

    assert mistake.startswith(f"groundwork:{key}: ")


def test_options_of_the_schema_reach_the_plan(root: Path) -> None:
    """What the stack allows is what a plan is made with."""
    digest = "0123456789ab"
    chosen = parse(
        {"downgrade": "allow", "revision": "base", "approved_plan": digest, "lock_timeout": "0"},
        root=root,
    ).schema

    assert chosen.policy == Policy(downgrade="allow", target="base", approved_plan=digest)
    assert (chosen.on_destroy, chosen.lock_timeout) == ("retain", "0")
    assert Options.of(chosen.dump()) == chosen


def test_paths_refer_to_the_project_or_to_home(root: Path) -> None:
    """A relative path starts at the project, `~` is the user's home."""
    assert parse({"dataDir": "pg"}, root=root).data_dir == root / "pg"
    assert parse({"dataDir": "~/pg"}, root=root).data_dir == Path.home() / "pg"


def test_pulumi_yaml_declares_the_same_keys_and_defaults() -> None:
    """The typed schema of Pulumi.yaml and the code never tell two stories."""
    text = (_ROOT / "Pulumi.yaml").read_text()
    declared = yaml.safe_load(text)["config"]

    assert docs.project(text) == text
    assert list(declared) == list(KEYS)
    assert all(entry["type"] and entry["description"] for entry in declared.values())
    assert all("default" in entry for entry in declared.values())
