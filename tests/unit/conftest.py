"""What unit tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.settings_project import SettingsProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> SettingsProject:
    """A project that has everything that its configuration refers to by default."""
    return SettingsProject(tmp_path)
