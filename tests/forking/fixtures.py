"""Fixtures that let the processes of `infra.schema` be forks; see the package."""

from __future__ import annotations

import pytest

from infra.schema import child
from tests.forking import servers

__all__ = ["forked", "real_processes"]


@pytest.fixture
def real_processes() -> None:
    """Ask for it where the process itself is the subject: it is started as outside of tests."""


@pytest.fixture(autouse=True)
def forked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that render histories and run revisions be forks."""
    if "real_processes" not in request.fixturenames:
        monkeypatch.setattr(child, "command", servers.command)
