"""A PostgreSQL cluster in a data directory of this machine: made, started, stopped, removed.

Nothing here knows of Pulumi; tests and tools use it as it is.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
import shutil
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.servers import ports
from infra.servers.errors import ClusterError
from infra.servers.local import configuration, owned_files, tool
from infra.servers.local import mark as mark_file
from infra.servers.local.binaries import MAJOR, Binaries
from infra.servers.local.mark import Mark
from infra.servers.local.postmaster import Postmaster
from infra.servers.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.servers.local.account import Account
    from infra.servers.local.configuration import Configuration

__all__ = ["FOLDER", "SUPERUSER", "Cluster"]

# The folder above the data directories that are placed by default; removed with the last one.
FOLDER = "groundwork"
SUPERUSER = "postgres"

_LOG = "server.log"
_LOG_LINES = 5
# After a crash under load, there may be much to replay; one that fails is told of at once.
_START_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A data directory and what is needed to work on it.

    Attributes:
        data: The data directory.
        owner: Who made it, "project/stack": another owner's directory is never touched.
        account: The user that the server runs as.
        claim: What the stack's state knows the cluster by; "" where it has none.
        former_owner: Another name that the owner may have in the directory: a stack that was
            renamed has its former one there until its next `up`.
    """

    data: Path
    owner: str
    account: Account
    claim: str = ""
    former_owner: str = ""

    # -- what is there ----------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the data directory holds a cluster of this owner.

        Raises:
            ClusterError: Something else is there: a foreign or older cluster, other files.
        """
        try:
            version = owned_files.read_text(self.data, "PG_VERSION").strip()
        except (FileNotFoundError, NotADirectoryError):
            self._refuse_foreign_files()
            return False
        except OSError as exc:
            raise self._unreadable(exc) from exc
        if version != str(MAJOR):
            msg = (
                f"The data directory {self.data} belongs to PostgreSQL {version}, and this is "
                f"PostgreSQL {MAJOR}. Nothing was changed. Set {spelled('dataDir')} to another "
                "folder, or move the data over with pg_upgrade or pg_dump."
            )
            raise ClusterError(msg)
        mark = self.mark
        if mark.belongs_to(self.owner, self.former_owner or self.owner, claim=self.claim):
            return True
        if self.claim and mark.claim:
            raise ClusterError(self._taken_over(mark))
        msg = (
            f"The data directory {self.data} holds a cluster that {self.owner} did not make "
            f"({mark.owner or 'no groundwork stack did'}). Nothing was changed. "
            f"Set {spelled('dataDir')} to another folder."
        )
        raise ClusterError(msg)

    def _taken_over(self, mark: Mark) -> str:
        note = shlex.quote(str(self.data / mark_file.FILE))
        return (
            f"The cluster in {self.data} is the stack {mark.owner}'s by now, which came to it"
            " without a state of its own and gave the superuser another password. Nothing was"
            f" changed. Where it is to stay with {mark.owner}, take it out of this stack's state"
            " with `pulumi state delete`. Where it belongs to this stack, give it back, and run"
            " the same command again:\n"
            f"  sed -i 's/{mark.claim}/{self.claim}/' {note}"
        )

    def identifier(self) -> str | None:
        """Give the cluster's system identifier, None where there is no cluster of this owner.

        Raises:
            ClusterError: As `exists`.
        """
        if not self.exists:
            return None
        try:
            # It is the first field of the control file (pg_control.h), in native byte order.
            control = owned_files.read_bytes(self.data, "global/pg_control")
            return str(struct.unpack("=Q", control[:8])[0])
        except (OSError, struct.error) as exc:
            msg = f"The cluster in {self.data} has no readable global/pg_control; it was kept."
            raise ClusterError(msg) from exc

    def peek(self) -> str | None:
        """Give the identifier as `identifier` does, and None also where something else is there."""
        with suppress(ClusterError):
            return self.identifier()
        return None

    def _refuse_foreign_files(self) -> None:
        if not os.path.lexists(self.data):
            return
        try:
            if self.data.is_dir() and not any(self.data.iterdir()):
                return
        except OSError as exc:
            raise self._unreadable(exc) from exc
        msg = (
            f"{self.data} is not empty and not a PostgreSQL data directory. Nothing was changed. "
            f"Set {spelled('dataDir')} to another folder."
        )
        raise ClusterError(msg)

    @property
    def mark(self) -> Mark:
        """What is noted in the data directory."""
        return Mark.read(self.data)

    @property
    def postmaster(self) -> Postmaster:
        """The server of the data directory, whether it runs or not."""
        return Postmaster(data=self.data)

    def log_tail(self, start: int = 0) -> str:
        """Give the last lines of the server's log, after its first `start` bytes."""
        try:
            text = owned_files.read_bytes(self.data, _LOG)[start:].decode(errors="replace")
        except OSError:
            return "(no log was written)"
        return " | ".join(text.strip().splitlines()[-_LOG_LINES:]) or "(nothing)"

    def refuse_taken_port(self, port: int) -> None:
        """Raise a `ClusterError` where something else listens on 127.0.0.1:`port`."""
        if not ports.is_free(port):
            msg = (
                f"Port {port} on {HOST} is taken by another program, so that the server in "
                f"{self.data} was not started; its data is untouched. End that program, or set "
                f"{spelled('port')} to another port (0 takes a free one)."
            )
            raise ClusterError(msg)

    # -- making and removing ------------------------------------------------------------

    def make(self, binaries: Binaries, password: str, *, kept: bool = True) -> None:
        """Run initdb aside and rename the finished directory into place.

        Args:
            binaries: The programs to make it with.
            password: Of the superuser `postgres`.
            kept: Whether it has to survive a loss of power; initdb waits a second for the disk.

        Raises:
            ClusterError: initdb failed (a full disk, a missing permission); what it had
                written is removed again, and what stood there before is untouched.
        """
        with self._locked():
            if self.exists:
                return
            self._remove_leftovers()
            # Under a name of its own: an initdb whose run was killed may go on, and then removes
            # what it takes for its own.
            aside = self.data.with_name(f"{self.data.name}.new-{secrets.token_hex(4)}")
            try:
                self._initdb(binaries, aside, password, kept=kept)
                aside.rename(self.data)
                owned_files.sync(self.data.parent)
            except OSError as exc:
                raise self._denied(exc) from exc
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Remove what runs that were killed have left; the lock is ours."""
        left = re.compile(re.escape(self.data.name) + r"\.new-[0-9a-f]{8}(\.pw)?")
        for path in self.data.parent.iterdir():
            if left.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _initdb(self, binaries: Binaries, aside: Path, password: str, *, kept: bool) -> None:
        owned_files.make_folder(aside, mode=0o700, owner=self.account)
        # initdb wants an empty folder, so that the password waits beside it; a file, since
        # a command line can be read by everybody on the machine.
        secret = aside.with_name(aside.name + ".pw")
        try:
            self._write_secret(secret, password)
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
                *([] if kept else ["--no-sync"]),
                doing=f"make a cluster in {self.data}",
            )
        finally:
            secret.unlink(missing_ok=True)
        write = owned_files.write_text
        write(aside, mark_file.FILE, Mark(owner=self.owner, claim=self.claim).text())
        main = owned_files.read_text(aside, configuration.MAIN, errors="surrogateescape")
        write(aside, configuration.MAIN, configuration.included(main))
        write(aside, configuration.FILE, "")

    def _write_secret(self, path: Path, text: str) -> None:
        """Write a line that the account alone can read, where no file or link stands."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            if self.account.switch:
                os.fchown(descriptor, self.account.uid, self.account.gid)
            file.write(f"{text}\n")

    def remove(self) -> None:
        """Remove the data directory, once the server is down.

        Raises:
            ClusterError: The server still runs, or a file could not be removed.
        """
        if not self.exists:
            return
        if self.postmaster.pid() is not None:
            msg = f"The server in {self.data} still runs; its data directory was kept."
            raise ClusterError(msg)
        try:
            shutil.rmtree(self.data)
        except OSError as exc:
            raise self._denied(exc) from exc
        if self.data.parent.name == FOLDER:
            with suppress(OSError):  # another stack's cluster is in there
                self.data.parent.rmdir()

    def note(self, text: Mark) -> None:
        """Note in the data directory what is in the cluster."""
        self._write(mark_file.FILE, text.text())

    # -- running ------------------------------------------------------------------------

    def configure(self, wanted: Configuration) -> None:
        """Write what the server is to read at its next start or reload.

        Nothing else in the data directory has a later word on it: the include comes last in
        postgresql.conf, and of a server that is down, what ALTER SYSTEM left is taken away.

        Raises:
            ClusterError: A parameter that can't be set, or a file that can't be written.
        """
        text = wanted.render()
        try:
            before = self._read(configuration.MAIN)
            included = configuration.included(before)
            left = ""
            if self.postmaster.pid() is None and wanted.altered(self.data):
                left = self._read(configuration.AUTO)
        except OSError as exc:
            raise self._unreadable(exc) from exc
        if included != before:
            self._write(configuration.MAIN, included)
        if left:
            self._write(configuration.AUTO, configuration.without(left, wanted.settings()))
        self._write(configuration.FILE, text)

    def start(self, binaries: Binaries, wanted: Configuration) -> None:
        """Start the server detached, and wait until it is up.

        An unclean stop before is recovered from, as PostgreSQL does by itself.

        Raises:
            ClusterError: The port is taken, a parameter can't be set, or the server did not
                come up; the message has the last lines of its log.
        """
        if self.postmaster.pid() is not None:
            return
        self.postmaster.clear()
        self.refuse_taken_port(wanted.port)
        self.configure(wanted)
        log = self.data / _LOG
        before = log.lstat().st_size if os.path.lexists(log) else 0
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
            msg = f"{exc} Its data was kept. The log says: {self.log_tail(before)}"
            raise ClusterError(msg) from exc

    def stop(self) -> None:
        """Stop the server: first ending sessions in order, then at once if that takes too long.

        Raises:
            ClusterError: It still runs after both.
        """
        self.postmaster.stop()

    def set_password(self, binaries: Binaries, password: str) -> None:
        """Set the superuser's password while the server is down (nobody can log in then).

        Raises:
            ClusterError: The server runs, or the single-user mode failed.
        """
        self.postmaster.clear()
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
            self.refuse_unreachable(parent)
            yield
        finally:
            os.close(descriptor)

    def refuse_unreachable(self, parent: Path) -> None:
        """Raise a `ClusterError` where the server's account may not enter a folder."""
        if not self.account.can_enter(parent):
            msg = (
                f"The server runs as the user '{self.account.name}', who may not enter {parent}. "
                f"Nothing was made. Set {spelled('dataDir')} to a folder that this user can reach."
            )
            raise ClusterError(msg)

    def _read(self, name: str) -> str:
        return owned_files.read_text(self.data, name, errors="surrogateescape")

    def _write(self, name: str, text: str) -> None:
        try:
            owned_files.write_text(self.data, name, text)
        except OSError as exc:
            raise self._denied(exc) from exc

    def _unreadable(self, exc: OSError) -> ClusterError:
        where = exc.filename or self.data
        return ClusterError(
            f"Could not read the data directory {self.data}: {where}: {exc.strerror}. Nothing was"
            " changed. Run this as the user that the directory belongs to, or as root."
        )

    def _denied(self, exc: OSError) -> ClusterError:
        where = exc.filename or self.data
        return ClusterError(
            f"Could not write the data directory {self.data}: {where}: {exc.strerror}. "
            "What was there is untouched."
            f" Set {spelled('dataDir')} to a folder that can be written."
        )


def _make_folders(folder: Path) -> None:
    """Make `folder` and what is missing above it, passable whatever the umask says."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    with suppress(FileExistsError):  # by another run just now
        owned_files.make_folder(folder, mode=0o755)
