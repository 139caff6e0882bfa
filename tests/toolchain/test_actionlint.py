"""Workflows are looked at by the real actionlint, built from pinned modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import CLOSED
from toolchain import actionlint, cache, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

_BROKEN = """\
on: pull_request
jobs:
  greet:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "${{ github.event.pull_request.title }}"
      - run: echo "${{ secret.TOKEN }}"
  later:
    needs: nobody
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout
"""


def _run(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "toolchain", "workflows", *map(str, files)]
    return subprocess.run(
        command, cwd=versions.ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_workflows_of_this_project_have_no_mistakes() -> None:
    """What `make lint` does; and there is at least one, so that it isn't about nothing."""
    assert [path.name for path in actionlint.workflows()] == ["preview.yml"]

    done = _run()

    assert (done.returncode, done.stdout) == (0, "")


def test_mistakes_are_found(tmp_path: Path) -> None:
    """Untrusted text in a script, an unknown job, an action without a version: each is named."""
    broken = tmp_path / "broken.yml"
    broken.write_text(_BROKEN)

    done = _run(broken)

    assert done.returncode == 1
    assert '"github.event.pull_request.title" is potentially untrusted' in done.stdout
    assert 'undefined variable "secret"' in done.stdout
    assert 'job "nobody"' in done.stdout
    assert 'specifying action "actions/checkout" in invalid format' in done.stdout


def test_a_checkout_without_workflows_has_no_mistakes(tmp_path: Path) -> None:
    """Nothing is built to look at nothing."""
    assert actionlint.workflows(tmp_path) == []
    assert actionlint.check([], root=tmp_path) == 0


def test_one_that_does_not_start_is_built_again(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crashed machine may leave an empty file; without a module proxy the error says so."""
    if not shutil.which("go"):
        pytest.skip("this test goes as far as Go")
    left = cache.folder(f"actionlint-v{versions.ACTIONLINT}") / "bin" / "actionlint"
    left.parent.mkdir(parents=True)
    left.touch(mode=0o755)
    monkeypatch.setenv("GOPROXY", CLOSED)
    monkeypatch.setenv("GOMODCACHE", str(cache_home / "modules"))
    monkeypatch.setenv("GOCACHE", str(cache_home / "compiled"))

    with pytest.raises(ToolchainError, match="no Go module proxy"):
        actionlint.install()
