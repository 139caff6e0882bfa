"""Finds the Alembic directories that an installed package ships."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.histories.environments import Environment

__all__ = ["Shipped", "chosen", "find"]

_FILES = """
import sys
from importlib.metadata import files
print("\\n".join(str(each) for each in files(sys.argv[1]) or ()))
"""
_ENV = re.compile(
    r"^\s*(from alembic import|import alembic|from flask import current_app)", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """An Alembic directory inside of site-packages.

    Attributes:
        scripts: The folder with env.py.
        ini: Its alembic.ini; None where the package ships none, as its code makes the Config.
        root: The folder in which Alembic has to be called.
        section: The section of the ini.
    """

    scripts: Path
    ini: Path | None
    root: Path
    section: str = "alembic"

    def name(self, packages: Path) -> str:
        """Name it within site-packages."""
        return self.scripts.relative_to(packages).as_posix()


def find(environment: Environment, package: str) -> list[Shipped]:
    """List the directories of a package, each with the configuration that leads to it.

    Args:
        environment: Where the package is installed.
        package: The distribution's name.
    """
    listed = environment.run(_FILES, package).splitlines()
    paths = [environment.packages / name for name in listed if not name.startswith("..")]
    scripts = sorted(path.parent for path in paths if path.name == "env.py" and _is_alembic(path))
    inis = [path for path in paths if path.suffix == ".ini" and path.is_file()]
    return [_configured(folder, inis, environment.packages) for folder in scripts]


def chosen(shipped: Shipped, *, ini: Path | None, root: Path | None, section: str) -> Shipped:
    """Replace what was found by what was chosen, where it was."""
    return replace(
        shipped,
        ini=ini or shipped.ini,
        root=root or shipped.root,
        section=section or shipped.section,
    )


def _is_alembic(path: Path) -> bool:
    return path.is_file() and bool(_ENV.search(path.read_text(encoding="utf-8", errors="replace")))


def _configured(scripts: Path, inis: Iterable[Path], packages: Path) -> Shipped:
    for ini in inis:
        for section, location in _locations(ini):
            roots = [ini.parent, *ini.parent.parents]
            for root in roots[: len(ini.parent.relative_to(packages).parts) + 1]:
                if (root / location).resolve() == scripts.resolve():
                    return Shipped(scripts=scripts, ini=ini, root=root, section=section)
    return Shipped(scripts=scripts, ini=None, root=scripts)


def _locations(ini: Path) -> list[tuple[str, str]]:
    """List the sections with the path of their scripts."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(ini.read_text(encoding="utf-8", errors="replace"))
    except configparser.Error:
        return []
    found = []
    for section in parser.sections():
        location = parser.get(section, "script_location", fallback="")
        package, colon, below = location.partition(":")
        if colon and re.fullmatch(r"[\w.]+", package):  # "package:folder"
            location = str(ini.parents[len(ini.parents) - 1])
            top = next((p for p in ini.parents if p.name == "site-packages"), ini.parent)
            location = str(top / package.replace(".", "/") / below.strip("/"))
        if location:
            found.append((section, location.replace("%(here)s", str(ini.parent))))
    return found
