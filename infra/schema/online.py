"""The process that drives Alembic through the project's own env.py.

Reads one JSON object from standard input: `folder`, `command`, `url` and `parent`, a process id.
Writes one to standard output: `heads` and `ran`, or `error`.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Do what standard input says; the exit status is 1 where that failed."""
    task = json.load(sys.stdin)
    _die_with(task["parent"])
    # Whatever env.py or a revision prints must not come between us and the caller.
    answer_to = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        answer = _carry_out(task)
    except Exception as exc:  # noqa: BLE001 - revisions are anybody's code; all is reported
        answer = {"error": _redacted(_worded(exc), task["url"])}
    with answer_to:
        json.dump(answer, answer_to)
    return 1 if "error" in answer else 0


def _die_with(parent: int) -> None:
    """Let the kernel end this process with the one that waits for it.

    PostgreSQL then undoes the revision that was running, and the next run does not meet a
    migration that nobody knows of.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel knew
        sys.exit(1)


def _carry_out(task: dict[str, Any]) -> dict[str, Any]:
    config = Config(str(Path(task["folder"], "alembic.ini")))
    script = ScriptDirectory.from_config(config)
    heads = sorted(script.get_heads())
    ran: list[str] = []
    if task["command"] != "heads":
        config.attributes["url"] = task["url"]
        # For an env.py that reads the variable alone; and the user's own, which may name
        # another database, must not win. Set from inside, it is in no process list.
        os.environ["DATABASE_URL"] = task["url"]
        _listen(ran)
        if task["command"] == "upgrade":
            command.upgrade(config, "head")
        else:
            command.downgrade(config, "base")
    return {"heads": heads, "ran": ran}


class _Steps(logging.Filter):
    """Notes Alembic's own line of each step; a filter survives env.py's logging set-up."""

    def __init__(self, ran: list[str]) -> None:
        super().__init__()
        self._ran = ran

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for beginning in ("Running upgrade ", "Running downgrade "):
            if text.startswith(beginning):
                self._ran.append(text.removeprefix(beginning).strip())
        return True


def _listen(ran: list[str]) -> None:
    logging.getLogger("alembic.runtime.migration").addFilter(_Steps(ran))


def _worded(exc: Exception) -> str:
    original = getattr(exc, "orig", None)
    if original is not None:  # SQLAlchemy's wrapper, whose text has the statement's values
        return f"{type(original).__name__}: {original}".replace("<class '", "").replace("'>", "")
    return str(exc) if isinstance(exc, CommandError) else f"{type(exc).__name__}: {exc}"


def _redacted(text: str, url: str) -> str:
    password = urlsplit(url).password or ""
    for secret in (url, password, unquote(password)):
        if secret:
            text = text.replace(secret, "***")
    return text


if __name__ == "__main__":
    sys.exit(main())
