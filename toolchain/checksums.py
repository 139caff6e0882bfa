"""The sha256 of each archive that is downloaded and that no package manager verifies.

They are pinned in checksums.txt, in the form of sha256sum, so that neither the download site nor a
mirror of it can hand over another program. What has no line there is not fetched.
"""

import hashlib
import re
import tempfile
from pathlib import Path

from toolchain import fetch, official, plugins, progress, versions
from toolchain.errors import ToolchainError

__all__ = ["FILE", "of", "verify", "write"]

FILE = Path(__file__).with_name("checksums.txt")
_LINE = re.compile(r"^([0-9a-f]{64}) [ *](\S+)$", re.MULTILINE)
# The two plugins that the program needs.
_PLUGINS = ("postgresql", "docker")


def of(name: str) -> str:
    """Give the pinned sha256 of an archive, in hexadecimal.

    Args:
        name: such as 'pulumi-v3.259.0-linux-x64.tar.gz'.

    Raises:
        ToolchainError: none is pinned, so that it is not to be fetched.
    """
    try:
        return _pinned()[name]
    except KeyError:
        raise ToolchainError(
            f"no sha256 of {name} is pinned in toolchain/{FILE.name}, so that it is not fetched. "
            "Where Pulumi's site can be reached, `python -m toolchain checksums` writes it"
        ) from None


def verify(archive: Path) -> None:
    """Compare a file with the sha256 that is pinned for its name.

    Raises:
        ToolchainError: it is another file; it has to be thrown away.
    """
    wanted, found = of(archive.name), _digest(archive)
    if found != wanted:
        raise ToolchainError(
            f"the checksum of {archive.name} is wrong: toolchain/{FILE.name} pins {wanted}, and it "
            f"has {found}. Nothing of it was used"
        )


def write() -> list[str]:
    """Pin the archives of the versions that pyproject.toml names, on every platform.

    Lines of these versions that are there stay; those of other versions go.

    Returns:
        The archives that still have none, since the site can't be reached or lacks them.

    Raises:
        ToolchainError: what is pinned is not what is published now.
    """
    names = [*official.archives(), *(name for each in _PLUGINS for name in plugins.archives(each))]
    pinned, published = _pinned(), _published(names)
    for name in pinned.keys() & published.keys():
        if pinned[name] != published[name]:
            raise ToolchainError(
                f"{name} has another checksum than toolchain/{FILE.name} pins: {published[name]} "
                f"is published, {pinned[name]} is pinned. Nothing was written. Find out why; to "
                "accept it, remove the line and start again"
            )
    known = {name: digest for name, digest in (pinned | published).items() if name in names}
    head = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = [f"{digest}  {name}" for name, digest in sorted(known.items())]
    FILE.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    return [name for name in names if name not in known]


def _pinned() -> dict[str, str]:
    text = FILE.read_text(encoding="utf-8")
    return {name: digest for digest, name in _LINE.findall(text)}


def _published(names: list[str]) -> dict[str, str]:
    """Ask the site: for the engine's list of checksums, and for the plugins themselves."""
    found = {}
    try:
        listing = fetch.text(f"{official.base()}/pulumi-{versions.engine()}-checksums.txt")
        found = {name: digest for digest, name in _LINE.findall(listing) if name in names}
    except ToolchainError as exc:
        progress.say(f"checksums of the engine: {exc}")
    for each in _PLUGINS:
        try:
            found |= _fetched(each)
        except ToolchainError as exc:
            progress.say(f"checksums of the {each} plugin: {exc}")
    return found


def _fetched(plugin: str) -> dict[str, str]:
    """Fetch a plugin for each platform, for its checksum alone."""
    base = next(plugins.addresses()).rstrip("/")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in plugins.archives(plugin):
            place = Path(folder, name)
            fetch.download(f"{base}/{name}", place, label=f"fetching {name}")
            found[name] = _digest(place)
            place.unlink()
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
