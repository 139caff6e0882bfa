"""The same files give the same plan: in any process, in any folder, whatever Python hashes by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schema.histories import project as projects

_ROOT = Path(__file__).parents[2]
_PLAN = """
import json, sys
from pathlib import Path
from infra.schema import history, plan
from infra.schema.model import Policy
read = history.read(Path(sys.argv[1]), keep=False)
made = plan.make(read, None, Policy(target="heads"))
online = [revision.upgrade.live for revision in read.revisions if revision.upgrade.live]
print(json.dumps([made.digest, read.digest, online]))
"""

_INDEXES = """
op.create_table(
    "visits",
    sa.Column("id", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Integer, index=True) for name in ("person", "place", "hour", "guide")),
    sa.Column("code", sa.String(8), unique=True, index=True),
)
"""
_CONSTRAINTS = """
kinds = {
    sa.UniqueConstraint("title", name="uq_books_title"),
    sa.CheckConstraint("pages > 0", name="ck_books_pages"),
    sa.CheckConstraint("price > 0", name="ck_books_price"),
    sa.UniqueConstraint("isbn", name="uq_books_isbn"),
}
op.create_table(
    "books",
    sa.Column("title", sa.Text),
    sa.Column("isbn", sa.Text),
    sa.Column("pages", sa.Integer),
    sa.Column("price", sa.Integer),
    *kinds,
)
for name in {"title", "isbn", "pages", "price"}:
    op.create_index(f"ix_books_{name}", "books", [name])
"""
_MODELS = """
metadata = sa.MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("line", sa.ForeignKey("lines.id", name="fk_line", use_alter=True), index=True),
    sa.Column("state", sa.Enum("open", "shut", name="state"), index=True),
    sa.Column("kind", sa.Enum("one", "two", name="kind"), index=True),
)
lines = sa.Table(
    "lines",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order", sa.ForeignKey("orders.id", name="fk_order", use_alter=True), index=True),
)
for table in metadata.tables.values():
    op.execute(sa.schema.CreateTable(table))
    for index in table.indexes:
        op.execute(sa.schema.CreateIndex(index))
for key in {key for table in metadata.tables.values() for key in table.foreign_key_constraints}:
    op.execute(sa.schema.AddConstraint(key))
"""
_BATCH = """
with op.batch_alter_table("visits") as batch:
    for name in {"weather", "season", "mood"}:
        batch.add_column(sa.Column(name, sa.Text))
    batch.create_index("ix_visits_weather", ["weather", "season"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history in which sets decide about an order."""
    project = projects.bare(tmp_path_factory.mktemp("history"))
    bodies = (_INDEXES, _CONSTRAINTS, "op.execute(\"CREATE TYPE state AS ENUM ('open')\")", _BATCH)
    parent = None
    for number, body in enumerate((*bodies, _MODELS), 1):
        parent, before = f"a{number:07}", parent
        project.revision(parent, before, body)
    return project.root


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_eight_processes_in_eight_folders_make_one_plan(
    folder: Path, tmp_path: Path, seed: int
) -> None:
    """With hash seeds of their own; and each revision is rendered, not taken for a random one."""
    expected = _plan(folder, "0")
    assert json.loads(expected)[2] == []
    copied = shutil.copytree(folder, tmp_path / ("x" * seed) / "copy")

    assert _plan(copied, str(seed)) == expected


def test_a_revision_of_an_unchanged_file_keeps_its_sql_when_others_come_before_it(
    tmp_path: Path,
) -> None:
    """What a set holds does not depend on what else was made in the process."""
    scripts = []
    for number in (0, 5):
        root = tmp_path / str(number)
        root.mkdir()
        project = projects.bare(root)
        parent = None
        for place in range(number):
            parent, before = f"b{place:07}", parent
            project.revision(parent, before, "sa.Table('t', sa.MetaData(), sa.Column('a'))")
        project.revision("c0000001", parent, _CONSTRAINTS)
        scripts.append(_rendered(root))

    assert scripts[0] == scripts[1]


def _plan(folder: Path, seed: str) -> str:
    return _python(_PLAN, folder, seed)


def _rendered(folder: Path) -> str:
    return _python(
        "import sys; from pathlib import Path; from infra.schema import history;"
        "print(history.read(Path(sys.argv[1]), keep=False).revisions[-1].upgrade)",
        folder,
        "0",
    )


def _python(code: str, folder: Path, seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    return done.stdout
