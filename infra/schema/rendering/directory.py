"""Finds the configuration of an Alembic directory, and the folder that its paths start from."""

from __future__ import annotations

import configparser
import tomllib
from dataclasses import dataclass
from pathlib import Path

from infra.schema.errors import HistoryError

__all__ = ["Directory", "find"]

_ABOVE = 2  # folders above the configuration in which Alembic may be meant to be called


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Where Alembic is configured.

    Attributes:
        root: The folder to call Alembic in: relative paths of the configuration start there.
        ini: alembic.ini; None where there is none.
        toml: The pyproject.toml with a [tool.alembic]; None where there is none.
    """

    root: Path
    ini: Path | None
    toml: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the configuration."""
        return tuple(path for path in (self.ini, self.toml) if path is not None)


def find(folder: Path) -> Directory:
    """Find the configuration in a folder, or in the one above if it leads back to the folder.

    Args:
        folder: The root of a project, or the folder with env.py.

    Raises:
        HistoryError: There is none, or it is no INI or TOML file.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise HistoryError(f"There is no folder {folder} with migrations. Nothing was done.")
    found = _configured(folder)
    if found is None:
        above = _configured(folder.parent)
        location = _location(above) if above is not None else ""
        if above is None or (above.root / location).resolve() != folder.resolve() or not location:
            raise HistoryError(
                f"The folder {folder} has no alembic.ini, and no pyproject.toml with a"
                " [tool.alembic]. Nothing was done. Name the folder in which `alembic history`"
                " works, or make one: alembic init -t async migrations."
            )
        return above
    location = _location(found)
    for root in (folder, *folder.parents[:_ABOVE]):
        if location and (root / location / "env.py").is_file():
            return Directory(root=root, ini=found.ini, toml=found.toml)
    return found


def _configured(folder: Path) -> Directory | None:
    ini, toml = folder / "alembic.ini", folder / "pyproject.toml"
    has_ini = ini.is_file()
    has_toml = toml.is_file() and "alembic" in _tool(toml)
    if not (has_ini or has_toml):
        return None
    return Directory(root=folder, ini=ini if has_ini else None, toml=toml if has_toml else None)


def _tool(toml: Path) -> dict[str, object]:
    try:
        tool = tomllib.loads(toml.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as exc:
        raise HistoryError(f"{toml} can't be read: {exc}. Nothing was done.") from exc
    return tool if isinstance(tool, dict) else {}


def _location(found: Directory) -> str:
    """Give script_location as a path; empty where there is none, or it names a package."""
    location: object = None
    if found.toml is not None:
        section = _tool(found.toml)["alembic"]
        location = section.get("script_location") if isinstance(section, dict) else None
    if location is None and found.ini is not None:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(found.ini.read_text(encoding="utf-8"), source=str(found.ini))
        except (OSError, UnicodeDecodeError, configparser.Error) as exc:
            said = " ".join(str(exc).split())
            raise HistoryError(f"{found.ini} can't be read: {said}. Nothing was done.") from exc
        location = parser.get("alembic", "script_location", fallback=None)
    if not isinstance(location, str) or (":" in location and not Path(location).is_absolute()):
        return ""
    return location.replace("%(here)s", str(found.root)).replace("%%", "%")
