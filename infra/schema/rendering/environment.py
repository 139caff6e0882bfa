"""Opens Alembic's configuration the way the `alembic` command does in the project's folder."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import CommandLine
from alembic.util import CommandError

from infra.schema.errors import HistoryError
from infra.schema.rendering import sources

if TYPE_CHECKING:
    from alembic.config import Config

    from infra.schema.invocation import Invocation
    from infra.schema.rendering.directory import Directory

__all__ = ["enter"]


def enter(place: Directory, invocation: Invocation, *, url: str, offline: bool = False) -> Config:
    """Make this process one of the project: its folder, its modules, and the URL in all places.

    An env.py may take its URL from `config.attributes["url"]`, from `sqlalchemy.url`, or from the
    variable; whatever these held before could lead to another database.

    Args:
        place: The configuration.
        invocation: How Alembic is called; DATABASE_URL is set beside its variable.
        url: What they are set to.
        offline: Whether SQL is asked for.

    Raises:
        HistoryError: The configuration has no database of the name that was given.
    """
    _leave_own_package()
    sources.ignore_bytecode(str(place.root))
    os.chdir(place.root)
    if str(place.root) not in sys.path:
        sys.path.append(str(place.root))  # as `python -m alembic` has it
    for name in {invocation.variable, "DATABASE_URL"}:
        os.environ[name] = url
    _follow_python_path(place.root)
    config = place.config()
    _command_line(config, place, invocation, offline=offline)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["url"] = url
    if invocation.engine:
        _choose(config, invocation.engine, url)
    return config


def _follow_python_path(root: Path) -> None:
    """Let relative folders of PYTHONPATH begin where Alembic is called."""
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        folder = root / entry
        if entry and not Path(entry).is_absolute() and str(folder) not in sys.path:
            sys.path.append(str(folder))


def _command_line(
    config: Config, place: Directory, invocation: Invocation, *, offline: bool
) -> None:
    """Give env.py the options and the command line that it has under `alembic upgrade heads`."""
    words = [option for path in place.files for option in ("-c", str(path))]
    asked = ["upgrade", "heads", *(["--sql"] if offline else [])]
    options = CommandLine(prog="alembic").parser.parse_args([*words, *asked])
    options.name, options.x = invocation.section, list(invocation.arguments) or None
    config.cmd_opts = options
    arguments = ["-n", invocation.section]
    arguments += [word for argument in invocation.arguments for word in ("-x", argument)]
    sys.argv = ["alembic", *words, *arguments, *asked]


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
        config.set_main_option("databases", engine)
    config.set_section_option(engine, "sqlalchemy.url", url.replace("%", "%%"))


def _leave_own_package() -> None:
    """Let the names of this package go: a project may have an `infra` of its own."""
    package = __name__.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    own = Path(__file__).resolve().parents[3]
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != own]
