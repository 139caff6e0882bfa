"""A new revision from the difference between the models and a stack's database."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolchain import venv
from toolchain.errors import ToolchainError

__all__ = ["write"]

_FOUND = re.compile(r"^INFO +\[alembic\.autogenerate\S*\] (Detected .*)$", re.MULTILINE)
_EMPTY = "For an empty one to fill by hand: cd {folder} && {alembic} revision -m {message!r}"


def write(*, folder: Path, url: str, message: str, up: str) -> str:
    """Let Alembic compare, and write what it found into a new file of `folder`.

    Args:
        folder: Where Alembic's configuration is.
        url: The database to compare with, at head; told by environment, where no process list
            shows it.
        message: What the revision does, in a few words.
        up: The command that brings the database to head, for messages.

    Returns:
        What to tell: the file, what was found, how to go on.

    Raises:
        ToolchainError: Nothing was written: nothing is different, the database isn't at head or
            can't be reached, or the models have a mistake.
    """
    before = _files(folder)
    done = subprocess.run(
        [
            *(str(venv.python()), "-m", "alembic"),
            *("revision", "--autogenerate", f"--message={message}"),
        ],
        cwd=folder,
        env=os.environ | {"DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    made = sorted(_files(folder) - before)
    if done.returncode != 0:
        for path in made:  # Alembic could write it and then not go on: half a revision is none
            path.unlink()
        raise ToolchainError(_refusal(done, folder=folder, up=up))
    if not made:
        empty = _EMPTY.format(
            folder=_short(folder), alembic=venv.python().with_name("alembic"), message=message
        )
        raise ToolchainError(
            "the models and the database are the same, so no revision was written. A new module"
            f" of models has to be imported in the package's __init__.py.\n{empty}"
        )
    return _told(made, _FOUND.findall(done.stderr), up=up)


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*.py") if "__pycache__" not in path.parts}


def _told(made: Sequence[Path], found: Sequence[str], *, up: str) -> str:
    paths = "\n".join(str(_short(path)) for path in made)
    return "\n".join(
        [
            *(f"  {line}" for line in found),
            f"\nWritten:   {paths}",
            "Read it:   a renamed column looks like one that goes and one that comes; is it safe",
            "           where data is? The rules are at the top of the file.",
            f"Run it:    {up}",
        ]
    )


def _refusal(done: subprocess.CompletedProcess[str], *, folder: Path, up: str) -> str:
    _, failed, said = done.stdout.rpartition("FAILED: ")
    if said.startswith("Target database is not up to date"):
        return (
            "the stack's database isn't at the head of the revisions, so there is nothing to"
            f" compare with. No revision was written. Run `{up}`, then this again"
        )
    told = said if failed else _mistake(done.stderr)
    lines = [
        f"Alembic stopped in {_short(folder)}, and no revision was written:",
        *(f"    {line}" for line in told.strip().splitlines()),
    ]
    if told.startswith("Can't connect"):
        lines.append(f"Is the stack up? `{up}` brings its server and its schema back")
    return "\n".join(lines)


def _mistake(said: str) -> str:
    """Return where a traceback ends, and with what: a mistake in a model or a revision."""
    lines = said.rstrip().splitlines()
    frames = [n for n, line in enumerate(lines) if re.match(r'\s+File "', line)]
    return "\n".join(lines[frames[-1] :] if frames else lines[-5:])


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
