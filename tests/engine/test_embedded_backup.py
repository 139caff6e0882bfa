"""Backup and restore exactly as docs/embedded.md tells it, on stacks that `make` brings up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from infra.servers.embedded import default_data_dir
from tests.engine.project import ROOT
from tests.engine.test_make import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_BLOCK = re.compile(r"^```sh (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INSERT = (
    "INSERT INTO skill_files (name, version, effective_date, content)"
    " VALUES ('{}', '1', '2026-01-01', 'text');\n"
)
_NAMES = "SELECT 'has ' || string_agg(name, '+' ORDER BY name) FROM skill_files;\n"


def _commands(block: str) -> str:
    """Give the commands of one block of the document."""
    blocks: dict[str, str] = dict(_BLOCK.findall((ROOT / "docs/embedded.md").read_text()))
    return blocks[block]


def _run(checkout: Checkout, block: str, **variables: Path) -> str:
    """Type a block into a shell in a checkout."""
    done = subprocess.run(
        ["sh", "-eu"],
        input=_commands(block),
        cwd=checkout.folder,
        env={**checkout.environment, **{name: str(path) for name, path in variables.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def checkouts(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Checkout, Checkout]]:
    """Two checkouts; in the first, the stack `dev` is up with a row."""
    made = []
    for name in ("backed-up", "elsewhere"):
        folder = scratch / f"{name}-{os.urandom(4).hex()}"
        folder.mkdir(mode=0o755)
        made.append(Checkout(folder))
    first, second = made
    first.make("up")
    first.make("psql", typed=_INSERT.format("before"))
    yield first, second
    first.make("down")
    second.make("down", "STACK=copy")
    monkeypatch.chdir(first.folder)
    shutil.rmtree(f"{default_data_dir('groundwork/dev')}.before", ignore_errors=True)


def _change_passwords(checkout: Checkout, version: int) -> None:
    (checkout.folder / "Pulumi.dev.yaml").write_text(
        f"config:\n  groundwork:passwordVersion: {version}\n  groundwork:adminPasswordVersion: 2\n"
    )


def test_a_backup_restores_the_rows_here_and_elsewhere(
    checkouts: tuple[Checkout, Checkout], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its place, also after passwords have changed; and as another stack of another checkout."""
    first, second = checkouts
    backup, copy = scratch / "backup.tar.gz", scratch / f"copy-{os.urandom(4).hex()}"
    monkeypatch.chdir(first.folder)  # the default place depends on it
    data = default_data_dir("groundwork/dev")

    assert "is ready" in _run(first, "backup", data=data, backup=backup)
    first.make("psql", typed=_INSERT.format("after"))
    assert "has after+before" in first.make("psql", typed=_NAMES)
    _change_passwords(first, 2)
    first.make("up")

    _change_passwords(first, 3)  # as the document says, for they changed since the backup
    _run(first, "restore", data=data, backup=backup)
    assert "has before\n" in first.make("psql", typed=_NAMES).replace(" \n", "\n")
    assert "unchanged" in first.make("up")

    _run(second, "copy", data=copy, backup=backup)
    second.make("psql", "STACK=copy", typed=_INSERT.format("copied"))
    assert "has before+copied" in second.make("psql", "STACK=copy", typed=_NAMES)
    assert "has before\n" in first.make("psql", typed=_NAMES).replace(" \n", "\n")
    assert "unchanged" in second.make("up", "STACK=copy")
