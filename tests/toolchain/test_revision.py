"""`make revision`, on a real Alembic directory and a real PostgreSQL 17."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from toolchain import revision, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer

_UP = "make up STACK=other"
_MODEL = """
from sqlalchemy.orm import Mapped
from models.base import Base, IdentityKey

class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[IdentityKey]
    name: Mapped[str]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The migrations without models and revisions, in a folder with an awkward name."""
    folder = tmp_path / "my 'migrations' 😀"
    source = versions.ROOT / "migrations"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "versions"))
    (folder / "versions").mkdir()
    (folder / "models" / "__init__.py").write_text("from models.base import Base\n")
    return folder


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """A database without tables: the one that every cluster has."""
    server, password = postgres_server, quote(postgres_server.password, safe="")
    return f"postgresql://{server.user}:{password}@{server.host}:{server.port}/postgres"


def _write(folder: Path, url: str, message: str = "add things") -> str:
    return revision.write(folder=folder, url=url, message=message, up=_UP)


def _revisions(folder: Path) -> list[Path]:
    return sorted(folder.glob("versions/*.py"))


def test_a_changed_model_becomes_a_revision(folder: Path, url: str) -> None:
    """Told are the file, what was found and how to go on; the message may be anything."""
    (folder / "models" / "__init__.py").write_text(_MODEL)

    told = _write(folder, url, '--help "it\'s" $HOME \\n')

    (made,) = _revisions(folder)
    assert str(made) in told
    assert "Detected added table 'thing'" in told
    assert _UP in told
    assert "op.create_table(" in made.read_text()
    assert "$HOME" in made.read_text()


def test_nothing_changed_writes_nothing(folder: Path, url: str) -> None:
    """The message says how to get an empty revision."""
    with pytest.raises(ToolchainError, match=r"are the same.*\n.*revision -m 'add things'"):
        _write(folder, url)

    assert _revisions(folder) == []


def test_a_database_that_is_behind_is_brought_to_head_first(folder: Path, url: str) -> None:
    """Compared with an old database, the revision would say everything again."""
    (folder / "models" / "__init__.py").write_text(_MODEL)
    _write(folder, url)

    with pytest.raises(ToolchainError, match=f"head.*{_UP}"):
        _write(folder, url)

    assert len(_revisions(folder)) == 1


def test_a_mistake_in_a_model_is_shown_with_its_place(folder: Path, url: str) -> None:
    """File, line and what Python says of it, without the frames above."""
    (folder / "models" / "__init__.py").write_text("from models.base import Base\nx = (\n")

    with pytest.raises(ToolchainError, match="SyntaxError") as caught:
        _write(folder, url)

    assert '__init__.py", line 2' in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert _revisions(folder) == []


def test_a_server_that_is_down_is_told_with_what_to_do(folder: Path) -> None:
    """The message has the address and the command, and no password."""
    with pytest.raises(ToolchainError, match=r"127\.0\.0\.1:1/d") as caught:
        _write(folder, "postgresql://u:s3cret@127.0.0.1:1/d")

    assert f"`{_UP}` brings its server" in str(caught.value)
    assert str(caught.value).count("Can't connect") == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("message", [[], ["m="], ["m=  "]])
def test_a_revision_needs_a_message(message: list[str]) -> None:
    """Before anything is looked at, the user hears how to say it."""
    done = subprocess.run(
        ["make", "revision", *message, f"PYTHON={sys.executable}"],
        cwd=versions.ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert 'make revision m="add due date to tasks"' in done.stderr


def test_a_stack_that_is_not_up_has_nothing_to_compare_with() -> None:
    """The message names the stack and the command that brings it up."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain", "revision", "--stack", "nobody", "--message=x"],
        cwd=versions.ROOT,
        env={key: value for key, value in os.environ.items() if key != "PULUMI_BACKEND_URL"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "nobody is not up: run `make up STACK=nobody` first" in done.stderr
