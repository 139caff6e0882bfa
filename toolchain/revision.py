"""A new revision from the difference between the models and a stack's database."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolchain import venv, versions
from toolchain.errors import ToolchainError

__all__ = ["called", "write"]

_FOUND = re.compile(r"^(?:INFO +\[alembic\.autogenerate\S*\] )?(Detected .*)$", re.MULTILINE)
_EMPTY = "For an empty one to fill by hand, run it again with: --empty"
# By a stack's key, what `infra.schema.invocation` calls it.
_CALLED = {
    "url_variable": "variable",
    "iniSection": "section",
    "engineName": "engine",
    "driver": "driver",
}


def called(configured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give how Alembic is called on a stack's migrations, as the schema node does.

    Args:
        configured: By key, without the project's name, what `pulumi config --json --show-secrets`
            gives.

    Returns:
        What `infra.schema.invocation.Invocation.of` takes.
    """
    texts = {key: str(entry.get("value") or "") for key, entry in configured.items()}
    given: dict[str, Any] = {name: texts[key] for key, name in _CALLED.items() if texts.get(key)}
    if texts.get("migrationsRoot"):
        given["root"] = str(versions.ROOT / Path(texts["migrationsRoot"]).expanduser())
    if texts.get("migrationsPython"):
        python = versions.ROOT / Path(texts["migrationsPython"]).expanduser()
        given["python"] = str(python / "bin" / "python" if python.is_dir() else python)
    if texts.get("xArguments"):
        arguments = json.loads(texts["xArguments"])
        given["arguments"] = arguments
        if configured["xArguments"].get("secret"):
            given["secrets"] = [text.partition("=")[2] or text for text in arguments]
    if texts.get("migrationsEnvironment"):
        variables = json.loads(texts["migrationsEnvironment"])
        given["environment"] = [[name, str(value)] for name, value in sorted(variables.items())]
        if configured["migrationsEnvironment"].get("secret"):
            given["secrets"] = [*given.get("secrets", []), *map(str, variables.values())]
    return given


def write(  # noqa: PLR0913 - where, of which database, and how it is called
    *,
    folder: Path,
    url: str,
    message: str,
    up: str,
    invocation: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    empty: bool = False,
) -> str:
    """Let Alembic compare, and write what it found into a new file.

    Whatever env.py does to reach its database, it is led to this one, as for the schema node.

    Args:
        folder: Where Alembic's configuration is.
        url: The database to compare with, at head; handed over where no process list shows it.
        message: What the revision does, in a few words.
        up: The command that brings the database to head, for messages.
        invocation: How Alembic is called, as `called` gives it.
        words: More options of `alembic revision`: `--head`, `--splice`, `--branch-label`, ...
        empty: Whether to write an empty revision instead of comparing.

    Returns:
        What to tell: the file, what was found, how to go on.

    Raises:
        ToolchainError: Nothing was written: nothing is different, the database isn't at head or
            can't be reached, or the models have a mistake.
    """
    compare = [] if empty else ["--autogenerate"]
    task = {
        "folder": str(folder.absolute()),
        "invocation": dict(invocation or {}),
        "url": url,
        "parent": os.getpid(),
        "sources": None,
    }
    order = {"revise": [*compare, f"--message={message}", *words]}
    answer, said = _asked(task, order)
    if "error" in answer:
        raise ToolchainError(_refusal(answer["error"], answer.get("at", ""), folder=folder, up=up))
    if not answer["made"]:
        raise ToolchainError(
            "the models and the database are the same, so no revision was written. A new module"
            f" of models has to be imported in the package's __init__.py.\n{_EMPTY}"
        )
    return _told([Path(path) for path in answer["made"]], _FOUND.findall(said), up=up)


def _asked(task: Mapping[str, Any], order: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Let the process that runs env.py do it; gives its answer, and what else it said."""
    python = task["invocation"].get("python") or str(venv.python())
    if not os.access(python, os.X_OK):
        raise ToolchainError(
            f"there is no interpreter {python}, and no revision was written. migrationsPython names"
            " it, or the folder of its virtual environment"
        )
    done = subprocess.run(
        [python, "-m", "infra.schema.online"],
        cwd=versions.ROOT,
        input=f"{json.dumps(task)}\n{json.dumps(order)}\n",
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:]
        text = f"Alembic's process ended with status {done.returncode}: {''.join(last)}"
        answer = {"error": {"text": text}}
    return answer, done.stderr


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


def _refusal(error: Mapping[str, Any], at: str, *, folder: Path, up: str) -> str:
    text = at or str(error["text"])
    if text.startswith("Target database is not up to date"):
        return (
            "the stack's database isn't at the head of the revisions, so there is nothing to"
            f" compare with. No revision was written. Run `{up}`, then this again"
        )
    if text.startswith("Multiple heads"):
        text += "\nName the one to go on from: --head REVISION, or --head LABEL@head"
    lines = [
        f"Alembic stopped in {_short(folder)}, and no revision was written:",
        *(f"    {line}" for line in text.strip().splitlines()),
    ]
    lines += [
        f"    {name.upper()}: {error[name]}" for name in ("detail", "hint") if error.get(name)
    ]
    if text.startswith("Can't connect") or error.get("lost"):
        lines.append(f"Is the stack up? `{up}` brings its server and its schema back")
    return "\n".join(lines)


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
