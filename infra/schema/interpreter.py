"""The Python that renders and runs online, where it is not the one of this project."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from infra.schema import child
from infra.schema.errors import HistoryError
from infra.schema.invocation import DRIVERS

__all__ = ["Found", "command", "environ", "examine", "path"]

_ROOT = Path(__file__).parents[2]
_OLDEST_PYTHON = (3, 10)
_OLDEST = {"alembic": (1, 9), "sqlalchemy": (1, 4)}
_NEEDED = ("alembic", "sqlalchemy", "greenlet")
_DRIVERS = tuple(name for name in DRIVERS if not name.endswith("_async"))
_PACKAGES = (*_NEEDED, *_DRIVERS, "psycopg2-binary", "psycopg-binary", "pgvector")
_INSTALL = "alembic 'sqlalchemy[asyncio]' asyncpg"
_SECONDS = 60.0
_NOTHING = "Nothing was done."
# Any Python runs it, also one that is too old.
_PROBE = """
import json, sys
found = {"version": list(sys.version_info[:3]), "modules": [], "packages": {}}
if sys.version_info >= (3, 8):
    import importlib.util
    from importlib.metadata import PackageNotFoundError, version
    modules, packages = json.loads(sys.argv[1])
    found["modules"] = [name for name in modules if importlib.util.find_spec(name)]
    for name in packages:
        try:
            found["packages"][name] = version(name)
        except PackageNotFoundError:
            pass
print("groundwork found: " + json.dumps(found))
"""
_FOUND = "groundwork found: "


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an interpreter has.

    Attributes:
        version: Its own.
        modules: Which of those that count can be imported.
        packages: Versions of installed distributions, by name.
    """

    version: tuple[int, ...]
    modules: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]

    def stamp(self) -> list[str]:
        """Give what decides how SQL is rendered, as texts."""
        packages = [f"{name} {version}" for name, version in self.packages]
        return [_dotted(self.version), *packages]


def path(text: str) -> str:
    """Give the absolute path of an interpreter, named by itself or by its environment's folder.

    Links are not followed: those of a virtual environment lead out of it.
    """
    if not text:
        return ""
    given = Path(text).expanduser().absolute()
    return os.path.normpath(given / "bin" / "python" if given.is_dir() else given)


def command(python: str, module: str) -> list[str]:
    """Give the command that runs a module of this package; "" is this process's own Python."""
    return [python, "-m", module] if python else child.command(module)


def environ(python: str) -> dict[str, str]:
    """Give the environment variables of a process that it runs, as its `activate` sets them."""
    given = dict(os.environ)
    if python:
        folder = Path(python).parent
        given["PATH"] = os.pathsep.join(filter(None, (str(folder), given.get("PATH", ""))))
        for name in ("PYTHONHOME", "VIRTUAL_ENV"):
            given.pop(name, None)
        if (folder.parent / "pyvenv.cfg").is_file():
            given["VIRTUAL_ENV"] = str(folder.parent)
    return given


def examine(python: str) -> Found:
    """Look at what an interpreter has, once as long as its packages stay.

    Raises:
        HistoryError: It is none, or lacks what rendering and running online need.
    """
    file = Path(python)
    if not file.is_file():
        raise _refusal(python, "there is no such file", "Name an interpreter or its environment")
    if not os.access(file, os.X_OK):
        raise _refusal(python, "it can't be executed", f"chmod +x {python}, or name another one")
    found = _examined(python, _stamps(file))
    _require(python, found)
    return found


def _stamps(file: Path) -> tuple[int, ...]:
    prefix = file.parent.parent
    packages = sorted(prefix.glob("lib/python*/site-packages"))
    seen = (file, prefix / "pyvenv.cfg", *packages)
    return tuple(each.stat().st_mtime_ns for each in seen if each.exists())


@lru_cache(maxsize=16)
def _examined(python: str, _stamped: tuple[int, ...]) -> Found:
    asked = json.dumps([[*_NEEDED, *_DRIVERS], _PACKAGES])
    try:
        done = subprocess.run(
            [python, "-c", _PROBE, asked],
            cwd=_ROOT,
            env=environ(python),
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _refusal(python, f"it is no Python that runs: {exc}") from exc
    lines = done.stdout.decode(errors="replace").splitlines()
    answers = [line.removeprefix(_FOUND) for line in lines if line.startswith(_FOUND)]
    if not answers:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        why = said[0] if said else f"exit status {done.returncode}"
        raise _refusal(python, f"it is no Python that runs: {why}")
    answer: dict[str, Any] = json.loads(answers[-1])
    return Found(
        version=tuple(answer["version"]),
        modules=tuple(answer["modules"]),
        packages=tuple(sorted(answer["packages"].items())),
    )


def _require(python: str, found: Found) -> None:
    if found.version < _OLDEST_PYTHON:
        raise _refusal(
            python,
            f"it is Python {_dotted(found.version)}, and {_dotted(_OLDEST_PYTHON)} is needed",
            "Make the application's environment with a newer one",
        )
    lacking = [name for name in _NEEDED if name not in found.modules]
    if lacking:
        install = f"Install what is needed: {python} -m pip install {_INSTALL}"
        raise _refusal(python, f"its environment lacks {', '.join(lacking)}", install)
    packages = dict(found.packages)
    for name, oldest in _OLDEST.items():
        version = packages.get(name, "")
        if version and _numbers(version) < oldest:
            raise _refusal(
                python,
                f"its environment has {name} {version}, and {_dotted(oldest)} is needed",
                f"Install a newer one: {python} -m pip install '{name}>={_dotted(oldest)}'",
            )
    if not set(_DRIVERS) & set(found.modules):
        install = f"Install one: {python} -m pip install asyncpg"
        drivers = ", ".join(_DRIVERS)
        raise _refusal(python, f"its environment has no driver of PostgreSQL ({drivers})", install)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:2])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _refusal(python: str, why: str, advice: str = "Name another one") -> HistoryError:
    return HistoryError(f"migrationsPython is {python}: {why}. {_NOTHING} {advice}.")
