"""PgBouncer before a server of the tests, where this machine has it: `.ci/pooler` installs it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.servers.ports import HOST, find_free
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.migrations.place import Place

__all__ = ["pooler"]

_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_USER = "nobody"  # it refuses root


@contextmanager
def pooler(place: Place, mode: str, *, size: int = 3, turns: bool = False) -> Iterator[Place]:
    """Let PgBouncer stand before a database; gives where to connect.

    Args:
        place: The database.
        mode: "session", "transaction" or "statement".
        size: How many sessions of the server it has.
        turns: Whether it takes them in turns, and not the last one first.
    """
    if _PROGRAM is None:
        pytest.skip("no pgbouncer: .ci/pooler installs it")
    port = find_free()
    folder = Path(tempfile.mkdtemp(prefix="groundwork-pooler-"))
    folder.chmod(0o755)
    file = folder / "pgbouncer.ini"
    # ignore_startup_parameters is not set: what it does not know, it refuses.
    file.write_text(
        f"""[databases]
* = host={place.host} port={place.port} user={place.user} password='{place.password}'
[pgbouncer]
listen_addr = {HOST}
listen_port = {port}
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = {int(turns)}
unix_socket_dir =
""",
        encoding="utf-8",
    )
    user = ["-u", _USER] if os.geteuid() == 0 else []
    with subprocess.Popen([_PROGRAM, "-q", *user, str(file)]) as process:
        try:
            wait_until(lambda: _listens(port))
            yield replace(place, host=HOST, port=port)
        finally:
            process.kill()
            shutil.rmtree(folder)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
