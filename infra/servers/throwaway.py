"""A PostgreSQL for a moment: on this machine, empty, and gone with whoever asked for it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from infra.servers import leftovers, probe
from infra.servers.errors import ClusterError
from infra.servers.local import owned_files
from infra.servers.local.account import server_account
from infra.servers.local.binaries import locate
from infra.servers.local.cluster import SUPERUSER, Cluster
from infra.servers.ports import HOST, find_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.servers.local.account import Account
    from infra.servers.local.binaries import Binaries

__all__ = ["Throwaway", "command_that_ends_with_us", "throwaway"]

_LOG = "server.log"
_TRIES = 5
_START_SECONDS = 30
_STOP_SECONDS = 30

# Ends the server with the process that asked for it, however that one ends. The wish does not
# outlive a change of user, so that it comes after it; and nothing can be imported then.
_FOLLOW = """\
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[1]))
if sys.platform == "linux":
    libc.prctl(1, signal.SIGQUIT)
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True, kw_only=True)
class Throwaway:
    """A running server.

    Attributes:
        host: 127.0.0.1.
        port: Its port.
        user: The superuser.
        password: The superuser's.
        programs: What it was made with.
    """

    host: str
    port: int
    user: str
    password: str
    programs: Binaries

    def url(self, *, user: str, database: str) -> str:
        """Give the libpq URL of a database on it, for a user that has the same password."""
        login = f"{quote(user, safe='')}:{quote(self.password, safe='')}"
        place = f"{self.host}:{self.port}/{quote(database, safe='')}"
        return f"postgresql://{login}@{place}?sslmode=disable"


@contextmanager
def throwaway(
    *,
    binaries: str = "",
    password: str = "",
    settings: tuple[str, ...] = (),
    parent: str | None = None,
) -> Iterator[Throwaway]:
    """Run an empty server with pgvector at hand, and take it away.

    Args:
        binaries: Folder with the programs of PostgreSQL 17; empty uses the machine's or fetches.
        password: Of the superuser; empty makes one up.
        settings: More settings, "name=value".
        parent: The folder in which its own is made; None takes the usual place.

    Raises:
        ClusterError: No server could be made; nothing is left of it.
    """
    with leftovers.folder("groundwork-throwaway-", parent=parent) as folder:
        folder.path.chmod(0o755)  # the server runs as another user where we are root
        data = folder.path / "data"
        account = server_account(data)
        programs = locate(configured=binaries, account=account)
        password = password or secrets.token_urlsafe()
        cluster = Cluster(data=data, owner="groundwork/throwaway", account=account)
        cluster.make(programs, password, kept=False)
        place = _Place(data=data, account=account, programs=programs, lock=folder.lock)
        with _running(place, password, settings) as port:
            yield Throwaway(
                host=HOST, port=port, user=SUPERUSER, password=password, programs=programs
            )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a server runs, as whom, and with what.

    Attributes:
        data: Its data directory.
        account: Its user.
        programs: PostgreSQL's.
        lock: Descriptor that keeps the folder for as long as the server has it.
    """

    data: Path
    account: Account
    programs: Binaries
    lock: int


@contextmanager
def _running(place: _Place, password: str, settings: tuple[str, ...]) -> Iterator[int]:
    server, port = _start(place, password, settings)
    try:
        yield port
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        server.wait(_STOP_SECONDS)


def _start(
    place: _Place, password: str, settings: tuple[str, ...]
) -> tuple[subprocess.Popen[bytes], int]:
    last: Exception | None = None
    for _ in range(_TRIES):  # others start at once and may take the same port
        port = find_free()
        server = _launch(place, (f"port={port}", *settings))
        try:
            probe.wait(
                host=HOST, port=port, user=SUPERUSER, password=password, seconds=_START_SECONDS
            )
        except probe.ProbeError as exc:
            server.kill()
            server.wait()
            last = exc
        else:
            if server.poll() is None:
                return server, port
    msg = f"No throwaway server could be started: {last or 'every port was taken'}"
    raise ClusterError(msg)


def _launch(place: _Place, settings: tuple[str, ...]) -> subprocess.Popen[bytes]:
    # Nothing is worth a wait for the disk: a crash loses it all anyway.
    careless = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
    reach = (f"listen_addresses={HOST}", "unix_socket_directories=")
    chosen = [word for each in (*reach, *careless, *settings) for word in ("-c", each)]
    command = [place.programs.tool("postgres"), "-D", str(place.data), *chosen]
    with _log(place.data) as log:
        return subprocess.Popen(
            command_that_ends_with_us(place.account, command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            pass_fds=(place.lock,),
        )


def command_that_ends_with_us(account: Account, command: list[str]) -> list[str]:
    """Give the command that runs `command` as an account, and ends with the thread that starts it.

    Args:
        account: Its user.
        command: A program by its path, and its arguments.
    """
    return [sys.executable, "-ISc", _FOLLOW, str(account.uid), str(account.gid), *command]


def _log(data: Path) -> IO[bytes]:
    """Open a new log in a data directory, whose account may have put a link there."""
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(FileNotFoundError):  # of a try before
            os.unlink(_LOG, dir_fd=folder)
        return os.fdopen(owned_files.create(folder, _LOG), "wb")
    finally:
        os.close(folder)
