"""The two ways to run a package's history: plain Alembic in its environment, and the node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.histories.discovery import Shipped
    from tests.histories.environments import Environment
    from tests.histories.settings import Settings

__all__ = ["Application", "Done", "prepare", "run_node", "run_plain"]

_CHECKOUT = Path(__file__).parents[2]
_PLAIN = Path(__file__).with_name("plain_alembic.py")
_SECONDS = 900.0
_DROPPED = ("PYTHONPATH", "DATABASE_URL", "VIRTUAL_ENV")  # they speak of this project


@dataclass(frozen=True, kw_only=True)
class Application:
    """A history, and what it takes to run it.

    Attributes:
        environment: Where its packages are.
        shipped: Its Alembic directory.
        folder: What the node is given as `--migrations`.
        home: A folder of its own for files that it writes; the node's cache is in it too.
        settings: Of the package.
        verbose: Whether to show what the processes write on standard error.
    """

    environment: Environment
    shipped: Shipped
    folder: Path
    home: Path
    settings: Settings
    verbose: bool = False

    def environ(self, libpq: str) -> dict[str, str]:
        """Give the environment of a process that works on a database."""
        parts = urlsplit(libpq)
        url = self.url(libpq)
        values = {
            "url": url,
            "libpq": libpq,
            "host": str(parts.hostname),
            "port": str(parts.port),
            "user": str(parts.username),
            "password": str(parts.password),
            "database": parts.path.lstrip("/"),
            "home": str(self.home),
        }
        own = {name: text.format_map(values) for name, text in self.settings.variables.items()}
        kept = {name: text for name, text in os.environ.items() if name not in _DROPPED}
        folders = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache")}
        return {**kept, **folders, self.settings.variable: url, "DATABASE_URL": url, **own}

    def url(self, libpq: str) -> str:
        """Give the URL that the application is configured with."""
        base = libpq.partition("?")[0]
        return (
            base.replace("postgresql://", f"postgresql+{self.settings.driver}://")
            if self.settings.driver
            else base
        )


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a process.

    Attributes:
        status: Its exit status.
        seconds: How long it took.
        output: Standard output.
        message: The last line on standard error.
    """

    status: int
    seconds: float
    output: str
    message: str

    @property
    def data(self) -> Any:
        """Read the output as JSON."""
        return json.loads(self.output)


def prepare(application: Application, url: str) -> Done | None:
    """Make what the application has before its first revision; None where it needs nothing."""
    if not application.settings.prepare:
        return None
    return _run(
        [str(application.environment.python), "-c", application.settings.prepare],
        environ={**application.environ(url), "URL": application.url(url)},
        folder=application.home,
        verbose=application.verbose,
    )


def run_plain(application: Application, url: str, *command: str, times: int = 1) -> Done:
    """Run a command of Alembic in the application's environment.

    Args:
        application: Whose.
        url: The database's libpq URL.
        command: The words behind `alembic`.
        times: How often, until it fails.
    """
    shipped = application.shipped
    x = [word for each in application.settings.x for word in ("-x", each)]
    task = {
        "root": str(shipped.root),
        "ini": str(shipped.ini or application.folder / "alembic.ini"),
        "section": shipped.section,
        "url": application.url(url),
        "commands": [[*x, *command]] * times,
    }
    return _run(
        [str(application.environment.python), str(_PLAIN)],
        environ=application.environ(url),
        folder=shipped.root,
        told=json.dumps(task),
        verbose=application.verbose,
    )


def run_node(application: Application, url: str, command: str, *options: str) -> Done:
    """Run a command of the node on the application's history.

    Args:
        application: Whose.
        url: The database's libpq URL.
        command: plan, upgrade, history.
        options: What stands behind it.
    """
    shipped = application.shipped
    words = [
        "--migrations",
        str(application.folder),
        *(("-n", shipped.section) if shipped.section != "alembic" else ()),
        *(word for each in application.settings.x for word in ("-x", each)),
        "--url",
        url,
        "--url-variable",
        application.settings.variable,
        "--python",
        str(application.environment.folder),
        *application.settings.options,
        *options,
    ]
    return _run(
        [sys.executable, "-m", "infra.schema", command, *words],
        environ=application.environ(url),
        folder=_CHECKOUT,
        verbose=application.verbose,
    )


def _run(
    command: list[str],
    *,
    environ: dict[str, str],
    folder: Path,
    told: str = "",
    verbose: bool = False,
) -> Done:
    begun = time.monotonic()
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            input=told,
            env=environ,
            cwd=folder,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Done(status=-1, seconds=_SECONDS, output="", message=f"not done in {_SECONDS:g} s")
    if verbose:
        sys.stderr.write(done.stderr)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return Done(
        status=done.returncode,
        seconds=time.monotonic() - begun,
        output=done.stdout,
        message=_telling(lines),
    )


def _telling(lines: list[str]) -> str:
    """Pick the line that says what failed: errors of databases have more below it."""
    said = [line for line in lines if not line.startswith(("(Background", "[SQL", "[parameters"))]
    ours = next((place for place, line in enumerate(said) if line.startswith("error:")), None)
    if ours is not None:
        return " ".join(said[ours:])
    named = [line for line in said if "Error" in line.partition(":")[0]]
    return (named or said or [""])[-1]
