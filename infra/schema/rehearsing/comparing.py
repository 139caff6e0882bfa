"""Compares the models of a project with a database, through its own env.py, in a process."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import interpreter
from infra.schema.dsn import redacted

if TYPE_CHECKING:
    from infra.schema.invocation import Invocation

__all__ = ["compare"]

_ROOT = Path(__file__).parents[3]


def compare(
    url: str, *, folder: Path, invocation: Invocation, seconds: float | None
) -> tuple[tuple[str, ...], str]:
    """Ask autogenerate what is different.

    Args:
        url: libpq URL of the database.
        folder: The Alembic directory.
        invocation: How Alembic is called there.
        seconds: How long it may take; None for any time.

    Returns:
        The differences, a line each, and why there was no comparison; one of them is empty.
    """
    task = {
        "folder": str(folder.absolute()),
        "invocation": invocation.dump(),
        "url": url,
        "parent": os.getpid(),
        "sources": None,
    }
    try:
        orders = f"{json.dumps(task)}\n{json.dumps({'compare': True})}\n"
        done, noise = _asked(invocation.python, orders, seconds)
    except subprocess.TimeoutExpired:
        return (), "it took longer than the rehearsal may take"
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        text = invocation.redacted(redacted(noise.decode(errors="replace"), url))
        said = text.strip().splitlines()[-1:]
        return (), said[0] if said else f"Alembic's process ended with status {done.returncode}"
    if "differs" in answer:
        return tuple(answer["differs"]), ""
    return (), answer.get("uncompared") or answer["error"]["text"]


def _asked(
    python: str, orders: str, seconds: float | None
) -> tuple[subprocess.CompletedProcess[bytes], bytes]:
    """Run the process; gives what it answered, and what else it said.

    That goes into a file: a pipe does not end before everything has that env.py may have started.
    """
    with tempfile.TemporaryFile() as noise:
        done = subprocess.run(
            interpreter.command(python, "infra.schema.online"),
            check=False,
            stdout=subprocess.PIPE,
            stderr=noise,
            input=orders.encode(),
            cwd=_ROOT,
            env=interpreter.environ(python),
            timeout=seconds,
        )
        noise.seek(0)
        return done, noise.read()
