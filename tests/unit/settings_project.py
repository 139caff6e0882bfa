"""A project's folder for tests of its configuration, and what is wrong with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.settings import Settings, SettingsError, parse

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["ADMIN_URL", "SettingsProject"]

ADMIN_URL = "postgresql://admin:geheim-geheim@db.test/postgres"


class SettingsProject:
    """A folder whose migrations are where they are by default.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        """Lay it out."""
        self.folder = folder
        (folder / "migrations").mkdir()
        (folder / "migrations" / "alembic.ini").touch()

    def parse(self, *, secrets: Collection[str] | None = None, **given: str) -> Settings:
        """Give the settings of a configuration."""
        return parse(given, root=self.folder, secrets=secrets)

    def mistakes(self, *, secrets: Collection[str] | None = None, **given: str) -> list[str]:
        """Give the mistakes of a configuration, none where there are none."""
        try:
            parse(given, root=self.folder, secrets=secrets)
        except SettingsError as exc:
            return exc.mistakes
        return []

    def mistake(self, *, secrets: Collection[str] | None = None, **given: str) -> str:
        """Give the one mistake of a configuration."""
        (only,) = self.mistakes(secrets=secrets, **given)
        return only
