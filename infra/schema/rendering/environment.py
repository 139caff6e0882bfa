"""Opens Alembic's configuration the way the `alembic` command does in the project's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config

from infra.schema.rendering import sources

if TYPE_CHECKING:
    from infra.schema.invocation import Invocation
    from infra.schema.rendering.directory import Directory

__all__ = ["enter"]


def enter(place: Directory, invocation: Invocation, *, url: str) -> Config:
    """Make this process one of the project: its folder, its modules, and the URL in all places.

    An env.py may take its URL from `config.attributes["url"]`, from `sqlalchemy.url`, or from the
    variable; whatever these held before could lead to another database.

    Args:
        place: The configuration.
        invocation: How Alembic is called; DATABASE_URL is set beside its variable.
        url: What they are set to.
    """
    _leave_own_package()
    sources.ignore_bytecode(str(place.root))
    os.chdir(place.root)
    if str(place.root) not in sys.path:
        sys.path.append(str(place.root))  # as `python -m alembic` has it
    for name in {invocation.variable, "DATABASE_URL"}:
        os.environ[name] = url
    config = Config(
        str(place.ini) if place.ini else None, toml_file=str(place.toml) if place.toml else None
    )
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _leave_own_package() -> None:
    """Let the names of this package go: a project may have an `infra` of its own."""
    package = __name__.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    own = Path(__file__).resolve().parents[3]
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != own]
