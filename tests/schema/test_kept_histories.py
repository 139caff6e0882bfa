"""A compiled history is given again as long as nothing has changed, wherever its files are."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from infra.schema import history, store
from infra.schema.invocation import Invocation
from tests.schema.histories.project import Project, bare

if TYPE_CHECKING:
    from pathlib import Path

_USUAL = Invocation()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one revision."""
    project = bare(tmp_path)
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    return project


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The packages of an environment that Python looks into, apart from this one's own."""
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def _kept(project: Project) -> bool:
    """Read a history twice; tell whether the second time took what the first has kept."""
    history.read(project.root)
    return store.recall(project.root, _USUAL) is not None


def _scratch(folder: str) -> str:
    return (
        "import os, time\n"
        "from pathlib import Path\n"
        f"scratch = Path({folder!r})\n"
        "scratch.mkdir(exist_ok=True, parents=True)\n"
        "for stale in scratch.iterdir():\n    stale.unlink()\n"
        "(scratch / f'lock-{time.time_ns()}').touch()\n"
    )


@pytest.mark.parametrize("place", ["elsewhere", "project/cache", "project/migrations/tmp"])
def test_a_folder_that_an_import_writes_to_is_no_source(tmp_path: Path, place: str) -> None:
    """Outside of the project, in it, or beside env.py; the history is compiled once."""
    root = tmp_path / "project"
    root.mkdir()
    project = bare(root)
    project.revision("aaaa", None)
    env = project.scripts / "env.py"
    env.write_text(_scratch(str(tmp_path / place)) + env.read_text())

    assert _kept(project)
    (tmp_path / place / "of-another-process").touch()
    assert store.recall(project.root, _USUAL) is not None

    project.revision("bbbb", "aaaa")
    assert history.read(project.root).heads == ("bbbb",)


def test_a_file_that_an_import_rewrites_is_compared_by_its_content(project: Project) -> None:
    """One that only holds a time is none of the sources where it lies elsewhere."""
    env = project.scripts / "env.py"
    log = project.root.parent / f"{uuid.uuid4().hex}.state"
    env.write_text(
        "import time\nfrom pathlib import Path\n"
        f"state = Path({str(log)!r})\nif state.exists():\n    state.read_text()\n"
        "state.write_text(str(time.time_ns()))\n"
        "settings = Path('settings.json')\n"
        "text = settings.read_text()\nsettings.write_text(text)\n" + env.read_text()
    )
    (project.root / "settings.json").write_text("{}")

    assert _kept(project)
    log.write_text("another")
    assert store.recall(project.root, _USUAL) is not None
    (project.root / "settings.json").write_text("[]")
    assert store.recall(project.root, _USUAL) is None


def test_a_history_among_installed_packages_is_watched(installed: Path) -> None:
    """New, edited and removed revisions are seen, and its models; the second run takes the rest."""
    package = installed / "shelf"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text("NAME = 'one'\n")
    project = bare(package)
    project.revision(
        "aaaa", None, "op.execute(f'SELECT {NAME}')", head="from shelf.models import NAME"
    )

    assert _kept(project)
    project.revision("bbbb", "aaaa", "op.execute('SELECT 2')")
    assert history.read(project.root).heads == ("bbbb",)
    assert _kept(project)
    project.revision("bbbb", "aaaa", "op.execute('SELECT 3')")
    assert history.read(project.root).by_id["bbbb"].upgrade.statements == ("SELECT 3",)
    (package / "models.py").write_text("NAME = 'two'\n")
    assert history.read(project.root).by_id["aaaa"].upgrade.statements == ("SELECT two",)
    (project.versions / "bbbb_made.py").unlink()
    assert history.read(project.root).heads == ("aaaa",)


def test_a_history_that_a_package_name_leads_to_is_watched(installed: Path, tmp_path: Path) -> None:
    """Also in a namespace package: `script_location = acme.shelf:migrations`."""
    scripts = installed / "acme" / "shelf" / "migrations"
    scripts.parent.mkdir(parents=True)
    (scripts.parent / "__init__.py").touch()
    root = tmp_path / "project"
    root.mkdir()
    project = bare(root)
    project.revision("aaaa", None)
    project.scripts.rename(scripts)
    ini = root / "alembic.ini"
    ini.write_text("[alembic]\nscript_location = acme.shelf:migrations\n")
    project = Project(root=root, scripts=scripts)

    assert _kept(project)
    project.revision("bbbb", "aaaa")
    assert history.read(root).heads == ("bbbb",)
    assert _kept(project)


def test_an_upgraded_package_is_seen(installed: Path, project: Project) -> None:
    """A module of another package that env.py imports, and a package that is new."""
    (installed / "words.py").write_text("WORD = 1\n")
    project.revision("aaaa", None, "op.execute(f'SELECT {WORD}')", head="from words import WORD")

    assert _kept(project)
    (installed / "words.py").write_text("WORD = 22\n")
    assert history.read(project.root).revisions[0].upgrade.statements == ("SELECT 22",)
    assert _kept(project)
    (installed / "words-2.dist-info").mkdir()
    assert store.recall(project.root, _USUAL) is None


@pytest.mark.parametrize("hook", ["path", "finder"])
def test_an_editable_install_is_watched(installed: Path, tmp_path: Path, hook: str) -> None:
    """By a .pth file with its folder, or by one that imports a finder."""
    source = tmp_path / "src"
    (source / "shelf").mkdir(parents=True)
    (source / "shelf" / "__init__.py").touch()
    models = source / "shelf" / "models.py"
    models.write_text("NAME = 'one'\n")
    finder = (
        "import sys\nfrom importlib.util import spec_from_file_location\n"
        "class Finder:\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        f"        place = {str(source / 'shelf')!r}\n"
        "        if name == 'shelf':\n"
        "            return spec_from_file_location(\n"
        "                name, place + '/__init__.py', submodule_search_locations=[place])\n"
        "sys.meta_path.append(Finder)\n"
    )
    (installed / "__editable___shelf_finder.py").write_text(finder)
    root = tmp_path / "project"
    root.mkdir()
    project = bare(root)
    env = project.scripts / "env.py"
    if hook == "finder":
        env.write_text("import __editable___shelf_finder\n" + env.read_text())
    else:
        env.write_text(f"import sys\nsys.path.append({str(source)!r})\n" + env.read_text())
    project.revision(
        "aaaa",
        None,
        "from shelf.models import NAME\nop.get_bind().execute(sa.text(f'SELECT {NAME}'))",
    )

    assert _kept(project)
    models.write_text("NAME = 'two'\n")
    assert store.recall(project.root, _USUAL) is None


def test_another_program_path_takes_what_was_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH differs between a terminal and an engine; who asks for it himself depends on it."""
    env = project.scripts / "env.py"
    env.write_text("import subprocess\nsubprocess.run(['true'])\n" + env.read_text())
    assert _kept(project)

    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/nowhere")

    assert store.recall(project.root, _USUAL) is not None
