"""A PostgreSQL cluster in a data directory of this machine: made, started, stopped, removed.

Nothing here knows of Pulumi; tests and tools use it as it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import struct
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.servers import ports, tool
from infra.servers.binaries import MAJOR, Binaries
from infra.servers.errors import ClusterError
from infra.servers.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.servers.account import Account

__all__ = ["FOLDER", "SUPERUSER", "Cluster"]

# The folder above the data directories that are placed by default; removed with the last one.
FOLDER = "groundwork"
SUPERUSER = "postgres"

_MARK = "groundwork.json"
_CONF = "groundwork.conf"
_LOG = "server.log"
# Of postmaster.pid, as PostgreSQL's miscadmin.h lays it out; counted from 0.
_PID_LINE = 0
_PORT_LINE = 3
_START_SECONDS = 60
_STOP_SECONDS = 60
_REAP_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A data directory and what is needed to work on it.

    Attributes:
        data: The data directory.
        owner: Who made it, "project/stack": another owner's directory is never touched.
        account: The user that the server runs as.
    """

    data: Path
    owner: str
    account: Account

    # -- what is there ----------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the data directory holds a cluster of this owner.

        Raises:
            ClusterError: Something else is there: a foreign or older cluster, other files.
        """
        try:
            version = (self.data / "PG_VERSION").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            self._refuse_foreign_files()
            return False
        except OSError as exc:
            raise self._denied(exc) from exc
        if version != str(MAJOR):
            msg = (
                f"The data directory {self.data} belongs to PostgreSQL {version}, and this is "
                f"PostgreSQL {MAJOR}. Nothing was changed. Set groundwork:dataDir to another "
                "folder, or move the data over with pg_upgrade or pg_dump."
            )
            raise ClusterError(msg)
        if self._owner_on_disk() != self.owner:
            msg = (
                f"The data directory {self.data} holds a cluster that {self.owner} did not make "
                f"({self._owner_on_disk() or 'no groundwork stack did'}). Nothing was changed. "
                "Set groundwork:dataDir to another folder."
            )
            raise ClusterError(msg)
        return True

    def identifier(self) -> str | None:
        """Give the cluster's system identifier, None where there is no cluster of this owner.

        Raises:
            ClusterError: As `exists`.
        """
        if not self.exists:
            return None
        try:
            # It is the first field of the control file (pg_control.h), in native byte order.
            return str(struct.unpack("=Q", (self.data / "global/pg_control").read_bytes()[:8])[0])
        except (OSError, struct.error) as exc:
            msg = f"The cluster in {self.data} has no readable global/pg_control; it was kept."
            raise ClusterError(msg) from exc

    def _refuse_foreign_files(self) -> None:
        if not os.path.lexists(self.data):
            return
        if self.data.is_dir() and not any(self.data.iterdir()):
            return
        msg = (
            f"{self.data} is not empty and not a PostgreSQL data directory. Nothing was changed. "
            "Set groundwork:dataDir to another folder."
        )
        raise ClusterError(msg)

    def _owner_on_disk(self) -> str:
        try:
            return str(json.loads((self.data / _MARK).read_text())["owner"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def pid(self) -> int | None:
        """Give the process id of the running server, None where none runs."""
        pid = self._noted(_PID_LINE)
        return pid if pid is not None and self._is_alive(pid) else None

    def _noted(self, line: int) -> int | None:
        """Give a number from the lock file of a server that runs, or has run until it died."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n")[line])
        except (OSError, ValueError, IndexError):
            return None  # none, or one on its way up or down

    def _is_alive(self, pid: int) -> bool:
        """Tell our server from a stranger that got its number after a crash or a reboot."""
        try:
            os.kill(pid, 0)
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.data.resolve()
        except ProcessLookupError:
            return False
        except OSError:
            # Dead and not reaped yet; or no procfs on this system: then believe the file.
            return not Path("/proc/self").exists()

    def running_port(self) -> int | None:
        """Give the port of the running server, None where none runs."""
        return None if self.pid() is None else self._noted(_PORT_LINE)

    def refuse_taken_port(self, port: int) -> None:
        """Raise a `ClusterError` where something else listens on 127.0.0.1:`port`."""
        if not ports.is_free(port):
            msg = (
                f"Port {port} on {HOST} is taken by another program, so that the server in "
                f"{self.data} was not started; its data is untouched. End that program, or set "
                "groundwork:port to another port (0 takes a free one)."
            )
            raise ClusterError(msg)

    # -- making and removing ------------------------------------------------------------

    def make(self, binaries: Binaries, password: str) -> None:
        """Run initdb aside and rename the finished directory into place.

        Args:
            binaries: The programs to make it with.
            password: Of the superuser `postgres`.

        Raises:
            ClusterError: initdb failed (a full disk, a missing permission); what it had
                written is removed again, and what stood there before is untouched.
        """
        with self._locked():
            if self.exists:
                return
            aside = self.data.with_name(self.data.name + ".new")
            shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed; the lock is ours
            try:
                self._initdb(binaries, aside, password)
                aside.rename(self.data)
            except OSError as exc:
                raise self._denied(exc) from exc
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def _initdb(self, binaries: Binaries, aside: Path, password: str) -> None:
        aside.mkdir(mode=0o700)
        self.account.own(aside)
        # initdb wants an empty folder, so that the password waits beside it; a file, since
        # a command line can be read by everybody on the machine.
        secret = aside.with_name(aside.name + ".pw")
        secret.unlink(missing_ok=True)
        try:
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(password + "\n")
            self.account.own(secret)
            tool.run(
                self.account,
                binaries.tool("initdb"),
                f"--pgdata={aside}",
                f"--username={SUPERUSER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--data-checksums",
                "--encoding=UTF8",
                # The built-in provider sorts alike on every machine and after every upgrade
                # of libc; an index never goes stale under it.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                doing=f"make a cluster in {self.data}",
            )
        finally:
            secret.unlink(missing_ok=True)
        self._write(aside / _MARK, json.dumps({"owner": self.owner}) + "\n")
        with (aside / "postgresql.conf").open("a") as conf:
            conf.write(f"\ninclude '{_CONF}'\n")
        self._write(aside / _CONF, "")

    def remove(self) -> None:
        """Remove the data directory, once the server is down.

        Raises:
            ClusterError: The server still runs, or a file could not be removed.
        """
        if not self.exists:
            return
        if self.pid() is not None:
            msg = f"The server in {self.data} still runs; its data directory was kept."
            raise ClusterError(msg)
        try:
            shutil.rmtree(self.data)
        except OSError as exc:
            raise self._denied(exc) from exc
        if self.data.parent.name == FOLDER:
            with suppress(OSError):  # another stack's cluster is in there
                self.data.parent.rmdir()

    # -- running ------------------------------------------------------------------------

    def start(self, binaries: Binaries, port: int) -> None:
        """Start the server detached on 127.0.0.1:`port` and wait until it is up.

        An unclean stop before is recovered from, as PostgreSQL does by itself.

        Raises:
            ClusterError: The port is taken, or the server did not come up; the message has
                the last lines of its log.
        """
        if self.pid() is not None:
            return
        self._bury()
        self.refuse_taken_port(port)
        self._write(self.data / _CONF, _configuration(port))
        log = self.data / _LOG
        before = log.stat().st_size if log.exists() else 0
        try:
            tool.run(
                self.account,
                binaries.tool("pg_ctl"),
                "start",
                f"--pgdata={self.data}",
                f"--log={log}",
                "--wait",
                f"--timeout={_START_SECONDS}",
                "--silent",
                doing=f"start the server in {self.data}",
            )
        except ClusterError as exc:
            msg = f"{exc} Its data was kept. The log says: {_tail(log, before)}"
            raise ClusterError(msg) from exc

    def stop(self) -> None:
        """Stop the server: first ending sessions in order, then at once if that takes too long.

        Raises:
            ClusterError: It still runs after both.
        """
        pid = self.pid()
        if pid is None:
            return
        # SIGINT is 'fast', SIGQUIT is 'immediate' (recovery at the next start); asked by
        # signal, so that a server whose programs have been removed can be stopped too.
        for number in (signal.SIGINT, signal.SIGQUIT):
            os.kill(pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                if not self._is_alive(pid):
                    return
                time.sleep(0.05)
        msg = f"The server in {self.data} (process {pid}) did not stop; its data was kept."
        raise ClusterError(msg)

    def set_password(self, binaries: Binaries, password: str) -> None:
        """Set the superuser's password while the server is down (nobody can log in then).

        Raises:
            ClusterError: The server runs, or the single-user mode failed.
        """
        self._bury()
        quoted = password.replace("'", "''")
        # On standard input: neither a command line nor the server's log shows it.
        tool.run(
            self.account,
            binaries.tool("postgres"),
            "--single",
            "-D",
            str(self.data),
            "-c",
            "log_statement=none",
            "-c",
            "log_min_error_statement=panic",
            "-c",
            "log_min_duration_statement=-1",
            "postgres",
            stdin=f"ALTER ROLE {SUPERUSER} PASSWORD '{quoted}'\n",
            doing=f"set the superuser's password in {self.data}",
        )

    # -- helpers ------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder above against another run; the kernel frees it if we are killed."""
        parent = self.data.parent
        try:
            _make_folders(parent)
            descriptor = os.open(parent, os.O_RDONLY)
        except OSError as exc:
            raise self._denied(exc) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._refuse_unreachable(parent)
            yield
        finally:
            os.close(descriptor)

    def _refuse_unreachable(self, parent: Path) -> None:
        if not self.account.can_enter(parent):
            msg = (
                f"The server runs as the user '{self.account.name}', who may not enter {parent}. "
                "Nothing was made. Set groundwork:dataDir to a folder that this user can reach."
            )
            raise ClusterError(msg)

    def _bury(self) -> None:
        """Wait until a killed postmaster is reaped: until then PostgreSQL takes it for alive.

        A container without an init process never reaps; the lock file is then taken away,
        and PostgreSQL still checks by its shared memory that no backend is left.
        """
        deadline = time.monotonic() + _REAP_SECONDS
        while self._is_zombie():
            if time.monotonic() > deadline:
                (self.data / "postmaster.pid").unlink(missing_ok=True)
                return
            time.sleep(0.05)

    def _is_zombie(self) -> bool:
        try:
            # proc(5): the state follows the command, which stands in brackets.
            state = (
                Path(f"/proc/{self._noted(_PID_LINE)}/stat")
                .read_text()
                .rpartition(")")[2]
                .split()[0]
            )
        except (OSError, IndexError):
            return False
        return state == "Z"

    def _write(self, path: Path, text: str) -> None:
        try:
            path.write_text(text)
            path.chmod(0o600)
            self.account.own(path)
        except OSError as exc:
            raise self._denied(exc) from exc

    def _denied(self, exc: OSError) -> ClusterError:
        where = exc.filename or self.data
        return ClusterError(
            f"Could not write the data directory {self.data}: {where}: {exc.strerror}. "
            "What was there is untouched. Set groundwork:dataDir to a folder that can be written."
        )


def _configuration(port: int) -> str:
    return (
        "# Written at every start; what you put here is lost.\n"
        f"listen_addresses = '{HOST}'\n"
        f"port = {port}\n"
        # No socket: its path has a limit of 107 bytes, and one way in is enough.
        "unix_socket_directories = ''\n"
        "password_encryption = 'scram-sha-256'\n"
        # A backend whose client was killed ends within this time and frees its locks.
        "client_connection_check_interval = '5s'\n"
    )


def _make_folders(folder: Path) -> None:
    """Make `folder` and what is missing above it, passable whatever the umask says."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def _tail(log: Path, start: int, lines: int = 5) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return "(no log was written)"
    return " | ".join(text.strip().splitlines()[-lines:]) or "(nothing)"
