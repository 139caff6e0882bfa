"""The servers of this worker: one for each module, made when it is first asked for."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

__all__ = ["command"]

_ROOT = Path(__file__).parents[2]
_ANY_FILE = "any.py"  # the server of all that are run by their path
_SECONDS = 120.0  # until a server has imported everything, on a busy machine


def command(module: str, *beside: str) -> list[str]:
    """Give a command that does what `python -m MODULE` does, or `python FILE.py`.

    Args:
        module: The module or the file.
        beside: Modules that it starts itself, in the way of `infra.schema.child`.
    """
    served = _ANY_FILE if module.endswith(".py") else module
    for name in (*beside, served):
        _serve(name)
    client = Path(__file__).with_name("client.py")
    return [sys.executable, "-IS", str(client), str(_folder() / served), module]


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="groundwork-")  # a short path, as sockets need it
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def _serve(module: str) -> None:
    """Start a server, and wait until it can be asked."""
    path = _folder() / module
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forking.server", str(path), module],
        stdin=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # as `infra.schema.history` has it
    )
    atexit.register(server.communicate)
    deadline = time.monotonic() + _SECONDS
    while not path.is_socket():
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
