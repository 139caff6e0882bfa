"""The virtual environment of the project, from the hash-locked requirements."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from toolchain import cache, pip, progress, run, versions
from toolchain.errors import ToolchainError

__all__ = ["FOLDER", "install", "python"]

FOLDER = versions.ROOT / ".venv"
# What the environment was made from; the last thing written, so that it marks a whole one.
_MARK = FOLDER / "requirements.sha256"


def python() -> Path:
    """Give the interpreter of the environment, there or not."""
    return FOLDER / "bin" / "python"


def install(*, dev: bool = False) -> None:
    """Have `.venv` hold what the lock files name; nothing to do where it does already.

    An environment made for development also serves where development isn't asked for.

    Args:
        dev: with what tests, lint and locking need.

    Raises:
        ToolchainError: this Python can't make environments, or pip can't get the packages.
    """
    wanted = [_digest("requirements-dev.txt")] + ([] if dev else [_digest("requirements.txt")])
    if _made_from() in wanted:
        return
    with cache.lock("venv-" + _digest_of(str(FOLDER).encode())[:16], doing="making .venv"):
        if _made_from() in wanted:
            return
        lock = "requirements-dev.txt" if dev else "requirements.txt"
        _make()
        label = "installing Python packages into .venv"
        pip.install(versions.ROOT / lock, None, python=str(python()), label=label)
        _MARK.write_text(_digest(lock))


def _make() -> None:
    """Make the bare environment anew, unless a good one is only short of packages."""
    _MARK.unlink(missing_ok=True)
    if _usable():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    progress.say(f"making .venv with Python {sys.version_info.major}.{sys.version_info.minor}")
    try:
        run.output([sys.executable, "-m", "venv", str(FOLDER)], timeout=300)
    except run.CommandError as exc:
        shutil.rmtree(FOLDER, ignore_errors=True)
        raise ToolchainError(
            f"{sys.executable} can't make a virtual environment: {exc}\nNothing was kept. "
            "Install Python's venv (Debian: python3-venv), or name another Python: "
            "make PYTHON=python3.12 up"
        ) from exc


def _usable() -> bool:
    try:
        probe = [str(python()), "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"]
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _made_from() -> str:
    try:
        return _MARK.read_text() if python().exists() else ""
    except OSError:
        return ""


def _digest(lock: str) -> str:
    return _digest_of((versions.ROOT / lock).read_bytes())


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
