"""docs/schema.md: its diagram is that of the models, and its words are those of the database."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.forking import servers
from tests.tables import TABLES

from .place import MIGRATIONS, ROOT

if TYPE_CHECKING:
    from .place import Place

_PAGE = ROOT / "docs" / "schema.md"
_RULES = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "a": "NO ACTION"}


def _diagram(*arguments: str | Path, real: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own; `real`: as `make diagram` does, not as a fork."""
    own = [sys.executable, "-m", "docs.diagram"]
    return subprocess.run(
        [*(own if real else servers.command("docs.diagram")), *map(str, arguments)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page, to be written to."""
    return Path(shutil.copy(_PAGE, tmp_path / "schema.md"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the migrations whose models a test changes."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=ignored)


def _change(models: Path, name: str, old: str, new: str) -> None:
    path = models / "models" / name
    code = path.read_text(encoding="utf-8")
    assert old in code
    path.write_text(code.replace(old, new, 1), encoding="utf-8")


def test_the_diagram_is_current() -> None:
    """The page in the repository shows the models as they are; else run `make diagram`."""
    done = _diagram("--check", real=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "seen"),
    [
        ("client.py", "    email: Mapped[str | None]", "    mail: Mapped[str | None]", "text mail"),
        ("client.py", "    email: Mapped[str | None]", "    email: Mapped[str]", "text email\n"),
        ("client.py", "never more", "and no more", "and no more"),
        ("client.py", "never more", r"\"four\"\nonly", "'four' only"),
        ("client.py", "unique=True, ", "", 'external_id "Key'),
        ("artifact.py", "EMBEDDING_DIMENSIONS = 1536", "EMBEDDING_DIMENSIONS = 768", "vector(768)"),
        ("task.py", 'PENDING = "pending"', 'PENDING = "waiting"', "values: waiting,"),
        (
            "log.py",
            "task_id: Mapped[uuid.UUID | None]",
            "task_id: Mapped[uuid.UUID]",
            "tasks ||--o{ agent_logs",
        ),
    ],
)
def test_a_model_that_changes_makes_it_stale(
    page: Path, models: Path, name: str, old: str, new: str, seen: str
) -> None:
    """A changed model fails the check, which writes nothing; one command makes the page current."""
    _change(models, name, old, new)
    place = ("--migrations", models, "--page", page)
    before = page.read_text(encoding="utf-8")

    check = _diagram("--check", *place)
    assert (check.returncode, page.read_text(encoding="utf-8")) == (1, before)
    assert "make diagram" in check.stderr

    assert _diagram(*place).returncode == 0
    assert seen in page.read_text(encoding="utf-8")


def test_what_is_around_the_diagram_stays(page: Path) -> None:
    """Only what is between the markers is written, and writing again changes nothing."""
    text = page.read_text(encoding="utf-8")
    emptied = re.sub(r"(`make diagram` -->\n).*(<!-- diagram: end)", r"\1\2", text, flags=re.DOTALL)
    assert "erDiagram" not in emptied
    page.write_text(f"first\n{emptied}last", encoding="utf-8")

    for _ in range(2):
        assert _diagram("--page", page).returncode == 0
        assert page.read_text(encoding="utf-8") == f"first\n{text}last"


@pytest.mark.parametrize("mistake", ["no markers", "no page", "models that fail"])
def test_a_mistake_is_one_message(page: Path, models: Path, mistake: str) -> None:
    """What can't be drawn, or has no place to be drawn to, ends with one line and no traceback."""
    if mistake == "no markers":
        page.write_text("# The schema\n", encoding="utf-8")
    elif mistake == "no page":
        page.unlink()
    else:
        _change(models, "client.py", "import uuid", "import uuid = no Python")

    done = _diagram("--migrations", models, "--page", page)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Nothing was written." in done.stderr


def test_the_page_tells_every_table() -> None:
    """What each table is for is said of all eleven."""
    rows = re.findall(r"^\| `(\w+)` \|", _section("Tables"), re.MULTILINE)

    assert sorted(rows) == sorted(TABLES)


def test_the_page_tells_what_a_delete_does(migrated: Place) -> None:
    """Each foreign key is in the page, with what the database does when its parent is deleted."""
    rows = re.findall(r"^\| `(\w+)` → (.+?) \| ([A-Z ]+) \|", _section("What goes"), re.MULTILINE)
    told = {
        (child, parent, rule)
        for child, parents, rule in rows
        for parent in re.findall(r"\w+", parents)
    }
    there = migrated.fetch(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, confdeltype::text"
        " FROM pg_constraint WHERE contype = 'f'"
    )

    assert told == {(child, parent, _RULES[rule]) for child, parent, rule in there}


def test_the_page_tells_every_check(migrated: Place) -> None:
    """Each check is in the page by its name, and each name is one of a check."""
    told = set(re.findall(r"`(ck_\w+)`", _section("What the tables")))
    there = {
        row[0]
        for row in migrated.fetch(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
        )
    }
    figures = {name for name in there if re.fullmatch(r"ck_agent_metrics_\w+_not_negative", name)}

    assert told - {"ck_TABLE_RULE", "ck_agent_metrics_COLUMN_not_negative"} == there - figures
    assert len(figures) == 6


def test_the_page_tells_every_index_of_search(migrated: Place) -> None:
    """Each index that is not a B-tree is in the page."""
    told = set(re.findall(r"`(ix_[a-z_]+)`", _section("Searching")))
    there = migrated.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_am ON pg_am.oid = relam"
        " WHERE amname IN ('hnsw', 'gin') AND relnamespace = 'public'::regnamespace"
    )

    assert told == {row[0] for row in there}


def _section(title: str) -> str:
    (found,) = (
        part for part in _PAGE.read_text(encoding="utf-8").split("\n## ") if part.startswith(title)
    )
    return found
