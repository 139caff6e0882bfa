"""Finds the configuration of an Alembic directory, and the folder that its paths start from."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import os
import re
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import alembic
from alembic.config import Config
from alembic.util import CommandError

from infra.schema.errors import HistoryError
from infra.schema.invocation import ALEMBIC, Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Directory", "find", "option"]

_INI, _TOML = "alembic.ini", "pyproject.toml"
_USUAL = Invocation()
_READS_TOML = "toml_file" in inspect.signature(Config).parameters
_TOO_OLD = f" that Alembic {alembic.__version__} would read: that takes 1.16"


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Where Alembic is configured.

    Attributes:
        root: The folder to call Alembic in: relative paths of the configuration start there.
        ini: alembic.ini, whatever its name; None where there is none.
        toml: The pyproject.toml with a [tool.alembic]; None where there is none.
        section: The section of the INI file that is read.
    """

    root: Path
    ini: Path | None
    toml: Path | None
    section: str = ALEMBIC

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the configuration."""
        return tuple(path for path in (self.ini, self.toml) if path is not None)

    def config(self) -> Config:
        """Open the configuration, as `alembic` does."""
        ini, toml = (str(path) if path else None for path in (self.ini, self.toml))
        reads_toml: dict[str, Any] = (
            {"toml_file": toml} if toml else {}
        )  # an Alembic before 1.16 does not know it
        return Config(ini, ini_section=self.section, **reads_toml)


def option(config: Config, name: str) -> str | None:
    """Give an option of Alembic's section; an Alembic before 1.16 has no pyproject.toml to ask."""
    get = getattr(config, "get_alembic_option", config.get_main_option)
    value: str | None = get(name)
    return value


def _listed(config: Config) -> tuple[list[str], list[str]]:
    """Give `version_locations` and `prepend_sys_path`, each split as this Alembic splits them."""
    if hasattr(config, "get_version_locations_list"):
        locations = config.get_version_locations_list() or []
        return locations, config.get_prepend_sys_paths_list() or []
    separator = config.get_main_option("version_path_separator") or ""
    by = {"space": r" +", "os": re.escape(os.pathsep), ":": ":", ";": ";"}
    versions, paths = (
        re.split(how, config.get_main_option(name) or "")
        for name, how in (
            ("version_locations", by.get(separator, r", *| +")),
            ("prepend_sys_path", r", *| +|:"),
        )
    )
    return [each for each in versions if each], [each for each in paths if each]


def find(place: Path, invocation: Invocation = _USUAL) -> Directory:
    """Find the configuration, and the folder that `alembic -c` is called in with it.

    That is the folder of the configuration where its paths lead to env.py from there; else the
    nearest above from which they do.

    Args:
        place: The root of a project, the folder with alembic.ini, an INI file, a pyproject.toml, or
            the folder with env.py.
        invocation: Names the section, and the folder where it can't be found.

    Raises:
        HistoryError: There is none, it is no INI or TOML file, or several folders would do.
    """
    place = place.absolute()
    if not place.exists():
        raise HistoryError(f"There is no folder {place} with migrations. Nothing was done.")
    found = _configured(place, invocation.section)
    if found is None:
        return _above(place, invocation)
    if invocation.root:
        return _named(found, Path(invocation.root))
    _Readings(found).refuse_section()
    return _rooted(found)


def _configured(place: Path, section: str) -> Directory | None:
    """Take what a file, or the folder that holds one, configures."""
    folder = place if place.is_dir() else place.parent
    ini = place if place.is_file() and place.name != _TOML else folder / _INI
    toml = folder / _TOML
    has_ini, has_toml = ini.is_file() and place != toml, _has_tool(toml)
    if not (has_ini or has_toml):
        return None
    return Directory(
        root=folder,
        ini=ini if has_ini else None,
        toml=toml if has_toml else None,
        section=section,
    )


def _has_tool(toml: Path) -> bool:
    if not (_READS_TOML and toml.is_file()):
        return False
    try:
        tool = _toml(toml.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as exc:
        raise HistoryError(f"{toml} can't be read: {exc}. Nothing was done.") from exc
    return isinstance(tool, dict) and "alembic" in tool


def _toml(text: str) -> dict[str, Any]:
    """Read TOML; Python 3.10 has no reader of its own, and an Alembic that needs one brings it."""
    for name in ("tomllib", "tomli"):
        with suppress(ImportError):
            given: dict[str, Any] = importlib.import_module(name).loads(text)
            return given
    return {}


def _above(place: Path, invocation: Invocation) -> Directory:
    """Find the configuration of a folder that has env.py alone: it leads back there."""
    if place.is_dir():
        for folder in place.parents:
            above = _configured(folder, invocation.section)
            if above is None:
                continue
            found = _named(above, Path(invocation.root)) if invocation.root else _rooted(above)
            location = _Readings(found).location(found.root)
            if location is not None and location.resolve() == place.resolve():
                return found
    raise HistoryError(
        f"The folder {place} has no alembic.ini, and no pyproject.toml with a"
        f" [tool.alembic]{'' if _READS_TOML else _TOO_OLD}. Nothing was done."
        " Name the folder in which `alembic history` works, the INI file that `alembic -c` takes,"
        " or make one: alembic init -t async migrations."
    )


def _named(found: Directory, root: Path) -> Directory:
    """Take the folder that was named."""
    if not root.is_dir():
        raise HistoryError(
            f"There is no folder {root}, in which Alembic is to be called. Nothing was done."
            " Correct migrationsRoot."
        )
    found = _at(found, root)
    _Readings(found).refuse_section()
    return found


def _at(found: Directory, root: Path) -> Directory:
    """Give the same configuration, called from another folder: its pyproject.toml goes before."""
    toml = root / _TOML
    try:
        own = _has_tool(toml)
    except HistoryError:  # of another project, further up
        own = False
    return replace(found, root=root, toml=toml if own else found.toml)


def _rooted(found: Directory) -> Directory:
    """Find the folder to call Alembic in: the nearest that suits best."""
    here = found.root
    first = _Readings(found)
    tests: tuple[Callable[[_Readings], bool], ...] = (
        lambda one: one.has_environment() and one.has_versions() and one.has_imports(),
        lambda one: one.has_environment() and one.has_versions(),
        _Readings.has_environment,
    )
    if tests[0](first):
        return found
    above = [_Readings(_at(found, root)) for root in here.parents]
    for suits in tests:
        if suits(first):
            return found
        fitting = [one for one in above if suits(one)]
        if fitting:
            _refuse_several(fitting)
            return fitting[0].directory
    return found


def _refuse_several(fitting: Sequence[_Readings]) -> None:
    """Let roots pass from which Alembic would run the same env.py."""
    places = {one.location(one.directory.root) for one in fitting}
    if len(places) == 1:
        return
    first = fitting[0].directory
    roots = ", ".join(str(one.directory.root) for one in fitting)
    raise HistoryError(
        f"{first.files[0]} leads to an env.py from each of these folders: {roots}. Nothing was"
        " done. Name the one in which Alembic is called: migrationsRoot."
    )


class _Readings:
    """What a configuration says, called from one folder."""

    def __init__(self, directory: Directory) -> None:
        """Read it.

        Raises:
            HistoryError: It can't be read.
        """
        self.directory = directory
        self._config = directory.config()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of separators: Alembic says it when it runs
                self._location = option(self._config, "script_location")
                self._versions, self._paths = _listed(self._config)
        except (OSError, ValueError, KeyError, TypeError, configparser.Error, CommandError) as exc:
            said = " ".join(str(exc).split())
            named = " and ".join(map(str, directory.files))
            raise HistoryError(f"{named} can't be read: {said}. Nothing was done.") from exc

    def refuse_section(self) -> None:
        """Refuse a section that was named and is not there."""
        section, parser = self.directory.section, self._config.file_config
        if section == ALEMBIC or self.directory.ini is None or parser.has_section(section):
            return
        raise HistoryError(
            f"{self.directory.ini} has no section [{section}]. Nothing was done. It has:"
            f" {', '.join(parser.sections()) or 'none'}."
        )

    def location(self, root: Path) -> Path | None:
        """Give the folder with env.py; None where it is not known, as of an installed package."""
        if not isinstance(self._location, str) or not self._location:
            return None
        return self._folder(root, self._location)

    def has_environment(self) -> bool:
        """Tell whether script_location leads to an env.py."""
        location = self.location(self.directory.root)
        return location is not None and _is_file(location / "env.py")

    def has_versions(self) -> bool:
        """Tell whether all that version_locations names is there; packages may be installed."""
        return all(
            (folder := self._folder(self.directory.root, each)) is None or folder.is_dir()
            for each in self._versions
        )

    def has_imports(self) -> bool:
        """Tell whether what env.py imports can be found, as far as its text says."""
        root, location = self.directory.root, self.location(self.directory.root)
        source = (location / "env.py").read_bytes() if location else b""
        if b"sys.path" in source:  # it finds its modules by itself
            return True
        places = [*(str(root / each) for each in (*self._paths, "")), *_libraries()]
        return all(_is_found(name, places) for name in _imported(source))

    def _folder(self, root: Path, named: str) -> Path | None:
        """Give the folder that a path, or package:path, names."""
        package, colon, inside = named.partition(":")
        if not colon or Path(named).is_absolute() or len(package) == 1:
            return root / named
        for place in (*self._paths, ""):
            folder = root.joinpath(place, *package.split("."), *inside.split(":"))
            if folder.is_dir():
                return folder
        return None


def _is_found(name: str, places: Sequence[str]) -> bool:
    """Tell whether a module can be imported: built in, in a folder, or installed to be edited."""
    finders = [each for each in sys.meta_path if each is not PathFinder]
    return PathFinder.find_spec(name, places) is not None or any(
        each.find_spec(name, None) is not None for each in finders if hasattr(each, "find_spec")
    )


def _libraries() -> list[str]:
    """List where modules come from, apart from this project's own folder."""
    own = Path(__file__).resolve().parents[3]
    return [path for path in sys.path if Path(path).resolve() != own]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that nobody may look into
        return False


def _imported(source: bytes) -> Iterator[str]:
    """List the top-level modules that env.py imports whenever it runs."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
