"""Opens Alembic's configuration the way the `alembic` command does in the project's folder."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import CommandLine
from alembic.util import CommandError

from infra.schema import dsn
from infra.schema.errors import HistoryError
from infra.schema.rendering import sources

if TYPE_CHECKING:
    from argparse import Namespace

    from alembic.config import Config

    from infra.schema.invocation import Invocation
    from infra.schema.rendering.directory import Directory

__all__ = ["call", "enter", "restore_databases"]

_DATABASES = "all databases"  # an attribute of the configuration

_URL = "{url}"  # in an argument of env.py: the URL of the database


_OWN = Path(__file__).resolve().parents[3]


def enter(place: Directory, invocation: Invocation, *, url: str, offline: bool = False) -> Config:
    """Make this process one of the project: its folder, its modules, and the URL in all places.

    An env.py may take its URL from `config.attributes["url"]`, from `sqlalchemy.url`, or from the
    variable; whatever these held before could lead to another database.

    Args:
        place: The configuration.
        invocation: How Alembic is called; DATABASE_URL is set beside its variable.
        url: What they are set to, each with the driver that it named before; else with the one
            that another of them named.
        offline: Whether SQL is asked for.

    Raises:
        HistoryError: The configuration has no database of the name that was given.
    """
    _leave_own_package()
    sources.claim(place.root)
    sources.ignore_bytecode(str(place.root))
    os.chdir(place.root)
    if str(place.root) not in sys.path:
        sys.path.append(str(place.root))  # as `python -m alembic` has it
    os.environ.update(invocation.environment)
    _follow_python_path(place.root)
    config = place.config()
    call(config, place, invocation, "upgrade", "heads", *(["--sql"] if offline else []), url=url)
    urls = _Urls(config, invocation, url)
    for name in {invocation.variable, "DATABASE_URL"}:
        os.environ[name] = urls.instead_of(os.environ.get(name))
    main = urls.instead_of(urls.configured)
    config.set_main_option("sqlalchemy.url", main.replace("%", "%%"))
    config.attributes["url"] = urls.instead_of(None)
    if invocation.engine:
        _choose(config, invocation.engine, main)
    return config


class _Urls:
    """The URL of a database, with the driver that is expected in a place.

    Attributes:
        configured: What the configuration has; empty where it has none that can be read.
    """

    def __init__(self, config: Config, invocation: Invocation, url: str) -> None:
        """Look at what is there before it is replaced."""
        self._url = url
        self._given = invocation.driver
        section = invocation.engine or config.config_ini_section
        try:
            self.configured = config.get_section_option(section, "sqlalchemy.url") or ""
        except Exception:  # noqa: BLE001 - interpolations of somebody else's file
            self.configured = ""
        named = (os.environ.get(invocation.variable), self.configured)
        self._others = (*named, os.environ.get("DATABASE_URL"))

    def instead_of(self, before: str | None) -> str:
        """Give it for a place that had another URL of PostgreSQL before, or had none."""
        named = map(dsn.driver_of, (before, *self._others))
        driver = self._given or next((each for each in named if each is not None), "")
        return dsn.with_driver(self._url, driver)


def _follow_python_path(root: Path) -> None:
    """Let relative folders of PYTHONPATH begin where Alembic is called."""
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        folder = root / entry
        if entry and folder.resolve() != _OWN and str(folder) not in sys.path:
            sys.path.append(str(folder))


def call(
    config: Config, place: Directory, invocation: Invocation, *words: str, url: str
) -> Namespace:
    """Give env.py the options and the command line of a command of `alembic`.

    Args:
        config: Gets the options.
        place: The configuration.
        invocation: What stands before the command.
        *words: The command, and its own options.
        url: What stands for "{url}" in arguments of env.py.

    Returns:
        The options.
    """
    files = [option for path in place.files for option in ("-c", str(path))]
    arguments = [text.replace(_URL, url) for text in invocation.arguments]
    options = CommandLine(prog="alembic").parser.parse_args([*files, *words])
    options.name, options.x = invocation.section, arguments or None
    config.cmd_opts = options
    given = [word for argument in arguments for word in ("-x", argument)]
    sys.argv = ["alembic", *files, "-n", invocation.section, *given, *words]
    return options


def restore_databases(config: Config) -> None:
    """Let the template of a new revision know all databases again, of which env.py ran one."""
    if _DATABASES in config.attributes:
        config.set_main_option("databases", config.attributes[_DATABASES].replace("%", "%%"))


def _choose(config: Config, engine: str, url: str) -> None:
    """Let an env.py with several databases run the one alone."""
    try:
        several = config.get_main_option("databases") or ""
    except CommandError:
        several = ""
    names = [name for name in re.split(r"[,\s]+", several) if name]
    if engine not in names and not config.file_config.has_section(engine):
        known = f" It has: {', '.join(names)}." if names else ""
        raise HistoryError(
            f"engineName is {engine!r}, and {config.config_file_name or 'the configuration'} has no"
            f" section [{engine}].{known} Nothing was done."
        )
    if names:
        config.attributes[_DATABASES] = several
        config.set_main_option("databases", engine)
    config.set_section_option(engine, "sqlalchemy.url", url.replace("%", "%%"))


def _leave_own_package() -> None:
    """Let the names of this package go: a project may have an `infra` of its own."""
    package = __name__.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != _OWN]
