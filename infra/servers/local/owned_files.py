"""Reads and writes files of a folder that another account can change meanwhile, as root safely.

The server's account, and so each superuser of a database (COPY ... TO PROGRAM), can put a link
into the data directory under any name. Root follows none: files are made new (O_EXCL) below the
opened folder, handed over by their descriptors, and renamed into place; what is read has to be
something that the folder's owner could read too.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from infra.servers.local import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.servers.local.account import Account

__all__ = ["create", "make_folder", "read_bytes", "read_text", "sync", "write_text"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK, the reader of a FIFO would wait for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


def read_bytes(folder: Path, name: str) -> bytes:
    """Read a file as the owner of its folder would.

    Args:
        folder: The folder; its owner counts.
        name: Of the file, with a slash where it is further down.

    Raises:
        OSError: It is not there, or nothing that the owner can read.
    """
    with _opened(folder) as (descriptor, owner):
        try:
            return _read(descriptor, owner, name)
        except OSError as exc:
            if owner is None or exc.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
        # A link, perhaps an administrator's: what it leads to is read with the owner's rights.
        return _read_as(owner, folder / name)


def read_text(folder: Path, name: str, *, errors: str = "replace") -> str:
    """Read a file of UTF-8 as `read_bytes` does."""
    return read_bytes(folder, name).decode(errors=errors)


def write_text(folder: Path, name: str, text: str) -> None:
    """Replace a file as a whole; a run that is killed meanwhile leaves the one or the other.

    Args:
        folder: The folder; its owner gets the file.
        name: Of the file; what has this name now, a link for example, is replaced itself.
        text: Its new content.

    Raises:
        OSError: It could not be written; what was there is unchanged.
    """
    aside = f"{name}.new"
    with _opened(folder) as (descriptor, _):
        with suppress(FileNotFoundError):  # of a run that was killed, or a link in its place
            os.unlink(aside, dir_fd=descriptor)
        made = create(descriptor, aside)
        with os.fdopen(made, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(made)
        os.rename(aside, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        os.fsync(descriptor)


def create(folder: int, name: str) -> int:
    """Make a new file that belongs to the owner of its folder, and open it for writing.

    Args:
        folder: Descriptor of the folder.
        name: Of the file.

    Raises:
        OSError: There is something of that name, a link for example.
    """
    owner = os.fstat(folder)
    made = os.open(name, _NEW, 0o600, dir_fd=folder)
    try:
        os.fchmod(made, 0o600)  # whatever the umask says
        if os.geteuid() == 0:
            os.fchown(made, owner.st_uid, owner.st_gid)
    except OSError:
        os.close(made)
        raise
    return made


def make_folder(path: Path, *, mode: int, owner: Account | None = None) -> None:
    """Make a folder.

    Args:
        path: Where; the folder above is there.
        mode: Its permissions, whatever the umask says.
        owner: Who gets it where root makes it; None for who makes it.

    Raises:
        OSError: There is something else of that name, or another account has replaced the folder
            as soon as it was made.
    """
    path.mkdir(mode=0o700)
    descriptor = os.open(path, _FOLDER | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid() or any(os.scandir(descriptor)):
            raise PermissionError(errno.EPERM, "another account has replaced it", str(path))
        os.fchmod(descriptor, mode)
        if owner is not None and owner.switch:
            os.fchown(descriptor, owner.uid, owner.gid)
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Have the names in a folder survive a loss of power."""
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[int, int | None]]:
    """Open a folder; gives its descriptor and, where that is not the present user, its owner."""
    descriptor = os.open(folder, _FOLDER)
    try:
        owner = os.fstat(descriptor).st_uid
        yield descriptor, owner if os.geteuid() == 0 and owner != 0 else None
    finally:
        os.close(descriptor)


def _read(folder: int, owner: int | None, name: str) -> bytes:
    first, slash, rest = name.partition("/")
    # Who reads their own files may have put the links there themselves.
    keep = os.O_NOFOLLOW if owner is not None else 0
    if slash:
        below = os.open(first, _FOLDER | keep, dir_fd=folder)
        try:
            return _read(below, owner, rest)
        finally:
            os.close(below)
    descriptor = os.open(first, (_READ & ~os.O_NOFOLLOW) | keep, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", name)
        # A hard link to another user's file has that user as its owner.
        if owner not in (None, found.st_uid) and not found.st_mode & stat.S_IROTH:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return file.read()


def _read_as(uid: int, path: Path) -> bytes:
    try:
        owner = account.of(pwd.getpwuid(uid))
    except KeyError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
    done = account.run(owner, "cat", "--", str(path))
    if done.returncode:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return done.stdout
