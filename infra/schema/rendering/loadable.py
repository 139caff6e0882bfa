"""Finds the project's files that a run through env.py can load, by imports in functions too."""

from __future__ import annotations

import ast
import os
import sys
from contextlib import suppress
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from infra.schema.rendering.sources import is_project, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.machinery import ModuleSpec

__all__ = ["folders_below", "loadable"]

_USUAL_FINDERS: tuple[object, ...] = (BuiltinImporter, FrozenImporter, PathFinder)


def loadable(
    read: Iterable[str], *, folders: Iterable[str], scanned: Iterable[str], root: str
) -> list[str]:
    """List the files, absolute and sorted.

    Args:
        read: Files that were read while everything was rendered, absolute.
        folders: Folders of which any file may be read when a revision runs.
        scanned: Python files, absolute, whose functions did not run to their end.
        root: The project's folder, absolute.
    """
    paths = {*read, *(str(path) for folder in folders for path in _within(folder))}
    waiting = sorted({path for path in scanned if path.endswith(".py")})
    while waiting:
        found = set(_imported(waiting.pop(), root)) - paths
        paths |= found
        waiting += sorted(found)
    return sorted(path for path in paths if is_project(path, root) and Path(path).is_file())


def folders_below(folder: Path) -> list[str]:
    """List a folder and all that are in it, without those that mean nothing."""
    found = []
    for place, inside, _ in os.walk(folder):
        inside[:] = sorted(each for each in inside if visible(each) and not _of_others(place, each))
        found.append(place)
    return found


def _of_others(place: str, name: str) -> bool:
    """Tell folders with the packages of others, which hold thousands of files."""
    return name == "node_modules" or Path(place, name, "pyvenv.cfg").is_file()


def _within(folder: str) -> Iterator[Path]:
    if Path(folder).is_dir():
        yield from (path for path in Path(folder).iterdir() if visible(path.name))


def _imported(path: str, root: str) -> Iterator[str]:
    """List the project's files behind the import statements of a file, wherever they stand."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name.split("."), sys.path, root)
        elif isinstance(node, ast.ImportFrom):
            names = node.module.split(".") if node.module else []
            places = [str(Path(path).parents[node.level - 1])] if node.level else sys.path
            for alias in node.names:
                yield from _files([*names, alias.name], places, root)


def _files(names: list[str], places: Iterable[str], root: str) -> Iterator[str]:
    """Follow a dotted name from package to package, without running any."""
    if names[0] in sys.stdlib_module_names:
        return
    search: list[str] | None = list(places)
    above = ""
    for name in names:
        spec = _spec(name, search, f"{above}{name}")
        if spec is None:
            return
        if spec.origin and is_project(spec.origin, root):
            yield spec.origin
        search, above = list(spec.submodule_search_locations or ()), f"{above}{name}."
        if not search:
            return


def _spec(name: str, search: list[str] | None, full: str) -> ModuleSpec | None:
    """Find a module in folders, or by the finder that an editable install has brought."""
    with suppress(ImportError, ValueError, AttributeError):
        found = PathFinder.find_spec(name, search)
        if found is not None:
            return found
    for finder in sys.meta_path:
        if finder in _USUAL_FINDERS or not hasattr(finder, "find_spec"):
            continue
        with suppress(Exception):
            found = finder.find_spec(full, None)
            if found is not None:
                return found
    return None
