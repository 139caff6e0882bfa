"""Wheels through pip, so that whatever index the user has configured holds."""

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from toolchain import fetch, progress, run, versions
from toolchain.errors import ToolchainError

__all__ = ["download", "install"]

_TRIES = 3
_QUICK = 3.0  # seconds within which a failure still allows another try in a 10 s limit
_DEFAULT_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
_TIMEOUT = 10  # seconds of silence on a connection, unless the user has set another


def download(
    requirements: Path, dest: Path, *, platform: Sequence[str] = (), label: str = "fetching wheels"
) -> list[Path]:
    """Fetch the wheels that a hash-pinned requirements file names, and nothing else.

    Args:
        requirements: the file; each requirement has its hashes.
        dest: the folder to put the wheels in; made when missing.
        platform: more arguments for pip where wheels of another platform are wanted, such
            as `["--platform", "manylinux_2_28_x86_64", "--python-version", "3.12"]`.
        label: what is fetched, for the progress line.

    Returns:
        The wheels, in the order of their names.

    Raises:
        ToolchainError: when pip is missing or can't get them.
    """
    options = ["download", "--no-deps", "--only-binary=:all:", "--dest", str(dest), *platform]
    _pip([*options, "--require-hashes", "-r", str(requirements)], label)
    return sorted(dest.glob("*.whl"))


def install(
    requirements: Path, target: Path | None, *, python: str, label: str = "fetching packages"
) -> None:
    """Install what a hash-pinned requirements file names, for the interpreter `python`.

    Args:
        requirements: the file; each requirement has its hashes.
        target: a folder, to be put on PYTHONPATH, or None for the interpreter's own.
        python: the interpreter that will import the packages; it needs no pip of its own.
        label: what is fetched, for the progress line.

    Raises:
        ToolchainError: when pip is missing or can't get them.
    """
    where = ["--target", str(target)] if target else []
    options = ["install", *where, "--only-binary=:all:", "--require-hashes"]
    _pip([*options, "-r", str(requirements)], label, python=python)


def _pip(arguments: Sequence[str], label: str, *, python: str = "") -> None:
    pip = _command(python)
    offline = _unreachable(pip[:3])
    command = [*pip, *arguments, "--no-input", "--retries=1", *_timeout()]
    if offline:
        command.append("--no-index")  # the user's folders of wheels may still have it all
    unwanted = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"}  # they'd put files elsewhere
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    with progress.step(label) as shown:
        for attempt in range(_TRIES):
            begin, seen = time.monotonic(), _Seen(shown.update)
            try:
                run.stream(command, on_line=seen.line, on_tick=seen.tick, env=env)
            except run.CommandError as exc:
                quick = time.monotonic() - begin < _QUICK
                if attempt + 1 == _TRIES or not (seen.progressed or quick):
                    raise ToolchainError(f"{label}: {offline or _told(exc)}") from exc
            else:
                return


class _Seen:
    """What pip has said so far."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.progressed = False
        self._show = show
        self._state = "asking the index"

    def line(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word in {"Downloading", "Installing", "Using", "Saved"}:
            self.progressed = True
            self._state = f"{word.lower()} {_shortened(rest)}"

    def tick(self) -> None:
        self._show(self._state)


def _shortened(what: str) -> str:
    """Give a file without its folder, and how many packages in place of a list of all."""
    listed = what.removeprefix("collected packages: ")
    if listed == what:
        return what.rpartition("/")[2]
    count = listed.count(",") + 1
    return f"{count} package{'' if count == 1 else 's'}"


def _told(exc: run.CommandError) -> str:
    """Give pip's own errors, or the whole end of its output where it names none."""
    errors = [line.removeprefix("ERROR: ") for line in exc.tail if line.startswith("ERROR: ")]
    return "pip: " + "; ".join(errors) if errors else str(exc)


def _command(python: str) -> list[str]:
    """Find a pip: that of `python`, of this interpreter, or of the checkout's venv."""
    venv = str(versions.ROOT / ".venv" / "bin" / "python")
    for candidate in filter(None, [python, sys.executable, venv]):
        if _has_pip(candidate):
            other = python and candidate != python
            return [candidate, "-m", "pip", *(["--python", python] if other else [])]
    raise ToolchainError(
        f"no pip: neither {python or sys.executable} nor {venv} has one. "
        "Install it (on Debian and Ubuntu: apt-get install python3-pip python3-venv)"
    )


@cache
def _has_pip(python: str) -> bool:
    try:
        run.output([python, "-c", "import pip"], timeout=30)
    except run.CommandError:
        return False
    return True


def _unreachable(pip: Sequence[str]) -> str:
    """Tell why no package index can be reached; an empty text when one can, or it's unknown.

    Pip by itself waits long where packets get lost: its limit is also that for slow answers.
    """
    try:
        settings = run.output([*pip, "config", "list"], timeout=30)
        default = run.output([pip[0], "-c", _DEFAULT_INDEX], timeout=30)
    except run.CommandError:
        return ""
    found = dict(re.findall(r"^\S*?([a-z-]+)='(.*)'$", settings, re.MULTILINE))
    if found.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        return ""
    more = found.get("extra-index-url", "").replace("\\n", " ").split()
    indexes = [found.get("proxy") or found.get("index-url") or default, *more]
    reasons = [fetch.connects(index, limit=fetch.LIMIT / len(indexes)) for index in indexes]
    return "no package index: " + "; ".join(reasons) if all(reasons) else ""


def _timeout() -> list[str]:
    """Keep to a limit of our own only where the user's settings have none."""
    configured = "PIP_DEFAULT_TIMEOUT" in os.environ or "PIP_TIMEOUT" in os.environ
    return [] if configured else [f"--timeout={_TIMEOUT}"]
