"""Runs Alembic in a process of its own, since its `op` and `context` are process-wide."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.errors import GroundworkError

__all__ = ["Command", "ProcessError", "Report", "run"]

Command = Literal["heads", "upgrade", "downgrade"]
_ROOT = Path(__file__).parents[2]


class ProcessError(GroundworkError):
    """Alembic failed; the message is its own, without the URL's password."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the process did.

    Attributes:
        heads: Head revisions of the files, sorted.
        ran: The steps as Alembic words them, in order: "a -> b, message".
    """

    heads: tuple[str, ...]
    ran: tuple[str, ...]


def run(folder: Path, command: Command, *, url: str = "") -> Report:
    """Run one command of Alembic on the directory `folder`.

    Args:
        folder: Holds alembic.ini.
        command: "heads" reads the files alone; "upgrade" goes to head, "downgrade" to base.
        url: The database; told over standard input, where no process list shows it.

    Raises:
        ProcessError: Alembic, env.py or PostgreSQL refused.
    """
    task = {"folder": str(folder), "command": command, "url": url, "parent": os.getpid()}
    done = subprocess.run(
        [sys.executable, "-m", "infra.schema.online"],
        check=False,
        capture_output=True,
        input=json.dumps(task),
        text=True,
        cwd=_ROOT,
    )
    answer = _last_line(done.stdout)
    if "error" in answer:
        raise ProcessError(str(answer["error"]))
    if done.returncode != 0 or "heads" not in answer:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        msg = f"Alembic's process ended without an answer: {said[0]}"
        raise ProcessError(msg)
    return Report(heads=tuple(answer["heads"]), ran=tuple(answer["ran"]))


def _last_line(text: str) -> dict[str, list[str] | str]:
    try:
        answer = json.loads(text.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}
