"""A small Debian with PostgreSQL 17 and pgvector, as an archive that an image is made of."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import cache, progress, run
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["archive", "digest"]

_SUITE = "trixie"
_PACKAGES = (
    "postgresql-17",
    "postgresql-17-pgvector",
    "gosu",
    "libnss-wrapper",  # a name for the account of `--user 1234`
    "xz-utils",  # init scripts may be compressed
    "zstd",
)
_FINISH = Path(__file__).parent / "image" / "finish.sh"
_ARCHIVE = "rootfs.tar.gz"
# Mounts and processes of its own: whatever ends it, nothing stays mounted or running.
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def archive() -> Path:
    """Give the archive, made within some minutes where this cache has none.

    Raises:
        ToolchainError: It can't be made here: no root, no debootstrap, no packages.
    """
    made = cache.make(f"rootfs-{digest()}", _build, doing="making a Debian with PostgreSQL 17")
    return made / _ARCHIVE


def digest() -> str:
    """Name what the archive is made of."""
    recipe = "\n".join((_SUITE, *_PACKAGES)).encode() + _FINISH.read_bytes()
    return hashlib.sha256(recipe).hexdigest()[:16]


def _build(place: Path) -> None:
    if os.geteuid() != 0:
        raise ToolchainError("an image can be made by root alone")
    if shutil.which("debootstrap", path=_path()) is None:
        raise ToolchainError("making an image needs debootstrap: apt-get install debootstrap")
    root = place / "root"
    with progress.step("making a Debian with PostgreSQL 17", about="about 2 minutes") as shown:
        _bootstrap(root, shown)
        shutil.copy(_FINISH, root / "finish.sh")
        run.stream([*_APART, "chroot", str(root), "/finish.sh"], on_line=shown.update, env=_env())
        (root / "finish.sh").unlink()
        shown.update("packing it")
        pack = ["tar", "--numeric-owner", "--sort=name", "--use-compress-program=gzip -1"]
        where = ["-C", str(root), "-cf", str(place / _ARCHIVE), "."]
        run.stream([*pack, *where], on_line=shown.update)
    shutil.rmtree(root)


def _bootstrap(root: Path, shown: progress.Progress) -> None:
    command = [*_APART, "debootstrap", "--variant=minbase", "--force-check-gpg"]
    wanted = [f"--include={','.join(_PACKAGES)}", _SUITE, str(root)]
    failures = []
    for mirror in _mirrors():
        try:
            run.stream([*command, *wanted, *mirror], on_line=shown.update, env=_env())
        except run.CommandError as exc:
            failures.append(_first_error(exc))
            shutil.rmtree(root, ignore_errors=True)
        else:
            return
    reasons = "; then: ".join(dict.fromkeys(failures))
    raise ToolchainError(f"debootstrap of {_SUITE} failed: {reasons}. Nothing of it was kept")


def _first_error(failure: run.CommandError) -> str:
    """Give the line that tells the cause, without addresses: they may hold a password."""
    lines = (
        [line for line in failure.tail if line.startswith("E: ")] or failure.tail or ["silently"]
    )
    return " ".join(word if "://" not in word else "(a mirror)" for word in lines[0].split())


def _mirrors() -> Iterator[tuple[str, ...]]:
    """Give the mirror that apt uses here, if this is a Debian, then debootstrap's own choice."""
    form = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    try:
        listed = run.output(command, timeout=30)
    except run.CommandError:
        listed = ""
    for line in listed.splitlines():
        source, _, address = line.rpartition(" ")
        if source == "Debian Debian main" and address.startswith(("http://", "https://", "file:/")):
            yield (address,)
            break
    yield ()


def _env() -> dict[str, str]:
    return os.environ | {"PATH": _path(), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def _path() -> str:
    """Give PATH with the folders of an administrator's tools, which a login may lack."""
    return os.pathsep.join([*os.get_exec_path(), "/usr/local/sbin", "/usr/sbin", "/sbin"])
