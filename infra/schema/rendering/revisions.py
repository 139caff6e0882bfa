"""Loads the revision files of an Alembic directory, with one clear message for each mistake."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import util
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError, RevisionMap
from alembic.util import CommandError

from infra.schema import child
from infra.schema.errors import HistoryError
from infra.schema.rendering import ordering, sources
from infra.schema.rendering.recorder import worded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from alembic.config import Config

__all__ = [
    "ignores",
    "labels_of",
    "load",
    "locations",
    "module_again",
    "name_of",
    "read",
    "setting",
    "syntax",
]

_PATHS = hasattr(Script, "_from_path")  # since Alembic 1.16
_NOTHING = "Nothing was done."
_WORDS = ("base", "head", "heads")
_TIME = re.compile(r"\d+(\.\d+)?\s*(us|ms|s|min|h|d)?", re.ASCII)


def load(config: Config) -> tuple[ScriptDirectory, list[Script]]:
    """Load all revisions.

    Returns:
        Alembic's view of the directory, and the revisions in an order in which they can run; none
        where env.py speaks of version_locations: then `read` them when it has run.

    Raises:
        HistoryError: A file or the graph is broken; the message names files and lines.
    """
    try:
        scripts = ScriptDirectory.from_config(config)
    except CommandError as exc:
        raise HistoryError(
            f"Alembic's configuration can't be used: {str(exc).rstrip('.')}. {_NOTHING}"
        ) from exc
    except ImportError as exc:
        raise HistoryError(f"script_location names a package: {exc}. {_NOTHING}") from exc
    if not Path(scripts.dir, "env.py").is_file():
        raise HistoryError(
            f"There is no env.py in {scripts.dir}, which script_location names. {_NOTHING} Restore"
            " it, or let script_location name the folder that has it."
        )
    if "version_locations" in Path(scripts.dir, "env.py").read_text("utf-8", "replace"):
        return scripts, []  # it may choose others than those that are here
    return scripts, read(scripts)


def read(scripts: ScriptDirectory) -> list[Script]:
    """Load the files of all version locations, as they are named now.

    Returns:
        The revisions in an order in which they can run.

    Raises:
        HistoryError: As `load`.
    """
    sources.claim(scripts.dir, *locations(scripts))
    loaded = [script for path in _files(scripts) if (script := _script(scripts, path))]
    _check(loaded)
    scripts.revision_map = RevisionMap(lambda: iter(loaded))
    try:
        return list(scripts.walk_revisions())[::-1]
    except (CommandError, RevisionError) as exc:
        raise HistoryError(f"The revisions make no history: {exc}. {_NOTHING}") from exc


def name_of(script: Script, scripts: ScriptDirectory) -> str:
    """Give a file's name below its version location."""
    path = Path(script.path)
    for location in locations(scripts):
        if path.is_relative_to(location.resolve()):
            return path.relative_to(location.resolve()).as_posix()
    return path.name


def labels_of(script: Script) -> tuple[str, ...]:
    """Give the branch labels that a file declares itself."""
    return tuple(util.to_tuple(getattr(script.module, "branch_labels", None), default=()))


def module_again(script: Script) -> ModuleType:
    """Execute a revision's file anew."""
    path = Path(script.path)
    ordering.begin_function()
    return util.load_python_file(path.parent, path.name)


def setting(script: Script, name: str) -> str:
    """Give a timeout that a file declares for itself; empty where it declares none.

    Raises:
        HistoryError: It is no time.
    """
    value: Any = getattr(script.module, name, None)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return f"{value}ms"
    if isinstance(value, str) and _TIME.fullmatch(value.strip()):
        return value.strip()
    raise HistoryError(
        f"{Path(script.path).name}: {name} is {value!r}, which is no time. {_NOTHING} Write it as"
        ' PostgreSQL does, "30s" or "15min", or as a number of milliseconds.'
    )


def ignores(script: Script) -> dict[str, str]:
    """Give why findings of lint may pass, by rule, as a file declares it in `lint_ignore`.

    Raises:
        HistoryError: It is no map of rules to reasons.
    """
    value: Any = getattr(script.module, "lint_ignore", None)
    if value is None:
        return {}
    if isinstance(value, dict) and all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        return {rule.strip(): " ".join(reason.split()) for rule, reason in value.items()}
    raise HistoryError(
        f"{Path(script.path).name}: lint_ignore is {value!r}, which is no map of rules to reasons."
        f' {_NOTHING} Write it as {{"ban-drop-column": "nothing reads it since release 41"}}.'
    )


def locations(scripts: ScriptDirectory) -> list[Path]:
    """List the folders that revisions are loaded from, as they are named now."""
    try:
        return [Path(each) for each in scripts._version_locations]  # noqa: SLF001 - no public way to a path for each
    finally:
        # Alembic keeps them from the first time that it is asked on; env.py may name others yet.
        vars(scripts).pop("_version_locations", None)


def _files(scripts: ScriptDirectory) -> Iterator[Path]:
    seen = set()
    for location in locations(scripts):
        if not location.exists():
            continue
        # An Alembic before 1.16 takes and gives texts; before 1.10 names without their folder.
        place: Any = location if _PATHS else str(location)
        for found in Script._list_py_dir(scripts, place):  # noqa: SLF001 - as Alembic lists them
            path = location / found
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path.resolve()


def _load(scripts: ScriptDirectory, path: Path) -> Script | None:
    """Load a file the way Alembic does."""
    if _PATHS:
        return Script._from_path(scripts, path)  # noqa: SLF001 - no public way
    old: Any = Script
    loaded: Script | None = old._from_filename(scripts, str(path.parent), path.name)  # noqa: SLF001 - the same
    return loaded


def _script(scripts: ScriptDirectory, path: Path) -> Script | None:
    child.at(path.name)
    ordering.begin_function()
    try:
        script = _load(scripts, path)
    except SyntaxError as exc:
        raise HistoryError(f"{_broken(path)}: {syntax(exc, path)}. {_NOTHING}") from exc
    except AttributeError as exc:
        if "down_revision" not in str(exc):
            raise HistoryError(f"{_broken(path)}: {worded(exc, str(path))}. {_NOTHING}") from exc
        raise HistoryError(
            f"{_broken(path)}: it declares no down_revision. {_NOTHING} Write down_revision = None"
            " if it is the first one."
        ) from exc
    except CommandError as exc:
        raise HistoryError(
            f"{_broken(path)}: it declares no revision. {_NOTHING} If it is no migration, move it"
            " to another folder."
        ) from exc
    except (Exception, SystemExit) as exc:
        raise HistoryError(f"{_broken(path)}: {worded(exc, str(path))}. {_NOTHING}") from exc
    if script is not None:
        _check_one(script, path)
    return script


def syntax(exc: SyntaxError, path: Path) -> str:
    """Say where a file can't be parsed."""
    where = f"line {exc.lineno}: " if exc.lineno else ""
    elsewhere = exc.filename and Path(exc.filename).resolve() != path.resolve()
    return f"{where}{exc.msg} ({type(exc).__name__})" + (f" in {exc.filename}" if elsewhere else "")


def _check_one(script: Script, path: Path) -> None:
    if not isinstance(script.revision, str) or not script.revision:
        raise HistoryError(
            f"{_broken(path)}: revision is {script.revision!r}, and must be text. {_NOTHING}"
        )
    if script.revision in _WORDS:
        raise HistoryError(
            f"{_broken(path)}: revision is {script.revision!r}, a word that Alembic keeps for"
            f" itself. {_NOTHING}"
        )
    if not callable(getattr(script.module, "upgrade", None)):
        raise HistoryError(f"{_broken(path)}: it has no function upgrade. {_NOTHING}")


def _check(loaded: list[Script]) -> None:
    """Refuse what Alembic only warns of, or can't word."""
    twice = [id_ for id_, count in Counter(s.revision for s in loaded).items() if count > 1]
    if twice:
        files = ", ".join(Path(s.path).name for s in loaded if s.revision == twice[0])
        raise HistoryError(
            f"The revision {twice[0]} is declared by several files: {files}. {_NOTHING} Give one of"
            " them another id, or delete the copy."
        )
    ids = {script.revision for script in loaded}
    labels = {label for script in loaded for label in labels_of(script)}
    for script in loaded:
        parents = set(util.to_tuple(script.down_revision, default=()))
        others = set(util.to_tuple(script.dependencies, default=()))
        missing = sorted((parents - ids) | (others - ids - labels))
        if missing:
            raise HistoryError(
                f"{_broken(Path(script.path))}: it needs the revision {missing[0]}, which no file"
                f" declares. {_NOTHING} Restore that file, or correct the id."
            )


def _broken(path: Path) -> str:
    return f"The revision file {path.name} can't be used"
