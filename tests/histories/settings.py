"""What it takes to run a package's history: the command line over packages.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "for_package", "known"]

_KNOWN = Path(__file__).with_name("packages.toml")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One history's.

    Attributes:
        package: The distribution that ships it.
        requirement: What is installed, as pip takes it.
        more: Further requirements.
        interpreter: The Python that the environment is made with; empty takes the project's.
        directory: The Alembic directory in site-packages; empty takes all of the package.
        ini: The ini in site-packages; empty takes the one that leads to the directory.
        section: Its section; empty takes the one that leads there.
        root: The folder in site-packages to call Alembic in; empty takes the one that leads there.
        variable: The environment variable that env.py takes its URL from.
        driver: SQLAlchemy's driver that its URL names; empty for none.
        variables: Other environment variables; {url}, {libpq}, {host}, {port}, {user}, {password},
            {database} and {home} in them are replaced.
        x: Arguments for `-x`.
        options: More options for the node.
        prepare: Python that makes what the application has before its first revision, if it does;
            it reads URL from the environment.
    """

    package: str
    requirement: str
    more: tuple[str, ...] = ()
    interpreter: str = ""
    directory: str = ""
    ini: str = ""
    section: str = ""
    root: str = ""
    variable: str = "DATABASE_URL"
    driver: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    x: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    prepare: str = ""


def known() -> list[str]:
    """List the packages that packages.toml has settings for."""
    return sorted(tomllib.loads(_KNOWN.read_text(encoding="utf-8")))


def for_package(requirement: str, chosen: Mapping[str, Any]) -> list[Settings]:
    """Give the settings of a package's histories.

    Args:
        requirement: The package, as pip takes it.
        chosen: Values of fields that replace what packages.toml has; empty ones do not.
    """
    package = re.split(r"[\[=<>~! ]", requirement, maxsplit=1)[0]
    entry = tomllib.loads(_KNOWN.read_text(encoding="utf-8")).get(package, {})
    names = {each.name for each in fields(Settings)}
    wanted = {name: value for name, value in chosen.items() if name in names and value}
    shared = {name: value for name, value in entry.items() if name != "history"}
    if requirement != package:
        shared["requirement"] = requirement
    found = []
    for own in entry.get("history", [{}]):
        merged = {"package": package, "requirement": package, **shared, **own}
        known = {name: _frozen(value) for name, value in merged.items() if name in names}
        variables = {**known.get("variables", {}), **wanted.get("variables", {})}
        more = {name: _frozen(value) for name, value in wanted.items() if name != "variables"}
        found.append(replace(Settings(**known), **more, variables=variables))
    directory = chosen.get("directory", "")
    return [each for each in found if each.directory == directory] if directory else found


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
