"""Tells which revisions surely give the same SQL each time, so that once is enough to render them.

A revision's file is read, not only watched: neither the order of a set nor a date shows while it is
rendered. What is not known to be the same each time is rendered again, and compared.
"""

from __future__ import annotations

import ast
import builtins
import os
import random
import re
import sys
import uuid
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema.rendering.sources import is_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.schema.rendering.recorder import Recorder

__all__ = ["Sources", "hooks", "is_fixed", "shows_address"]

_MODULES = frozenset(
    {
        *("__future__", "abc", "base64", "collections", "contextlib", "copy", "dataclasses"),
        *("datetime", "decimal", "enum", "fractions", "functools", "itertools", "json", "logging"),
        *("math", "numbers", "operator", "re", "string", "textwrap", "typing", "uuid", "warnings"),
        *("typing_extensions", "alembic", "sqlalchemy", "sqlmodel", "sqlalchemy_utils"),
        *("geoalchemy2", "pgvector"),
    }
)
# What may be something else in each process, under whatever name or by whichever way.
_NAMES = frozenset(
    {
        *("uuid1", "uuid4", "uuid6", "uuid7", "uuid8", "getnode", "urandom", "getrandom"),
        *("random", "secrets", "os", "sys", "time", "socket", "platform", "subprocess", "tempfile"),
        *("threading", "getpass", "locale", "glob", "pathlib", "environ", "testing", "builtins"),
        *("Set", "FrozenSet", "AbstractSet", "MutableSet", "LogRecord", "makeLogRecord"),
    }
)
_CLOCK = frozenset({"now", "utcnow", "today"})
_SAFE = frozenset(
    {
        *("abs", "all", "any", "bool", "bytes", "bytearray", "callable", "chr", "classmethod"),
        *("dict", "divmod", "enumerate", "filter", "float", "format", "hasattr", "int", "iter"),
        *("isinstance", "issubclass", "len", "list", "map", "max", "min", "next", "ord", "pow"),
        *("print", "property", "range", "repr", "reversed", "round", "slice", "sorted", "str"),
        *("staticmethod", "sum", "super", "tuple", "type", "zip", "object", "complex"),
        *("True", "False", "None", "NotImplemented", "Ellipsis", "__name__", "__doc__"),
    }
)
_MAGIC = frozenset({"__name__", "__doc__", "__init__", "__tablename__", "__table_args__"})
_VIEWS = frozenset({"keys", "items"})

# What lets other code than Alembic's and SQLAlchemy's take part in rendering any revision.
_HOOKS = re.compile(
    rb"\b(?:compiles|listens_for|event\.listen|register_operation|implementation_for|setattr"
    rb"|dispatch_for|DefaultImpl|PostgresqlImpl|\w*DDLCompiler|\w*TypeCompiler|PGCompiler)\b"
    rb"|^\s*(?:op|sa|sqlalchemy|alembic|postgresql)\.[\w.]+\s*=[^=]",
    re.MULTILINE,
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}>")
_READS = frozenset(
    {
        *("open", "os.listdir", "os.scandir", "glob.glob", "subprocess.Popen", "os.system"),
        *("socket.__new__", "socket.gethostname", "socket.getaddrinfo", "os.fork", "os.putenv"),
    }
)


def is_fixed(path: str) -> bool:
    """Tell whether a file uses nothing that may differ between two runs of it.

    That is: plain Python without sets, hashes and addresses, and of modules only those that know
    nothing of their surroundings.
    """
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    nodes = list(ast.walk(tree))
    # Operators make sets of the views of a dictionary.
    views = any(isinstance(node, ast.Attribute) and node.attr in _VIEWS for node in nodes)
    operators = any(isinstance(node, ast.BitAnd | ast.BitXor | ast.Sub) for node in nodes)
    return not (views and operators) and all(map(_is_fixed, nodes))


def hooks(files: Iterable[str], root: str, options: dict[str, Any]) -> bool:
    """Tell whether the project may take part in what Alembic renders of any revision.

    Args:
        files: env.py and the revisions; modules of the project that are loaded come to them.
        root: The project's folder, absolute.
        options: Of `context.configure`.
    """
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    named = {path for path in loaded if path and is_project(path, root)}
    return any(map(_has_hook, named.union(files))) or any(map(_names_itself, _metadata(options)))


def shows_address(statements: Iterable[str]) -> bool:
    """Tell whether the text of an object without one stands in SQL: another one in each process."""
    return any(_ADDRESS.search(statement) for statement in statements)


class Sources:
    """Notes that something is used while a revision is rendered that may differ the next time.

    It hears what libraries use as well, whichever way they came into a revision.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Begin with who knows whether a revision is being rendered."""
        self._used = False
        self._recorder = recorder

    def listen(self) -> None:
        """Begin to note; a process can't stop it again."""
        sys.addaudithook(self._heard)
        for owner, name in _functions():
            setattr(owner, name, self._noted(getattr(owner, name)))

    def taken(self) -> bool:
        """Tell whether something was used since this was asked last."""
        used, self._used = self._used, False
        return used

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        del arguments
        if event in _READS and self._recorder.rendering:
            self._used = True

    def _noted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def noted(*args: Any, **options: Any) -> Any:
            if self._recorder.rendering:
                self._used = True
            return function(*args, **options)

        return noted


def _functions() -> list[tuple[Any, str]]:
    names = ("random", "randint", "randrange", "choice", "choices", "sample", "shuffle", "uniform")
    named = [(random, name) for name in (*names, "getrandbits", "randbytes", "_urandom")]
    named += [(uuid, "uuid1"), (uuid, "uuid4"), (os, "urandom"), (os, "getrandom")]
    return [(owner, name) for owner, name in named if hasattr(owner, name)]


def _is_fixed(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return all(_is_known(each.name) for each in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            known = not level and module is not None and _is_known(module)
            return known and not any(_is_hidden(each.name) for each in names)
        case ast.Set() | ast.SetComp() | ast.AsyncFunctionDef() | ast.Await():
            return False
        case ast.Name(id=name):
            return name not in _NAMES and (name in _SAFE or not _is_builtin(name))
        case ast.Attribute(value=value, attr=name):
            return not (_is_hidden(name) or (name in _CLOCK and not _is_function(value)))
    return True


def _is_known(module: str) -> bool:
    first, *others = module.split(".")
    return first in _MODULES and _NAMES.isdisjoint(others)


def _is_builtin(name: str) -> bool:
    found = getattr(builtins, name, None) if hasattr(builtins, name) else None
    error = isinstance(found, type) and issubclass(found, BaseException)
    return (hasattr(builtins, name) and not error) or name in {"__file__", "__builtins__"}


def _is_function(node: ast.expr) -> bool:
    """Tell whether it is `func`, whose functions PostgreSQL calls."""
    return getattr(node, "attr", getattr(node, "id", "")) == "func"


def _is_hidden(name: str) -> bool:
    return name in _NAMES or name == "*" or (name.startswith("_") and name not in _MAGIC)


def _has_hook(path: str) -> bool:
    try:
        return _HOOKS.search(Path(path).read_bytes()) is not None
    except OSError:
        return True


def _metadata(options: dict[str, Any]) -> list[Any]:
    found = options.get("target_metadata")
    return list(found) if isinstance(found, list | tuple) else [found]


def _names_itself(metadata: Any) -> bool:
    """Tell whether the project's own functions make the names of constraints."""
    convention = getattr(metadata, "naming_convention", None) or {}
    return any(map(callable, convention.values()))
