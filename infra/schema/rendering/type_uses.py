"""What each revision does with enum types and domains, as its rendering or its code shows."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.schema import named_types
from infra.schema.model import TypeUse
from infra.schema.rendering.sources import is_project

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from alembic.script import Script as File

    from infra.schema.rendering.recorder import Rendering

__all__ = ["of_all"]

_FUNCTIONS = {"up": "downgrade", "down": "upgrade"}


def of_all(
    files: Collection[File], rendered: Mapping[str, Rendering | None], root: str
) -> dict[str, TypeUse]:
    """Say what the revisions do, by direction and id ("up 1a2b"); nothing of those without types.

    Args:
        files: All revisions.
        rendered: What they were rendered to, by the same names; None where they run through env.py.
        root: The project's folder, absolute.
    """
    keys = {key for rendering in rendered.values() if rendering for key in rendering.types}
    uses = {}
    for file in files:
        for direction in _FUNCTIONS:
            name = f"{direction} {file.revision}"
            rendering = rendered[name]
            if rendering is None:
                use = _of_code(file, direction, keys, root)
            else:
                sql = "\n".join(statement.sql for statement in rendering.statements)
                use = TypeUse(made=rendering.types, gone=named_types.may_drop(sql, keys))
            if use != TypeUse():
                uses[name] = use
    return uses


def _of_code(file: File, direction: str, keys: Collection[tuple[str, str]], root: str) -> TypeUse:
    text = Path(file.path).read_text(encoding="utf-8", errors="replace")
    tree = ast.parse(text)
    helpers = _imports_project(tree, root)
    text = _without(text, tree, _FUNCTIONS[direction])
    return TypeUse(
        gone=named_types.may_drop(text, keys),
        open=named_types.makes_tables(text) or (helpers and _project_makes_tables(root)),
    )


def _without(text: str, tree: ast.Module, function: str) -> str:
    """Leave out a function of a file."""
    lines: list[str] = text.splitlines()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno or node.lineno)
            break
    return "\n".join(lines)


def _imports_project(tree: ast.Module, root: str) -> bool:
    """Tell whether a file imports a module of the project, in a function or not."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                return True
            names.add(node.module or "")
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    # What is imported in a function that has not run so far may be the project's as well.
    unknown = any(name not in sys.modules for name in names)
    return unknown or any(file and is_project(file, root) for file in files)


@cache  # for all revisions that import any of it
def _project_makes_tables(root: str) -> bool:
    """Tell whether a module of the project that is loaded, revisions and env.py apart, does."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return any(
        named_types.makes_tables(_read(file))
        for file in files
        if file and file.endswith(".py") and is_project(file, root)
    )


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
