"""The engine that the machine has already."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from toolchain import cache, versions
from toolchain.errors import ToolchainError

__all__ = ["find", "on_path"]

_HOST = "pulumi-language-python"
_REMEMBERED = "ambient.json"


def find() -> Path:
    """Give the first `pulumi` on PATH that is recent enough and can run Python programs.

    Raises:
        ToolchainError: with the reason of each one that won't do.
    """
    reasons = []
    for path in _candidates():
        reason = _refusal(path)
        if not reason:
            return path
        reasons.append(reason)
    raise ToolchainError("; ".join(reasons) or "no pulumi on PATH")


def on_path(program: str) -> Iterator[Path]:
    """Give each executable of that name on PATH, in PATH's order."""
    for entry in os.get_exec_path():
        path = Path(entry or ".", program).absolute()
        if path.is_file() and os.access(path, os.X_OK):
            yield path


def _candidates() -> Iterator[Path]:
    """Go through PATH, past the engines that this toolchain has made itself."""
    own = cache.root()
    return (path for path in on_path("pulumi") if not path.is_relative_to(own))


def _refusal(path: Path) -> str:
    wanted = versions.engine()
    beside = path.resolve().parent / _HOST
    if not os.access(beside, os.X_OK) and next(on_path(_HOST), None) is None:
        return f"{path} has no {_HOST} beside it, nor is one on PATH"
    version = _version(path)
    try:
        enough = versions.satisfies(version, wanted)
    except ValueError:
        return f"{path} doesn't tell its version{f' ({version})' if version else ''}"
    minor = ".".join(wanted.split(".")[:2])
    return "" if enough else f"{path} is {version}, and {minor} or later of that major is needed"


def _version(path: Path) -> str:
    """Ask an engine for its version, once for each state of its file.

    Starting it takes a quarter of a second, and every command of ours needs the answer.
    """
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_mtime_ns}|{stat.st_size}"
    known = _recall()
    if key not in known:
        from toolchain import run  # noqa: PLC0415 - slow to import, and not needed when everything is there

        env = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
        try:
            known[key] = run.output([str(path), "version"], env=env, timeout=20)
        except run.CommandError:
            return ""
        _remember(known)
    return known[key]


def _recall() -> dict[str, str]:
    try:
        known = json.loads(cache.folder(_REMEMBERED).read_text(encoding="utf-8"))
    except (OSError, ValueError, ToolchainError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: dict[str, str]) -> None:
    """Write the answers down; without a cache they are asked for again."""
    try:
        place = cache.folder(_REMEMBERED)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{_REMEMBERED}.{os.getpid()}")
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(place)
    except (OSError, ToolchainError):
        return
