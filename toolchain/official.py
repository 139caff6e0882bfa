"""The engine as Pulumi publishes it, from its download site or a mirror of it."""

import hashlib
import os
import platform
import sys
import tarfile
import zlib
from pathlib import Path

from toolchain import fetch, progress, versions
from toolchain.errors import ToolchainError

__all__ = ["URL_VARIABLE", "base", "download"]

URL_VARIABLE = "GROUNDWORK_ENGINE_URL"
"""The environment variable that names a mirror of the folder with the engine's releases."""

_OFFICIAL = "https://get.pulumi.com/releases/sdk"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def base() -> str:
    """Give the address of the folder with the engine's releases, without credentials."""
    return fetch.redact(_base())


def _base() -> str:
    return (os.environ.get(URL_VARIABLE) or _OFFICIAL).rstrip("/")


def download(place: Path, *, limit: float = fetch.LIMIT) -> None:
    """Fetch the pinned engine, compare its checksum, and unpack it into `place`/bin.

    Args:
        place: the empty folder to fill.
        limit: seconds until the first byte; a download that proceeds goes on for longer.

    Raises:
        ToolchainError: when it can't be had or isn't what was published.
    """
    version = versions.engine()
    name = _archive(version)
    archive = place / name
    label = f"fetching the Pulumi engine {version}"
    fetch.download(f"{_base()}/{name}", archive, label=label, limit=limit)
    _verify(archive, f"{_base()}/pulumi-{version}-checksums.txt", limit=limit)
    _unpack(archive, place / "bin")
    archive.unlink()


def _archive(version: str) -> str:
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    machine = _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise ToolchainError(f"Pulumi publishes none for {sys.platform} on {platform.machine()}")
    return f"pulumi-v{version}-{system}-{machine}.tar.gz"


def _verify(archive: Path, url: str, *, limit: float) -> None:
    try:
        listing = fetch.text(url, limit=limit)
    except ToolchainError as exc:
        progress.say(f"the engine's checksum could not be compared: {exc}")
        return
    sums = {name.lstrip("*"): digest for digest, _, name in map(_columns, listing.splitlines())}
    if archive.name not in sums:
        progress.say("the engine's checksum could not be compared: its list doesn't name it")
        return
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sums[archive.name].lower():
        raise ToolchainError(
            f"the checksum of {archive.name} is wrong: published {sums[archive.name]}, got {found}"
        )


def _columns(line: str) -> tuple[str, str, str]:
    digest, _, name = line.strip().partition(" ")
    return digest, " ", name.strip()


def _unpack(archive: Path, binaries: Path) -> None:
    """Take what Python programs need; the hosts of other languages are 300 MB more."""
    binaries.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                if not member.isfile() or not (name == "pulumi" or "-python" in name):
                    continue
                content = tar.extractfile(member)
                if content is None:  # never for a regular file
                    continue
                target = binaries / name
                with content, target.open("wb") as file:
                    while chunk := content.read(1 << 20):
                        file.write(chunk)
                target.chmod(0o755)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as exc:
        raise ToolchainError(f"{archive.name} can't be unpacked: {exc}") from exc
