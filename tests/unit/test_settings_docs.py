"""What is written from the table of keys is what the table says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from infra.settings import SettingsError, parse
from infra.settings.__main__ import main
from infra.settings.key import SECTIONS
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from typing import Any

_ROOT = Path(__file__).parents[2]
_WRITTEN = ("Pulumi.yaml", "docs/settings.md")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with copies of what is written."""
    (tmp_path / "docs").mkdir()
    for name in _WRITTEN:
        shutil.copy(_ROOT / name, tmp_path / name)
    return tmp_path


def _declared(root: Path) -> dict[str, Any]:
    declared: dict[str, Any] = yaml.safe_load((root / "Pulumi.yaml").read_text())["config"]
    return declared


def test_nothing_is_stale() -> None:
    """Pulumi.yaml and the page tell the same story as the code; the command says so too."""
    command = [sys.executable, "-m", "infra.settings", "docs", "--check"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_pulumi_yaml_has_type_default_and_description_of_every_key() -> None:
    """Typed as the engine checks it; a default is what the code takes for nothing."""
    declared = _declared(_ROOT)

    assert list(declared) == list(KEYS)
    for name, entry in declared.items():
        # The engine checks a list by one type of its items, and takes any without one.
        assert entry.get("type", "list") == KEYS[name].type
        assert entry["description"]
        default = entry["default"]
        text = default if isinstance(default, str) else json.dumps(default)
        assert text == KEYS[name].default
        # The engine would want a value of every stack, and takes no default beside it.
        assert "secret" not in entry


@pytest.mark.parametrize("path", sorted(_ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_an_example_is_right_but_for_what_nobody_else_can_know(path: Path) -> None:
    """Known keys, values that mean something; only the admin's URL is still to be given."""
    config = yaml.safe_load(path.read_text())["config"]
    given = {key.removeprefix("groundwork:"): str(value) for key, value in config.items()}

    missing = []
    try:
        parse(given, root=_ROOT, secrets=())
    except SettingsError as exc:
        missing = [line.partition(" is missing")[0] for line in exc.mistakes]
    assert missing == (["groundwork:adminUrl:"] if given["target"] == "existing" else [])


def test_the_page_has_every_key_once_in_its_section() -> None:
    """A reader finds each key, and what it does."""
    page = (_ROOT / "docs" / "settings.md").read_text()

    for title in SECTIONS.values():
        assert page.count(f"\n## {title}\n") == 1
    for key in KEYS.values():
        rows = [line for line in page.splitlines() if line.startswith(f"| `{key.name}` | ")]
        assert len([row for row in rows if key.description in row.replace("\\|", "|")]) == 1


@pytest.mark.parametrize("name", _WRITTEN)
def test_a_stale_file_is_told_and_written_again(
    root: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check changes nothing and shows the difference; the command repairs it."""
    path = root / name
    right = path.read_text()
    path.write_text(right.replace("TCP port", "Socket"))

    assert main(["docs", "--check", "--root", str(root)]) == 1
    said = capsys.readouterr().err
    assert "-" in said
    assert f"error: {path} is stale: run `python -m infra.settings docs`." in said
    assert "Socket" in path.read_text()
    assert main(["docs", "--root", str(root)]) == 0
    assert path.read_text() == right


def test_what_is_not_the_schema_stays_in_pulumi_yaml(root: Path) -> None:
    """A comment, another key behind it, the order: all but the section itself."""
    path = root / "Pulumi.yaml"
    before = "# mine\n" + path.read_text() + "template:\n  description: mine too\n"
    path.write_text(before.replace("  port:\n", "  prot:\n"))

    assert main(["docs", "--root", str(root)]) == 0
    assert path.read_text() == before


def test_a_schema_is_made_where_there_is_none(root: Path) -> None:
    """A Pulumi.yaml without configuration gets it."""
    (root / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")

    assert main(["docs", "--root", str(root)]) == 0
    assert list(_declared(root)) == list(KEYS)


@pytest.mark.parametrize("spoil", ["markers", "file"])
def test_a_page_that_can_not_be_written_is_told(
    root: Path, spoil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No markers, or no page: one message, nothing written, status 1."""
    page = root / "docs" / "settings.md"
    if spoil == "file":
        page.unlink()
    else:
        page.write_text("# Settings\n")
    (root / "Pulumi.yaml").write_text("name: groundwork\n")

    assert main(["docs", "--root", str(root)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert str(page) in said
    assert "Nothing was written." in said
    assert (root / "Pulumi.yaml").read_text() == "name: groundwork\n"
