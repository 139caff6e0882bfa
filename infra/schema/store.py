"""Keeps compiled histories between runs, as long as nothing they were made from has changed."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache as cache_result
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import dsn, interpreter
from infra.schema.rendering import sources
from toolchain import cache
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.schema.invocation import Invocation

__all__ = ["recall", "remember"]

_KEPT_DAYS = 60
_TOOLS = ("alembic", "sqlalchemy", "pgvector")
_MODULES = ("compiler.py", "graph.py", "invocation.py", "model.py", "named_types.py", "store.py")
_OWN = (*_MODULES, "rendering/*.py", "statements/*.py")
"""What makes a history; a newer version of it makes another one."""


def recall(folder: Path, invocation: Invocation) -> dict[str, Any] | None:
    """Give the history of a folder as it was kept; None where there is none, or no longer so.

    Args:
        folder: As it was given to `remember`.
        invocation: The same.
    """
    try:
        entry = json.loads(_path(folder, invocation).read_text(encoding="utf-8"))
        if entry["tools"] != _tools(invocation) or not _same(entry, invocation):
            return None
        history: dict[str, Any] = entry["history"]
    except (OSError, ToolchainError, ValueError, LookupError, TypeError):
        return None
    return history


def remember(
    folder: Path, invocation: Invocation, answer: Mapping[str, Any], *, since: int
) -> None:
    """Keep what the compiler answered; without a place to keep it, do nothing.

    Args:
        folder: What was compiled.
        invocation: How Alembic was called on it.
        answer: The compiler's: `history`, `files`, `listings`, `libraries`, `variables`, and
            in `rewritten` the files that it has written itself.
        since: When it began, in nanoseconds since the epoch: a file that was changed after that
            may or may not be what it read, so that nothing is kept.
    """
    whole = (path for path, suffixes in answer["listings"].items() if suffixes == [""])
    # The folders of packages are left out: bytecode that is written into them changes their time.
    installed = (path for path in answer["libraries"] if not Path(path).is_dir())
    steady = {*answer["files"], *whole, *installed} - set(answer["rewritten"])
    if any(_changed_at(path) >= since for path in steady):
        return
    salt = secrets.token_hex(16)
    entry = {
        "tools": _tools(invocation),
        "files": {path: sources.file_stamp(path) for path in answer["files"]},
        "listings": {
            path: [suffixes, sources.listing_stamp(path, suffixes)]
            for path, suffixes in answer["listings"].items()
        },
        "libraries": {path: sources.library_stamp(path) for path in answer["libraries"]},
        "variables": answer["variables"],
        "salt": salt,
        "environment": sources.environment_stamp(
            answer["variables"], salt, dict(invocation.environment)
        ),
        "history": answer["history"],
    }
    with suppress(OSError, ToolchainError):
        _write(_path(folder, invocation), json.dumps(entry))


def _same(entry: Mapping[str, Any], invocation: Invocation) -> bool:
    given = dict(invocation.environment)
    stamp = sources.environment_stamp(entry["variables"], entry["salt"], given)
    return (
        entry["environment"] == stamp
        and all(
            sources.listing_stamp(path, suffixes) == stamp
            for path, (suffixes, stamp) in entry["listings"].items()
        )
        and all(sources.library_stamp(path) == stamp for path, stamp in entry["libraries"].items())
        and all(sources.file_stamp(path) == stamp for path, stamp in entry["files"].items())
    )


def _tools(invocation: Invocation) -> list[str]:
    """List what renders: this project's files, the interpreter, and its packages' versions.

    Raises:
        HistoryError: The interpreter is none.
    """
    python = invocation.python
    here = [python, *interpreter.examine(python).stamp()] if python else _own_packages()
    return [*_own_files(), *here]


@cache_result
def _own_files() -> list[str]:
    here = Path(__file__).parent
    own = sorted(str(path) for pattern in _OWN for path in here.glob(pattern))
    return [sources.file_stamp(path) for path in own]


@cache_result
def _own_packages() -> list[str]:
    found = [sys.version, sys.executable]
    for name in _TOOLS:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def _changed_at(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _path(folder: Path, invocation: Invocation) -> Path:
    # How long it may take is no part of what it is; the drivers that its URLs name are.
    given = [name for name, _ in invocation.environment]
    asked = {**invocation.dump(), "environment": given, "secrets": None, "seconds": None}
    named = [dsn.driver_of(os.environ.get(each)) for each in (invocation.variable, "DATABASE_URL")]
    # Checkouts of different age each have their own.
    called = json.dumps([str(folder.absolute()), asked, named, _tools(invocation)])
    key = hashlib.sha256(called.encode(errors="surrogateescape"))
    return cache.folder("histories") / f"{key.hexdigest()[:32]}.json"


def _write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, and that nobody else can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
        _drop_unused(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _drop_unused(folder: Path) -> None:
    """Remove what was last written long ago: folders go, and this project gets newer."""
    oldest = time.time() - _KEPT_DAYS * 86_400
    for path in folder.glob("*.json"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
