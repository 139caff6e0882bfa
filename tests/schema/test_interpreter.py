"""The Python that renders and runs online may be the application's own."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import history, interpreter, options, store
from infra.schema.errors import HistoryError
from infra.schema.interpreter import Found
from infra.schema.invocation import Invocation
from tests.schema.histories.project import Project, bare

if TYPE_CHECKING:
    from pathlib import Path

_OWN = Invocation(variable="APP_DB", seconds=30)
_COMPLETE = Found(
    version=(3, 12, 1),
    modules=("alembic", "sqlalchemy", "greenlet", "psycopg"),
    packages=(("alembic", "1.9.4"), ("sqlalchemy", "2.0.4"), ("psycopg", "3.2")),
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one revision, which prints the interpreter that renders it."""
    project = bare(tmp_path, variable="APP_DB")
    project.revision("aaaa", None, "import os, sys; op.execute('SELECT ' + repr(sys.executable))")
    return project


def _program(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_interpreter_that_is_named_renders(project: Project, tmp_path: Path) -> None:
    """Another program runs; whatever it prints before is no answer."""
    python = _program(tmp_path, f'echo early >&2; STARTED_BY=own exec {sys.executable} "$@"')
    project.revision("bbbb", "aaaa", "import os; op.execute('SELECT ' + os.environ['STARTED_BY'])")

    found = history.read(project.root, replace(_OWN, python=python))

    assert found.revisions[1].upgrade.statements == ("SELECT own",)


def test_a_folder_stands_for_the_interpreter_in_it(tmp_path: Path) -> None:
    """A virtual environment is named by its folder; links that lead out of it are not followed."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    given = options.parse({"migrationsPython": str(tmp_path)})

    assert given.invocation.python == str(tmp_path / "bin" / "python")
    assert options.parse({}).invocation.python == ""


def test_no_file(project: Project, tmp_path: Path) -> None:
    """The message names the path, and what to name instead."""
    with pytest.raises(HistoryError, match=r"none: there is no such file\. Nothing was done\."):
        history.read(project.root, replace(_OWN, python=str(tmp_path / "none")))


def test_no_program(project: Project, tmp_path: Path) -> None:
    """A file without the right to be executed."""
    path = tmp_path / "python"
    path.touch()
    with pytest.raises(HistoryError, match=r"it can't be executed\. Nothing was done\."):
        history.read(project.root, replace(_OWN, python=str(path)))


@pytest.mark.parametrize(
    ("text", "said"), [("echo no way >&2", "no way"), ("exit 3", "exit status 3")]
)
def test_no_python(project: Project, tmp_path: Path, text: str, said: str) -> None:
    """Another program; its last words are in the message."""
    with pytest.raises(HistoryError, match=rf"no Python that runs: {said}\. Nothing was done\."):
        history.read(project.root, replace(_OWN, python=_program(tmp_path, text)))


def test_an_environment_without_alembic(project: Project, tmp_path: Path) -> None:
    """What is missing is listed, with the command that installs it."""
    python = _program(tmp_path, f'exec {sys.executable} -S -E "$@"')
    lacking = r"lacks alembic, sqlalchemy, greenlet\. Nothing was done\. .*/python -m pip install"
    with pytest.raises(HistoryError, match=lacking):
        history.read(project.root, replace(_OWN, python=python))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": (3, 9, 18)}, r"it is Python 3\.9\.18, and 3\.10 is needed"),
        ({"modules": ("alembic", "sqlalchemy", "psycopg")}, "lacks greenlet"),
        ({"modules": ("alembic", "sqlalchemy", "greenlet")}, "no driver of PostgreSQL"),
        ({"packages": (("alembic", "1.8.1"),)}, r"has alembic 1\.8\.1, and 1\.9 is needed"),
        ({"packages": (("sqlalchemy", "1.3.24"),)}, r"has sqlalchemy 1\.3\.24, and .* is needed"),
    ],
)
def test_an_environment_that_does_not_do(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], said: str
) -> None:
    """Each lack is one sentence, before anything runs."""
    monkeypatch.setattr(interpreter, "_examined", lambda *_: replace(_COMPLETE, **change))
    with pytest.raises(HistoryError, match=rf"{said}.*\. Nothing was done\. "):
        interpreter.examine(sys.executable)


def test_a_complete_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest of all that are supported, and psycopg alone."""
    monkeypatch.setattr(interpreter, "_examined", lambda *_: _COMPLETE)
    assert interpreter.examine(sys.executable) == _COMPLETE


def test_a_history_is_kept_for_an_interpreter_and_its_packages(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another interpreter, and another version of a package, render again."""
    python = _program(tmp_path, f'exec {sys.executable} "$@"')
    called = replace(_OWN, python=python)
    history.read(project.root, called)
    assert store.recall(project.root, called)
    assert not store.recall(project.root, _OWN)

    monkeypatch.setattr(interpreter, "_examined", lambda *_: _COMPLETE)
    assert not store.recall(project.root, called)


def test_programs_of_the_environment_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an activated environment; that of this project is left."""
    (tmp_path / "pyvenv.cfg").touch()
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    given = interpreter.environ(str(tmp_path / "bin" / "python"))
    assert given["PATH"] == f"{tmp_path / 'bin'}:/usr/bin"
    assert given["VIRTUAL_ENV"] == str(tmp_path)
    assert interpreter.environ("")["VIRTUAL_ENV"] == "/elsewhere"
