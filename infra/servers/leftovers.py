"""Folders for a moment, which the next one removes where whoever made them was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Folder", "folder"]

_LOCK = "lock"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of our own.

    Attributes:
        path: Where it is.
        lock: Descriptor that keeps others from removing it, for as long as a process has it open;
            a process that works in it and may outlive us should inherit it.
    """

    path: Path
    lock: int


@contextmanager
def folder(prefix: str, *, parent: str | None = None) -> Iterator[Folder]:
    """Make a folder that only this user may enter, and take it away.

    First those of the same prefix are removed that nobody holds any more. A folder of another
    user, or without a lock in it, is left alone.

    Args:
        prefix: What its name begins with.
        parent: Where; None takes the usual place.
    """
    place = Path(parent or tempfile.gettempdir())
    _remove_left(place, prefix)
    made = _make(place, prefix)
    try:
        yield made
    finally:
        shutil.rmtree(made.path, ignore_errors=True)
        os.close(made.lock)


def _make(place: Path, prefix: str) -> Folder:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Somebody may have taken it for a left one before it was locked.
        if _is_at(lock, path / _LOCK):
            return Folder(path=path, lock=lock)
        os.close(lock)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove_left(place: Path, prefix: str) -> None:
    with suppress(OSError):
        for path in place.iterdir():
            if path.name.startswith(prefix):
                with suppress(OSError):
                    _remove_if_left(path)


def _remove_if_left(path: Path) -> None:
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        return
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while somebody has it
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
