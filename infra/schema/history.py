"""The history that an Alembic directory holds: compiled once, and again when a file changes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from infra.schema import child, store
from infra.schema.errors import HistoryError
from infra.schema.invocation import Invocation
from infra.schema.model import History

__all__ = ["read"]

_ROOT = Path(__file__).parents[2]
_USUAL = Invocation()
_SECONDS = 120.0  # a thousand revisions take about five


def read(
    folder: Path,
    invocation: Invocation = _USUAL,
    *,
    seconds: float = _SECONDS,
    keep: bool = True,
) -> History:
    """Give the history of an Alembic directory, without a database and without Alembic at hand.

    A directory that was read before and has not changed since is not compiled again.

    Args:
        folder: The folder in which `alembic` is called, or the one with env.py in it.
        invocation: How it is called.
        seconds: How long env.py and the revisions may take to be rendered.
        keep: Whether to keep the result for the next time; not where the folder will be gone.

    Raises:
        HistoryError: The configuration, a revision or env.py is broken; or rendering never ends.
    """
    kept = store.recall(folder, invocation) if keep else None
    if kept is not None:
        return History.of(kept)
    since = time.time_ns()
    try:
        answer = _compiled(folder, invocation, seconds)
    except HistoryError as exc:
        raise HistoryError(invocation.redacted(str(exc))) from exc
    if keep:
        store.remember(folder, invocation, answer, since=since)
    return History.of(answer["history"])


def _compiled(folder: Path, invocation: Invocation, seconds: float) -> dict[str, Any]:
    task = {
        "folder": str(folder.absolute()),
        "invocation": invocation.dump(),
        "parent": os.getpid(),
    }
    try:
        done = subprocess.run(
            child.command("infra.schema.compiler"),
            check=False,
            capture_output=True,
            input=json.dumps(task).encode(),
            cwd=_ROOT,
            # The order of a set is then the same in every run, and so is SQL that follows it.
            env={**os.environ, "PYTHONHASHSEED": "0"},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as exc:
        where, _ = child.whereabouts(exc.stderr)
        place = where or "env.py, in what it imports, and in the revisions"
        msg = (
            f"The migrations in {folder} were not rendered within {seconds:g} s, and the attempt"
            f" was ended{f' in {where}' if where else ''}. Nothing was done. Look for a loop or a"
            f" wait in {place}."
        )
        raise HistoryError(msg) from exc
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as exc:
        where, said = child.whereabouts(done.stderr)
        why = said or f"exit status {done.returncode}"
        msg = (
            f"The process that renders {folder} ended without an answer: {why}."
            f"{f' It was at {where}.' if where else ''} Nothing was done."
        )
        raise HistoryError(msg) from exc
    if "error" in answer:
        raise HistoryError(str(answer["error"]))
    return answer
