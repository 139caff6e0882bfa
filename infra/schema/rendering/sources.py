"""What a process reads of a project, and whether that is still the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import source_from_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType, FrameType

__all__ = [
    "Watch",
    "absolute",
    "checksum",
    "claim",
    "entry",
    "environment_stamp",
    "file_stamp",
    "ignore_bytecode",
    "is_project",
    "library_stamp",
    "listing_stamp",
    "name_below",
    "read_elsewhere",
    "visible",
]

_PACKAGES = {"site-packages", "dist-packages"}
_LIBRARIES = tuple(
    f"{Path(path).resolve()}{os.sep}"
    for path in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        str(Path(__file__).parents[2]),
    }
)
_SYSTEM = (
    *("/dev/", "/etc/", "/lib/", "/lib64/", "/proc/", "/run/", "/sys/", "/var/lib/"),
    *(f"/usr/{name}/" for name in ("bin", "include", "lib", "lib64", "libexec", "sbin", "share")),
    *(f"/usr/local/{name}/" for name in ("bin", "include", "lib", "lib64", "sbin", "share")),
)
_MAPPINGS = {"os", "_collections_abc", "collections.abc"}
_claimed: list[Path] = []
_STARTERS = {subprocess.__file__, shutil.__file__, os.__file__}
_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink"}
_CHANGES |= {"tempfile.mkstemp", "tempfile.mkdtemp"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@cache  # asked some thousand times in a compilation, of some hundred files
def is_project(path: str, root: str) -> bool:
    """Tell whether a file is the project's, not a library's or the system's.

    Args:
        path: Absolute.
        root: The project's folder, absolute.
    """
    real = Path(path).resolve()
    for folder in _claimed:
        if real.is_relative_to(folder):
            return not _PACKAGES.intersection(real.relative_to(folder).parts)
    if str(real).startswith(_LIBRARIES) or _PACKAGES.intersection(real.parts):
        return False
    return real.is_relative_to(Path(root).resolve()) or not str(real).startswith(_SYSTEM)


def claim(*folders: str | Path) -> None:
    """Take folders of a history for the project's, although they lie among installed packages.

    With the package around them: its models are the history's as well.
    """
    for folder in folders:
        real = Path(folder).resolve()
        if str(real).startswith(_LIBRARIES) or _PACKAGES.intersection(real.parts):
            _claimed.append(_package(real))
            is_project.cache_clear()


def _package(folder: Path) -> Path:
    """Give the outermost package around a folder of an environment; itself where there is none."""
    outer = [
        each for each in (folder, *folder.parents) if not _PACKAGES.isdisjoint(each.parts[:-1])
    ]
    return next((each for each in reversed(outer) if (each / "__init__.py").is_file()), folder)


def library_stamp(path: str) -> str:
    """Give size and time of an installed file, or names in its folder; empty where there is none.

    There are many, which installers alone write: their content is not read.
    """
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    return listing_stamp(path) if Path(path).is_dir() else f"{found.st_size} {found.st_mtime_ns}"


def ignore_bytecode(root: str) -> None:
    """Let imports of the project's modules neither read bytecode nor leave any.

    Python takes bytecode for current when a file's size and second are; an edit may keep both.

    Args:
        root: The project's folder, absolute.
    """
    stats = SourceFileLoader.path_stats

    def current(loader: SourceFileLoader, path: str) -> Mapping[str, Any]:
        if is_project(path, root):
            raise OSError(f"{path}: only the source counts")
        return stats(loader, path)

    SourceFileLoader.path_stats = current  # type: ignore[method-assign,assignment] # in this process alone


def visible(name: str) -> bool:
    """Tell whether a file in a folder means anything: bytecode and editors' files do not."""
    return not (
        name.startswith((".", "#"))
        or name.endswith(("~", ".pyc", ".pyo", ".swp", ".orig", ".tmp"))
        or name == "__pycache__"
    )


def name_below(path: str, root: str) -> str:
    """Name a file by its place below the project's folder or beside it, the same on each machine.

    Returns:
        The name; empty for what is a machine's own: hidden (.env), or elsewhere and no Python.
    """
    near = Path(path).is_relative_to(Path(root).parent)
    if not near and not path.endswith(".py"):
        return ""
    name = Path(os.path.relpath(path, root)).as_posix() if near else Path(path).name
    hidden = any(part.startswith(".") and part != ".." for part in name.split("/"))
    return "" if hidden else name


def entry(path: Path, root: str) -> tuple[str, str]:
    """Give the name and the sha256 of a file; "" for both where it is a machine's own.

    Elsewhere there are many of one name (`__init__.py`): they are told apart by what they hold.
    """
    name = name_below(str(path), root)
    if not name:
        return "", ""
    found = checksum(path)
    near = path.is_relative_to(Path(root).parent)
    return (name if near else f"{name} {found}"), found


def checksum(path: Path) -> str:
    """Give the sha256 in hex of a file with line ends of Unix.

    Raises:
        OSError: It can't be read.
    """
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def file_stamp(path: str) -> str:
    """Give the sha256 of a file's content; empty where there is none."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def listing_stamp(path: str, suffixes: Iterable[str] = ("",)) -> str:
    """Give a digest of the names in a folder that end in some way; empty where there is none."""
    ends = tuple(suffixes)
    try:
        names = sorted(
            entry.name
            for entry in Path(path).iterdir()
            if visible(entry.name) and entry.name.endswith(ends)
        )
    except OSError:
        return ""
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()


def environment_stamp(names: Iterable[str], salt: str, more: Mapping[str, str]) -> str:
    """Give a digest of the values of variables, all together: one may be a password.

    Args:
        names: Of the variables.
        salt: Of the digest.
        more: What a history is given beside the environment of this process.
    """
    total = hashlib.sha256(salt.encode())
    for name in names:
        value = more.get(name, os.environ.get(name))
        total.update(b"\0" if value is None else value.encode(errors="surrogateescape") + b"\1")
    return total.hexdigest()


class Watch:
    """Notes what this process reads from when it starts on.

    Attributes:
        files: Every file of the project that was opened to be read, there or not.
        listings: Every folder of the project whose names were asked for, imports apart.
        variables: Every environment variable that was asked for by its name.
        written: Every file that was opened to be written: a log, for example.
        changed: Every folder in which something was made or removed.
    """

    def __init__(self, root: str) -> None:
        """Begin with the project's folder, absolute."""
        self.files: set[str] = set()
        self.listings: set[str] = set()
        self.variables: set[str] = set()
        self.written: set[str] = set()
        self.changed: set[str] = set()
        self._root = root
        self._readers: set[CodeType | None] = set()
        self._busy = False

    def start(self) -> None:
        """Begin to note; a process can't stop it again."""
        sys.addaudithook(self._heard)
        kind: Any = type(os.environ)
        read, iterate = kind.__getitem__, kind.__iter__

        def noted_read(environ: Any, key: str | bytes) -> Any:
            # Who goes through all of them depends on none in particular. `os.environb` is of the
            # same class: Python looks there for PATH where a program is run by its bare name.
            # That tells where a program is, and differs between a terminal and an engine.
            asker = _asker(sys._getframe(1))  # noqa: SLF001 - the only way to know who asks
            starts = asker is not None and asker.co_filename in _STARTERS
            if asker not in self._readers and not (starts and os.fsdecode(key) == "PATH"):
                self.variables.add(os.fsdecode(key))
            return read(environ, key)

        def noted_iteration(environ: Any) -> Any:
            self._readers.add(_asker(sys._getframe(1)))  # noqa: SLF001 - as above
            return iterate(environ)

        kind.__getitem__, kind.__iter__ = noted_read, noted_iteration

    def project_files(self) -> list[str]:
        """List the files, sorted; modules of which only the bytecode was read are among them."""
        loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        paths = {_source(path) for path in self.files | {path for path in loaded if path}}
        return sorted(path for path in paths - self.products() if is_project(path, self._root))

    def library_files(self) -> list[str]:
        """List what was read of installed packages, and the folders that they are in, sorted."""
        loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        paths = {_source(path) for path in self.files | {path for path in loaded if path}}
        found = {
            path
            for path in paths
            if not _PACKAGES.isdisjoint(Path(path).parts) and not is_project(path, self._root)
        }
        found |= {path for path in sys.path if Path(path).name in _PACKAGES}
        return sorted(found)

    def project_listings(self, more: Iterable[str]) -> dict[str, list[str]]:
        """Give the folders, with what names in them end with to count: "" for any.

        A folder that this process has changed itself is none of its sources, but for the files in
        it that are like those which were read.

        Args:
            more: Folders whose modules count in any case.
        """
        asked = {path for path in self.listings if is_project(path, self._root)}
        found = {path: [""] for path in sorted({*asked, *more} - self.changed)}
        read = self.project_files()
        for path in sorted({*asked, *more} & self.changed):
            suffixes = {Path(file).suffix for file in read if os.path.dirname(file) == path}  # noqa: PTH120 - of some thousand
            suffixes |= {".py"} if path in more else set()
            if suffixes:
                found[path] = sorted(suffixes)
        return found

    def products(self) -> set[str]:
        """Give files that were written: in the project, those that nothing had read before."""
        root = Path(self._root)
        return {
            path
            for path in self.written
            if path not in self.files or not Path(path).is_relative_to(root)
        }

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if event in _CHANGES:
            self._note_change(arguments)
            return
        if event not in {"open", "os.listdir", "os.scandir"}:
            self.files.update(read_elsewhere(event, arguments))
            return
        self._busy = True  # what follows may be heard as well
        try:
            path = absolute(arguments[0])
            if path is None:
                return
            if event != "open":
                reader = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - as above
                if "importlib" not in reader:
                    self.listings.add(path)
            elif _writes(arguments[1], arguments[2]):
                self.written.add(path)
                if not os.path.exists(path):  # noqa: PTH110 - no error for a name that is too long
                    self.changed.add(str(Path(path).parent))
            elif path not in self.written:
                self.files.add(path)
        finally:
            self._busy = False

    def _note_change(self, arguments: tuple[Any, ...]) -> None:
        named = [each for each in arguments[:2] if isinstance(each, str | bytes | os.PathLike)]
        for path in filter(None, map(absolute, named)):
            self.changed.add(str(Path(path).parent))


def read_elsewhere(event: str, arguments: tuple[Any, ...]) -> list[str]:
    """List the files, absolute, that SQLite reads, or a program that has their names."""
    if event == "sqlite3.connect":
        named, folder = arguments[:1], ""
    elif event == "subprocess.Popen" and not isinstance(arguments[1], str | bytes):
        named, folder = tuple(arguments[1]), os.fsdecode(arguments[2] or "")
    else:
        return []
    names = [os.fsdecode(each) for each in named if isinstance(each, str | bytes | os.PathLike)]
    paths = [Path(folder, name).absolute() for name in names if "\0" not in name]
    return [str(path) for path in paths if os.path.isfile(path)]  # noqa: PTH113 - no error for a name that is too long


def absolute(path: object) -> str | None:
    """Make what an audit event names a path; None where it names a descriptor or the like."""
    if path is None:
        return str(Path.cwd())
    if isinstance(path, str | bytes | os.PathLike):
        return str(Path(os.fsdecode(path)).absolute())
    return None


def _writes(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return bool(set(mode).intersection("wax+"))
    return isinstance(flags, int) and bool(flags & _WRITING)


def _source(path: str) -> str:
    if not path.endswith(".pyc"):
        return str(Path(path).absolute())
    try:
        return source_from_cache(path)
    except ValueError:  # bytecode that stands alone
        return path


def _asker(frame: FrameType | None) -> CodeType | None:
    """Find the code that asks the environment, behind the methods of mappings."""
    while frame is not None and frame.f_globals.get("__name__") in _MAPPINGS:
        frame = frame.f_back
    return frame.f_code if frame is not None else None
