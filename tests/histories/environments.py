"""Environments of packages: one virtual environment each, apart from the project's own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["OURS", "Environment", "InstallError", "install"]

_SECONDS = 900.0
# Drivers that applications leave to whoever installs them. Those of the package go first.
_DRIVERS = ("psycopg2-binary", "psycopg[binary]", "asyncpg")


OURS = ("alembic", "sqlalchemy[asyncio]")
"""What the node needs in the environment that renders and runs online."""


class InstallError(Exception):
    """A package could not be installed."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment with one application.

    Attributes:
        folder: The environment's own folder.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder site-packages."""
        return next(self.folder.glob("lib/python*/site-packages"))

    def run(self, code: str, *arguments: str) -> str:
        """Run a piece of Python, and give what it prints."""
        done = subprocess.run(
            [str(self.python), "-c", code, *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        return done.stdout.strip()

    def version(self, package: str) -> str:
        """Give the version of an installed distribution."""
        code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
        return self.run(code, package)


def install(
    folder: Path,
    requirements: Sequence[str],
    *,
    interpreter: str = "",
    drivers: Sequence[str] = _DRIVERS,
) -> Environment:
    """Make an environment in an empty folder, and install packages from the package registry.

    Args:
        folder: Where it is made.
        requirements: As `pip install` takes them, the application first.
        interpreter: The Python that it is made with; empty takes the project's.
        drivers: What else is installed.

    Raises:
        InstallError: A package is not there, can't be built, or fits no other one.
    """
    environment = Environment(folder=folder)
    _uv("venv", "--quiet", "--python", interpreter or sys.executable, str(folder))
    _uv("pip", "install", "--quiet", "--python", str(environment.python), *requirements, *drivers)
    return environment


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
    )
    if done.returncode:
        raise InstallError(done.stderr.strip() or done.stdout.strip())
