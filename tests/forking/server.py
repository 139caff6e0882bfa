"""Imports what a module imports, and forks for each client one process that runs the module.

Run as `python -m tests.forking.server SOCKET MODULE`; ends with its standard input. A MODULE that
ends with .py stands for any file, which the client names.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# What the env.py of a project imports, apart from what the module itself does.
_IMPORTS = ("alembic.command", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.postgresql.asyncpg")
# What the __main__ of a package imports.
_OWN = {"alembic": ("alembic.config",), "infra.schema": ("infra.schema.cli",)}
_SIZE = 4  # bytes that tell how long a task is


def main() -> None:
    """Serve until standard input ends."""
    path, module = Path(sys.argv[1]), sys.argv[2]
    own = () if module.endswith(".py") else _OWN.get(module, (module,))
    for name in (*_IMPORTS, *own):
        importlib.import_module(name)
    if module in own:
        del sys.modules[module]  # it is executed again, as __main__
    _lead_children(path.parent)
    gc.freeze()  # a collection in a fork would copy all of this memory
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # none of the supervising processes is waited for
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(64)
        with selectors.DefaultSelector() as ready:
            ready.register(listener, selectors.EVENT_READ)
            ready.register(sys.stdin, selectors.EVENT_READ)
            while all(key.fileobj is listener for key, _ in ready.select()):
                client, _ = listener.accept()
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    break
                client.close()
            else:
                return
    _supervise(client, module)


def _lead_children(folder: Path) -> None:
    """Replace what does not hold in a fork: the check of its parent, starts of served modules."""
    child = sys.modules.get("infra.schema.child")
    if child is None:
        return
    start = child.command

    def command(module: str) -> list[str]:
        if not (folder / module).is_socket():
            return list(start(module))
        client = Path(__file__).with_name("client.py")
        return [sys.executable, "-IS", str(client), str(folder / module), module]

    vars(child).update(end_with=lambda _: None, command=command)


def _supervise(client: socket.socket, module: str) -> None:
    """Run the module in a fork; end it with the client, or tell the client how it ended."""
    start, descriptors, _, _ = socket.recv_fds(client, _SIZE, 3)
    rest = int.from_bytes(start)
    data = b""
    while len(start) == _SIZE and len(data) < rest:
        piece = client.recv(rest - len(data))
        if not piece:
            break
        data += piece
    if len(start) < _SIZE or len(data) < rest:
        os._exit(1)  # the client was killed while it sent
    task = json.loads(os.fsdecode(data))
    pid = os.fork()
    if pid:
        for descriptor in (0, 1, 2, *descriptors):
            os.close(descriptor)
        _wait(client, pid, leads=task["leads"])
    client.close()
    _become(task, descriptors)
    if module.endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _become(task: dict[str, Any], descriptors: list[int]) -> None:
    if task["leads"]:
        os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(task["environment"])
    time.tzset()
    os.chdir(task["folder"])
    sys.argv = task["arguments"]
    sys.path[0] = task["folder"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]  # this package, which `python -m MODULE` would not have imported


def _wait(client: socket.socket, pid: int, *, leads: bool) -> None:
    ended = os.pidfd_open(pid)
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ)
        ready.register(ended, selectors.EVENT_READ)
        if not any(key.fd == ended for key, _ in ready.select()):  # the client went
            (os.killpg if leads else os.kill)(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
