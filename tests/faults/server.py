"""PostgreSQL servers that faults happen to: killed, started again, filled up, failed over."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from infra.servers import probe
from infra.servers.local.account import server_account
from infra.servers.local.binaries import locate
from infra.servers.local.cluster import SUPERUSER, Cluster
from infra.servers.ports import HOST, find_free
from infra.servers.throwaway import command_that_ends_with_us
from tests.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.servers.local.account import Account

__all__ = ["MIGRATOR", "PASSWORD", "Disk", "Server", "standby"]

PASSWORD = "faults-%-@-/"  # noqa: S105 - of a throwaway server; characters that URLs stumble on
MIGRATOR = "migrator"

_PREFIX = "groundwork-faults-"
_DISK_BYTES = 400 << 20
_START_SECONDS = 60
_STOP_SECONDS = 60
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "60",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "wal_keep_size": "0",
    "track_activity_query_size": "16384",
    "autovacuum": "off",  # its locks would be taken for ours
    "fsync": "off",  # the machine goes on, so that nothing that was written gets lost
    "full_page_writes": "off",
    "wal_compression": "on",
    "hot_standby": "on",
}


class Disk:
    """A small disk in memory, which can be filled up.

    Attributes:
        folder: Where it is.
        small: Whether it is one; where it could not be mounted, a folder of the machine's.
    """

    def __init__(self, folder: Path) -> None:
        """Mount it."""
        self.folder = folder
        self._filler = folder / "filler"
        options = f"size={_DISK_BYTES},mode=0755"
        mount = ["mount", "-t", "tmpfs", "-o", options, "groundwork-faults", str(folder)]
        self.small = (
            os.geteuid() == 0
            and shutil.which("mount") is not None
            and subprocess.run(mount, check=False, capture_output=True).returncode == 0
        )

    def fill(self, *, left: int = 0) -> None:
        """Leave so many bytes of it."""
        size = shutil.disk_usage(self.folder).free - left
        with self._filler.open("wb") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(size, 1))

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it."""
        if self.small:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """A server with a data directory of its own.

    Attributes:
        data: Its data directory.
        port: Where it listens, on 127.0.0.1.
        disk: What its data is on.
    """

    def __init__(self, data: Path, disk: Disk, settings: dict[str, str] | None = None) -> None:
        """Know its place; nothing is made yet."""
        self.data = data
        self.disk = disk
        self.port = find_free()
        self.settings = {**_SETTINGS, **(settings or {})}
        self._account: Account = server_account(data)
        self._programs = locate(configured="", account=self._account)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def make(cls, settings: dict[str, str] | None = None) -> Iterator[Server]:
        """Make an empty one with the role `migrator`, and take it away."""
        parent = _make_folder()
        disk = Disk(parent)
        server = cls(parent / "data", disk, settings)
        try:
            server.fill_in()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
            disk.remove()

    def fill_in(self) -> None:
        """Make its data directory, and start."""
        cluster = Cluster(data=self.data, owner="groundwork/faults", account=self._account)
        cluster.make(self._programs, PASSWORD, kept=False)
        self.start()
        self.execute(
            f"CREATE ROLE {MIGRATOR} LOGIN PASSWORD '{PASSWORD}'",
            "GRANT pg_read_all_settings TO migrator",
        )

    def start(self) -> None:
        """Start it, after a crash as well, and wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            settings = {**self.settings, "port": str(self.port)}
            chosen = [
                word for name, value in settings.items() for word in ("-c", f"{name}={value}")
            ]
            postgres = [self._programs.tool("postgres"), "-D", str(self.data), *chosen]
            with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
                self._process = subprocess.Popen(
                    command_that_ends_with_us(self._account, postgres),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                    umask=0o077,
                )
            try:
                self.wait()
            except probe.ProbeError:
                self.stop(signal.SIGQUIT)
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            probe.ProbeError: It does not, within a minute.
        """
        probe.wait(
            host=HOST, port=self.port, user=SUPERUSER, password=PASSWORD, seconds=_START_SECONDS
        )

    @property
    def running(self) -> bool:
        """Whether its postmaster runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self, how: signal.Signals) -> None:
        """Stop it: SIGQUIT at once, as a crash; SIGINT in order."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(how)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def url(self, database: str, *, user: str = MIGRATOR, port: int = 0) -> str:
        """Give the libpq URL of a database, by another port if one is given."""
        password = "faults-%25-%40-%2F"  # noqa: S105 - as PASSWORD, quoted
        return f"postgresql://{user}:{password}@{HOST}:{port or self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""

        async def run(connection: asyncpg.Connection) -> None:
            for statement in statements:
                await connection.execute(statement)

        asyncio.run(self._connected(run, database))

    def fetch(self, query: str, *values: object, database: str = "postgres") -> list[Any]:
        """Give the rows of a query by the superuser."""

        async def run(connection: asyncpg.Connection) -> list[Any]:
            return list(await connection.fetch(query, *values))

        rows: list[Any] = asyncio.run(self._connected(run, database))
        return rows

    async def _connected(self, action: Any, database: str) -> Any:
        connection = await asyncpg.connect(self.url(database, user=SUPERUSER), timeout=20)
        try:
            return await action(connection)
        finally:
            await connection.close(timeout=5)

    def make_database(self, name: str, *, template: str = "template0") -> None:
        """Make a database that belongs to the migrator."""
        self.execute(
            f'CREATE DATABASE "{name}" OWNER {MIGRATOR} TEMPLATE "{template}" STRATEGY file_copy'
        )

    def drop_database(self, name: str) -> None:
        """Drop a database with whoever is connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _make_folder() -> Path:
    """Make a folder for one server, and remove those of processes that were killed."""
    place = Path(memory_folder() or tempfile.gettempdir())
    for left in place.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            subprocess.run(["umount", "--lazy", str(left)], check=False, capture_output=True)
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
    made.chmod(0o755)
    return made


@contextmanager
def standby(primary: Server) -> Iterator[Server]:
    """Run a standby of a server, which commits on both; made of a copy while it is down."""
    data = primary.data.with_name("standby")
    primary.stop(signal.SIGINT)
    shutil.copytree(primary.data, data, copy_function=_copy)
    _take_over(primary.data, data)
    other = Server(data, primary.disk)
    secret = PASSWORD.replace("'", "''")
    other.settings["primary_conninfo"] = (
        f"host={HOST} port={primary.port} user={SUPERUSER} password='{secret}'"
    )
    (data / "standby.signal").touch()
    shutil.chown(data / "standby.signal", *_owner(primary.data))
    former = dict(primary.settings)
    primary.settings["synchronous_standby_names"] = "*"
    primary.start()
    other.start()
    try:
        yield other
    finally:
        other.stop(signal.SIGQUIT)
        primary.settings = former
        shutil.rmtree(data, ignore_errors=True)


def _copy(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    return target


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def _take_over(source: Path, target: Path) -> None:
    """Give a copy the owner and the mode of what it is a copy of."""
    uid, gid = _owner(source)
    for path in (target, *target.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)
    target.chmod(0o700)
