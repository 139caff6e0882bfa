"""actionlint, built from published Go modules: what finds mistakes in workflows."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolchain import cache, golang, modules, run, versions
from toolchain.errors import ToolchainError

__all__ = ["PACKAGE", "check", "install", "program", "workflows"]

PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
"""The import path of its command."""

_FOLDER = Path(".github", "workflows")
_SUFFIXES = (".yml", ".yaml")
_NAME = f"actionlint-v{versions.ACTIONLINT}"


def program() -> modules.Program:
    """Describe its build."""
    return modules.Program(
        folder=Path(__file__).with_name("actionlint"),
        package=PACKAGE,
        label=f"actionlint {versions.ACTIONLINT}",
        about="about a minute the first time",
    )


def install() -> Path:
    """Give its executable, built unless it is in the cache.

    Raises:
        ToolchainError: there is no Go, no modules, or they don't compile.
    """
    made = cache.make(_NAME, _build, doing=f"building {_NAME}", ready=_ready)
    return made / "bin" / "actionlint"


def workflows(root: Path = versions.ROOT) -> list[Path]:
    """List the workflows of a checkout."""
    return sorted(path for path in root.joinpath(_FOLDER).glob("*") if path.suffix in _SUFFIXES)


def check(files: Sequence[Path], *, root: Path = versions.ROOT) -> int:
    """Print the mistakes in workflows, and give a status: 0 where there are none.

    Shell scripts in them are looked at too where `shellcheck` is on PATH.

    Args:
        files: the workflows.
        root: the checkout, where its configuration would be.

    Raises:
        ToolchainError: it can't be had.
    """
    if not files:  # it would look for some by itself, and fail where it finds none
        return 0
    found = subprocess.run([str(install()), "-no-color", *map(str, files)], cwd=root, check=False)
    return found.returncode


def _build(place: Path) -> None:
    folder = place / "bin"
    folder.mkdir()
    modules.build(program(), folder / "actionlint", go=golang.find())
    if not _ready(place):
        raise ToolchainError(f"{_NAME} was built and doesn't start")


def _ready(place: Path) -> bool:
    path = place / "bin" / "actionlint"
    if not path.is_file():
        return False
    try:
        run.output([str(path), "-version"], timeout=20)
    except run.CommandError:
        return False
    return True
