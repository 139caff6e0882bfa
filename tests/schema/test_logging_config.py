"""An env.py that configures logging by its INI file does so here where it does with Alembic."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from infra.schema.errors import HistoryError
from tests.schema.histories.project import Project, bare
from toolchain import revision
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

_SECTIONS = """
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic
[formatter_generic]
format = %(levelname)s
"""
_CALL = "from logging.config import fileConfig\nfrom alembic import context\nfileConfig({})\n"
_USUAL = "context.config.config_file_name"


def _project(tmp_path: Path, sections: str, given: str) -> Project:
    project = bare(tmp_path)
    ini = project.root / "alembic.ini"
    ini.write_text(ini.read_text() + sections)
    env = project.scripts / "env.py"
    env.write_text(_CALL.format(given) + env.read_text())
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    return project


@pytest.mark.parametrize("options", ["", ", disable_existing_loggers=False", ", encoding='utf-8'"])
def test_what_is_complete_is_used(tmp_path: Path, options: str) -> None:
    """Loggers that it disables are no matter."""
    project = _project(tmp_path, _SECTIONS, _USUAL + options)

    assert history.read(project.root).revisions[0].upgrade.live == ""


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("[formatters]\nkeys = generic\n", "which has no section or key formatters"),
        ("[loggers]\nkeys = root\n", "which has no section or key loggers"),
        ("keys = console\n", "which has no section or key keys"),
        ("[formatter_generic]\nformat = %(levelname)s\n", "no section or key formatter_generic"),
        ("class = StreamHandler\n", "which has no section or key class"),
    ],
)
def test_what_lacks_a_section_is_refused(tmp_path: Path, left_out: str, said: str) -> None:
    """Before anything runs, by the line of env.py and the file; no revision is blamed."""
    project = _project(tmp_path, _SECTIONS.replace(left_out, "", 1), _USUAL)

    with pytest.raises(HistoryError, match=said) as caught:
        history.read(project.root)

    place = rf"line 3 of {project.scripts}/env.py configures logging by {project.root}/alembic.ini"
    assert f"{place}, " in str(caught.value)
    assert "aaaa" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_is_refused(tmp_path: Path) -> None:
    """As `config_file_name` is None where Alembic is called without an INI file."""
    project = _project(tmp_path, _SECTIONS, "None")

    with pytest.raises(HistoryError, match=r"logging by no file: Alembic is called without an INI"):
        history.read(project.root)


def test_a_new_revision_is_refused_in_the_same_way(tmp_path: Path) -> None:
    """Where plain Alembic ends in a traceback."""
    project = _project(tmp_path, "", _USUAL)
    command = [sys.executable, "-m", "alembic", "revision", "--autogenerate", "-m", "x"]
    plain = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)

    with pytest.raises(ToolchainError) as caught:
        revision.write(folder=project.root, url="postgresql://h/d", message="x", up="make up")

    assert "KeyError: 'formatters'" in plain.stderr
    assert "alembic.ini, which has no section or key formatters." in str(caught.value)
    assert "Traceback" not in str(caught.value)
