"""The engine as Pulumi publishes it, from its download site or a mirror of it."""

import os
import platform
import sys
import tarfile
import zlib
from pathlib import Path

from toolchain import fetch, versions
from toolchain.errors import ToolchainError

__all__ = ["URL_VARIABLE", "archives", "base", "download", "source"]

URL_VARIABLE = "GROUNDWORK_ENGINE_URL"
"""The environment variable that names a mirror of the folder with the engine's releases."""

_OFFICIAL = "https://get.pulumi.com/releases/sdk"
_SYSTEMS = ("darwin", "linux")
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def base() -> str:
    """Give the address of the folder with the engine's releases, without credentials."""
    return fetch.redact(_base())


def _base() -> str:
    return (os.environ.get(URL_VARIABLE) or _OFFICIAL).rstrip("/")


def download(place: Path, *, limit: float = fetch.LIMIT) -> None:
    """Fetch the pinned engine, compare it with its pinned checksum, and unpack it into `place`/bin.

    Args:
        place: the empty folder to fill.
        limit: seconds until the first byte; a download that proceeds goes on for longer.

    Raises:
        ToolchainError: when it can't be had, or isn't the one whose checksum is pinned.
    """
    from toolchain import checksums  # noqa: PLC0415 - it imports this module

    name = _archive()
    checksums.of(name)  # what can't be compared isn't fetched
    archive = place / name
    label = f"fetching the Pulumi engine {versions.engine()}"
    fetch.download(f"{_base()}/{name}", archive, label=label, limit=limit)
    checksums.verify(archive)
    _unpack(archive, place / "bin")
    archive.unlink()


def source() -> str:
    """Say where the engine would come from.

    Raises:
        ToolchainError: nowhere: none is published for this machine, or no checksum is pinned.
    """
    from toolchain import checksums  # noqa: PLC0415 - as above

    checksums.of(_archive())
    return f"fetched from {base()} when needed"


def archives() -> list[str]:
    """Give the names of the engine's archives, one for each platform."""
    each = [f"{system}-{machine}" for system in _SYSTEMS for machine in ("arm64", "x64")]
    return [f"pulumi-v{versions.engine()}-{built}.tar.gz" for built in each]


def _archive() -> str:
    machine = _MACHINES.get(platform.machine().lower())
    name = f"pulumi-v{versions.engine()}-{sys.platform}-{machine}.tar.gz"
    if name not in archives():
        raise ToolchainError(f"Pulumi publishes none for {sys.platform} on {platform.machine()}")
    return name


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
