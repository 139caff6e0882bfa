"""The folder outside the checkout where what is expensive to get is kept.

Whatever lands here is made in a folder aside and renamed into place, so that what
has its final name is complete, however a run ended. One flock a name keeps two runs
from making the same thing twice; the kernel frees it when its holder dies.
"""

import fcntl
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from toolchain import progress
from toolchain.errors import ToolchainError

__all__ = ["folder", "lock", "make", "root", "temporary"]

_POLL = 0.2  # seconds between two tries for a lock that another run holds


def root() -> Path:
    """Give the cache folder, `${XDG_CACHE_HOME:-~/.cache}/groundwork`, made or not."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # the specification says that a relative one is to be ignored
        return base / "groundwork"
    try:
        return Path.home() / ".cache" / "groundwork"
    except RuntimeError:
        raise ToolchainError(
            "no cache folder: this user has no home folder. "
            "Set XDG_CACHE_HOME to a folder that can be written"
        ) from None


def folder(name: str) -> Path:
    """Give the place of the cached thing `name`, there or not."""
    return root() / name


def make(
    name: str,
    build: Callable[[Path], None],
    *,
    doing: str,
    ready: Callable[[Path], bool] = Path.is_dir,
    base: Path | None = None,
) -> Path:
    """Have `build` make the cached folder `name` unless it is there, and give its path.

    Args:
        name: the folder's name inside the cache; no separators.
        build: fills the empty folder that it is given. When it raises, nothing stays.
        doing: what is being done, in words for another run that has to wait for it.
        ready: tells whether a folder found is good; a bad one is replaced.
        base: another cache folder than `root`, for what other users have to reach.

    Raises:
        ToolchainError: when the cache can't be written.
    """
    place = (base or root()) / name
    if ready(place):
        return place
    with lock(name, doing=doing, base=base):
        if ready(place):  # another run made it while this one waited
            return place
        with temporary(name, base=base) as made:
            build(made)
            if os.path.lexists(place):
                place.rename(made.with_name("replaced"))
            made.rename(place)
    return place


@contextmanager
def temporary(name: str, *, base: Path | None = None) -> Iterator[Path]:
    """Give an empty folder in the cache that goes away afterwards.

    Also removes what killed runs left under the same name, so the caller has to hold a
    lock that is taken wherever the name is used.

    Raises:
        ToolchainError: when the cache can't be written, also by what is done in between.
    """
    import shutil  # noqa: PLC0415 - slow to import, and not needed when everything is there
    import tempfile  # noqa: PLC0415 - slow to import, and not needed when everything is there

    holder = _writable(".aside", base)
    _sweep(name, holder)
    try:
        outer = Path(tempfile.mkdtemp(dir=holder, prefix=f"{name}."))
        made = outer / "made"  # mkdtemp's own folder is closed to others; this one needn't be
        made.mkdir()
    except OSError as exc:
        raise _unwritable(holder, exc) from exc
    try:
        yield made
    except OSError as exc:  # a full disk, most of all
        raise ToolchainError(
            f"making {name} in {holder} failed: {exc}. None of it was kept"
        ) from exc
    finally:
        shutil.rmtree(outer, ignore_errors=True)


@contextmanager
def lock(name: str, *, doing: str, base: Path | None = None) -> Iterator[None]:
    """Hold the lock `name`; while another process has it, wait and say for whom.

    Args:
        name: names the lock; unrelated to a folder of the same name, except in `make`.
        doing: what this process is going to do, shown to those that wait for it.
        base: another cache folder than `root`.

    Raises:
        ToolchainError: when the cache can't be written.
    """
    path = _writable(".locks", base) / name
    try:
        handle = path.open("a+", encoding="utf-8")
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    with handle:
        _acquire(handle)
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n{doing}\n")
        handle.flush()
        yield


def _acquire(handle: io.TextIOWrapper) -> None:
    begin, shown = time.monotonic(), False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not shown and time.monotonic() - begin > _POLL:
                progress.say(f"waiting for {_holder(handle)}")
                shown = True
            time.sleep(_POLL)
        except OSError as exc:  # a network file system without locks
            raise _unwritable(Path(handle.name), exc) from exc
        else:
            return


def _holder(handle: io.TextIOWrapper) -> str:
    handle.seek(0)
    pid, _, doing = handle.read().strip().partition("\n")
    return f"process {pid}, which is {doing}" if doing else "another process"


def _sweep(name: str, holder: Path) -> None:
    import shutil  # noqa: PLC0415 - slow to import, and not needed when everything is there

    for left in holder.glob(f"{name}.*"):
        # mkdtemp adds characters without a dot, so 'a-1.0' spares what is of 'a-1.0.1'
        if "." not in left.name.removeprefix(f"{name}."):
            shutil.rmtree(left, ignore_errors=True)


def _writable(name: str, base: Path | None) -> Path:
    path = (base or root()) / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    return path


def _unwritable(path: Path, exc: OSError) -> ToolchainError:
    return ToolchainError(
        f"the cache folder can't be written: {path}: {exc.strerror or exc}. Nothing was made. "
        "Set XDG_CACHE_HOME to a folder that can be written, or mend that one"
    )
