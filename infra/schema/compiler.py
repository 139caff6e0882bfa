"""The process that drives Alembic to turn a directory into a history, without a database.

Reads one JSON object from standard input: `folder`, `invocation` and `parent`, a process id. Writes
one to standard output: `history`, and what it was made from in `files`, `listings`, `libraries` and
`variables`; or `error`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import traceback
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from alembic import util

from infra.errors import GroundworkError
from infra.schema import child, named_types
from infra.schema.errors import HistoryError
from infra.schema.invocation import Invocation
from infra.schema.model import History, Revision, Script
from infra.schema.rendering import (
    directory,
    drivers,
    effects,
    environment,
    logging_config,
    online_half,
    ordering,
    repeatability,
    revisions,
    sources,
    type_uses,
)
from infra.schema.rendering.loadable import folders_below, loadable
from infra.schema.rendering.offline import Offline, forbid_connections
from infra.schema.rendering.recorder import Recorder, Rendering, worded
from infra.schema.running import driver
from infra.schema.statements import locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alembic.config import Config
    from alembic.ddl.impl import DefaultImpl
    from alembic.script import Script as File
    from alembic.script import ScriptDirectory

    from infra.schema.model import Direction, TypeUse

__all__ = ["main"]


# Leads nowhere. Every part is there that an env.py may want to take out of it.
_URL = "postgresql://offline:offline@offline.invalid:5432/offline"

_TOO_OLD = (
    f"its SQLAlchemy is {sqlalchemy.__version__}, and rendering takes 2.0"
    if sqlalchemy.__version__.startswith("1.")
    else ""
)
_HOLDS_HIDDEN = "its SQL holds a secret of env.py's arguments"
_SAID = 200  # characters of an application's own message
_CHANGES = "it renders something else each time: a random value, or an order that changes"


def main() -> int:
    """Do what standard input says; the exit status is 1 where that failed."""
    task = json.load(sys.stdin)
    child.end_with(task["parent"])
    child.step_aside()
    own, encode = os.getpid(), json.JSONEncoder().encode  # before an application has replaced it
    # Whatever env.py or a revision prints must not come between us and the caller.
    answer_to = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        answer = _compile(Path(task["folder"]), Invocation.of(task["invocation"]))
    except GroundworkError as exc:
        answer = {"error": str(exc)}
    if os.getpid() != own:  # a fork that an import has made, and that went on
        os._exit(0)
    with os.fdopen(answer_to, "wb") as stream:
        stream.write(f"{encode(answer)}\n".encode())
    status = 1 if "error" in answer else 0
    child.leave(status)
    return status


def _compile(folder: Path, invocation: Invocation) -> dict[str, Any]:
    place = directory.find(folder, invocation)
    root = str(place.root)
    watch = sources.Watch(root)
    config = environment.enter(place, invocation, url=_URL, offline=True)
    drivers.offer_unconnected(invocation.driver)
    watch.start()
    effects.notice_sleep()
    ordering.order_schema_items()
    scripts, files = revisions.load(config)
    history = _Compilation(config, scripts, files, invocation).history(root)
    read = sorted({*watch.project_files(), *(str(path) for path in place.files)})
    folders = _folders(scripts, root)
    products = watch.products()
    covered = _loadable(history, folders, read, root)
    covered = [path for path in covered if path not in products]
    entries = (sources.entry(Path(path), root) for path in covered)
    sums = {name: found for name, found in entries if name}
    return {
        "history": replace(
            history,
            digest=_digest(read, root),
            sources=sums,
            called=invocation.command(),
            root=_seen_from(folder, root),
        ).dump(),
        "files": sorted({*read, *covered}),
        "rewritten": sorted(watch.written),
        "listings": watch.project_listings(folders),
        "libraries": watch.library_files(),
        "variables": sorted(watch.variables - {invocation.variable, "DATABASE_URL"}),
    }


def _seen_from(folder: Path, root: str) -> str:
    """Give the root as a path from the folder that was named, the same on each machine."""
    start = folder.absolute() if folder.is_dir() else folder.absolute().parent
    return Path(os.path.relpath(root, start)).as_posix()


def _folders(scripts: ScriptDirectory, root: str) -> list[str]:
    """List the folders of env.py and of the revisions, with those inside of them.

    An env.py in the project's own folder has the whole project inside of that.
    """
    named = (str(scripts.dir), *map(str, revisions.locations(scripts)))
    tops = [Path(each).absolute() for each in named]
    found = {str(top) for top in tops}
    for top in tops:
        if not Path(root).is_relative_to(top):
            found.update(folders_below(top))
    return sorted(found)


def _loadable(history: History, folders: list[str], read: list[str], root: str) -> list[str]:
    """List the files that a run through env.py can load.

    What is rendered has run to its end, and has loaded what it needs; so that of the revisions only
    the others are looked into.
    """
    rendered = {
        str(Path(root, revision.path).absolute())
        for revision in history.revisions
        if not (revision.upgrade.live or revision.downgrade.live)
    }
    scanned = set(read) - {os.path.normpath(path) for path in rendered}
    return loadable(read, folders=folders, scanned=scanned, root=root)


def _digest(files: Iterable[str], root: str) -> str:
    """Digest the project's files by their names below its folder, and beside it.

    Settings in hidden files (.env) are a machine's own, and left out.
    """
    total = hashlib.sha256()
    lines = set()
    for path in map(Path, files):
        near = path.is_relative_to(Path(root).parent)
        name = Path(os.path.relpath(path, root)).as_posix() if near else path.name
        if not path.name.startswith(".") and path.is_file():
            lines.add(f"{sources.checksum(path)} {name}\n")
    for line in sorted(lines):
        total.update(line.encode(errors="surrogateescape"))
    return total.hexdigest()


class _Compilation:
    """One run of env.py, in which every revision is rendered both ways."""

    def __init__(
        self,
        config: Config,
        scripts: ScriptDirectory,
        files: list[File],
        invocation: Invocation,
    ) -> None:
        self._invocation = invocation
        self._config = config
        self._scripts = scripts
        self._files = files
        self._recorder = Recorder(str(Path(scripts.dir, "env.py")))
        self._sources = repeatability.Sources(self._recorder)
        self._rendered: list[dict[str, Rendering]] = []
        self._root = str(Path.cwd())
        self._needs: dict[str, tuple[str, ...]] = {}
        self._reasons: dict[str, str] = {}
        self._types: dict[str, TypeUse] = {}
        self._environment = Offline(config, scripts, self._recorder, self._render)

    def history(self, root: str) -> History:
        """Run env.py, and put everything together."""
        self._root = root
        forbid_connections(self._recorder)
        effects.forbid(self._recorder)
        self._sources.listen()
        effects.discard_scripts(str(Path(self._scripts.dir, "env.py")))
        offline = self._invocation.redacted(self._run_environment())
        self._load()
        online = self._try_online()
        offline = offline or self._invocation.redacted(self._difference(online))
        self._note_reasons(offline)
        knowledge = locks.Knowledge()
        versions: Offline | online_half.Online = self._environment
        prologue = tuple(self._recorder.prologue)
        if offline:
            versions = online if online.version_table else versions
            prologue = online_half.preparing(online.before)
        return History(
            revisions=tuple(self._revision(file, offline, knowledge) for file in self._files),
            heads=tuple(sorted(self._scripts.get_heads())),
            digest="",
            version_table=versions.version_table,
            version_schema=versions.version_schema,
            version_columns=versions.version_columns,
            version_width=versions.version_width,
            prologue=prologue,
            epilogue=() if offline else tuple(self._recorder.epilogue),
            offline=offline,
            models={**online.models, **self._environment.models},
            types=self._types,
        )

    def _run_environment(self) -> str:
        """Run env.py; say why it can't render, if so."""
        recorder, file = self._recorder, Path(self._scripts.dir, "env.py")
        child.at(file.name)
        try:
            with self._environment:
                self._scripts.run_env()
        except SyntaxError as exc:
            said = revisions.syntax(exc, file)
            raise HistoryError(f"{file} can't be used: {said}. Nothing was done.") from exc
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - an env.py is anybody's code
            if not recorder.asked:
                self._refuse_environment(exc, file)
            if not recorder.offline:
                recorder.offline = worded(exc, str(file))
        if recorder.offline:
            return recorder.offline
        if not recorder.asked:
            return "it never asks context.is_offline_mode()"
        if any(map(self._invocation.shows_secret, (*recorder.prologue, *recorder.epilogue))):
            return "it sends a secret of its arguments by itself"
        if recorder.runs != 1:
            self._refuse_several()
            times = f"{recorder.runs} times" if recorder.runs else "never"
            return f"it runs the revisions {times} in offline mode"
        return _TOO_OLD

    def _refuse_environment(self, exc: BaseException, file: Path) -> None:
        """Refuse an env.py that comes to its end before it asks for its mode."""
        if told := logging_config.explain(exc):
            raise HistoryError(
                f"{file} can't be used: {told}. Nothing was done. Plain Alembic ends there as well:"
                " complete that file, or let env.py go on without it."
            ) from exc
        if isinstance(exc, SystemExit):
            raise HistoryError(
                f"{file} can't be used: {_left(exc, self._root)}. Nothing was done. Alembic was"
                f" called in {self._root}. Let what it imports come without that, or give it what"
                " it misses: a variable, or an argument."
            ) from exc
        if isinstance(exc, ImportError):
            raise HistoryError(
                f"{file} can't be used: {worded(exc, str(file))}. Nothing was done. Alembic was"
                f" called in {self._root}, with {sys.executable}: install what is missing there,"
                " let prepend_sys_path name the folder that has it, or let migrationsRoot name the"
                " folder to call Alembic in."
            ) from exc

    def _refuse_several(self) -> None:
        """Refuse several databases in one run: a node has one."""
        several = self._config.get_main_option("databases") or ""
        if self._recorder.runs > 1 and re.search(r"\S[,\s]+\S", several):
            raise HistoryError(
                f"env.py runs several databases: {several.strip()}. Nothing was done. A node brings"
                " one of them to head: name it with engineName, and make a node for each."
            )

    def _render(self, impl: DefaultImpl, options: dict[str, Any]) -> None:
        """Render all revisions; once more, with its file executed again, what may change."""
        if self._recorder.runs > 1 or _TOO_OLD:
            return
        before = bool(self._files)
        self._load()
        pairs = [(file, file.module) for file in self._files]
        first = self._both_ways(impl, options, pairs)
        files = [str(Path(self._scripts.dir, "env.py")), *(file.path for file in self._files)]
        # Those that env.py has chosen were loaded after what it may have changed.
        everything = not before or repeatability.hooks(files, self._root, impl.context_opts)
        changing = [file for file in self._files if everything or self._may_change(file, first)]
        clock = effects.Clock(self._recorder, self._root)
        again = [(file, revisions.module_again(file)) for file in changing]
        self._rendered = [first, first | self._both_ways(impl, options, again, clock=clock)]

    def _may_change(self, file: File, rendered: dict[str, Rendering]) -> bool:
        """Tell whether a revision has to be rendered once more to know that it stays the same."""
        both = [rendered[f"{direction} {file.revision}"] for direction in ("up", "down")]
        if all(rendering.live for rendering in both):
            return False  # it runs through env.py anyway
        return any(rendering.varies for rendering in both) or not repeatability.is_fixed(file.path)

    def _load(self) -> None:
        """Load the revisions where env.py says, if it was to say so."""
        if not self._files:
            self._files = revisions.read(self._scripts)
        self._needs = {file.revision: _needs(file) for file in self._files}

    def _both_ways(
        self,
        impl: DefaultImpl,
        options: dict[str, Any],
        pairs: list[tuple[File, Any]],
        *,
        clock: effects.Clock | None = None,
    ) -> dict[str, Rendering]:
        """Render up from the first to the last, and down from the last to the first."""
        rendered = {}
        for direction, order in (("up", pairs), ("down", pairs[::-1])):
            for number, (file, module) in enumerate(order, 1):
                # In it Alembic notes which types a run has made; see `named_types`.
                impl.memo = {}
                function = getattr(module, f"{direction}grade", _no_downgrade)
                what = "revision" if direction == "up" else "downgrade"
                child.at(f"{what} {number} of {len(order)}: {Path(file.path).name}")
                ordering.begin_function()
                with clock.watched(file.path) if clock else nullcontext():
                    rendering = self._recorder.render(file.path, function, options)
                rendering.varies = self._sources.taken()
                rendered[f"{direction} {file.revision}"] = rendering
        return rendered

    def _revision(self, file: File, offline: str, knowledge: locks.Knowledge) -> Revision:
        up = self._script(file, "up", offline)
        down = self._script(file, "down", offline)
        document = file.module.__doc__
        return Revision(
            id=file.revision,
            parents=tuple(util.to_tuple(file.down_revision, default=())),
            depends_on=tuple(file._resolved_dependencies),  # noqa: SLF001 - labels as ids
            labels=revisions.labels_of(file),
            message=next(iter((document or "").strip().splitlines()), "").strip(),
            file=revisions.name_of(file, self._scripts),
            sha256=sources.checksum(Path(file.path)),
            upgrade=replace(up, locks=locks.derive(up.statements, knowledge)),
            downgrade=replace(down, locks=locks.derive(down.statements, knowledge, learn=False)),
            lock_timeout=revisions.setting(file, "lock_timeout"),
            statement_timeout=revisions.setting(file, "statement_timeout"),
            ignores=revisions.ignores(file),
            path=Path(os.path.relpath(file.path, self._root)).as_posix(),
        )

    def _try_online(self) -> online_half.Online:
        """Run env.py once more, as for a database that answers nothing."""
        child.at("env.py, its online half")

        def attempt(function: Callable[[], None]) -> str:
            return self._recorder.attempt(lambda: driver.drive(function))

        return online_half.attempt(self._config, self._scripts, attempt)

    def _difference(self, online: online_half.Online) -> str:
        """Say why rendered SQL would not do what env.py does with a database."""
        recorder, environment = self._recorder, self._environment
        source = Path(self._scripts.dir, "env.py").read_text("utf-8", "replace")
        found = online.difference(recorder.prologue, recorder.epilogue, source)
        ours = (environment.version_table, environment.version_schema)
        theirs = (online.version_table, online.version_schema)
        if not found and online.version_table and ours != theirs:
            where = ".".join(filter(None, (online.version_schema, online.version_table)))
            return f"its online half alone keeps the versions in {where}"
        return found

    def _note_reasons(self, offline: str) -> None:
        """Find out what runs through env.py, and what each revision does with types."""
        for file in self._files:
            for direction in ("up", "down"):
                name = f"{direction} {file.revision}"
                self._reasons[name] = self._reason(file, direction, offline)
        rendered = {
            name: None if reason else self._rendered[0][name]
            for name, reason in self._reasons.items()
        }
        self._types = type_uses.of_all(self._files, rendered, self._root)

    def _script(self, file: File, direction: Direction, offline: str) -> Script:
        name = f"{direction} {file.revision}"
        reason = self._reasons[name]
        if offline:
            return Script(live=reason)
        rendering = self._rendered[0][name]
        if reason:
            absent = rendering.absent and reason == rendering.live
            return Script(live=reason, absent=absent, refused=rendering.refused)
        memo = named_types.Memo()
        if rendering.types:
            memo = named_types.memo(file.revision, direction, self._needs, self._types)
        return rendering.script(memo)

    def _reason(self, file: File, direction: str, offline: str) -> str:
        """Say why a revision runs through env.py; nothing where it is rendered."""
        if offline:
            return f"env.py can't render: {offline}"
        first, second = (rendered[f"{direction} {file.revision}"] for rendered in self._rendered)
        if getattr(file.module, "online", False) is True and not first.absent:
            return "its file says online = True"
        if first.live or second.live:
            return self._invocation.redacted(first.live or second.live)
        script = first.script(named_types.Memo())
        if first != second or repeatability.shows_address(script.statements):
            return _CHANGES
        if any(map(self._invocation.shows_secret, script.statements)):
            return _HOLDS_HIDDEN
        return script.live


def _needs(file: File) -> tuple[str, ...]:
    parents = tuple(util.to_tuple(file.down_revision, default=()))
    return (*parents, *file._resolved_dependencies)  # noqa: SLF001 - labels as ids


def _left(exc: SystemExit, root: str) -> str:
    """Say where a process was to end, and what it was to end with."""
    steps = list(traceback.extract_tb(exc.__traceback__))
    own = [step for step in steps if sources.is_project(step.filename, root)] or steps
    said = "" if exc.code is None else f": {str(exc.code).strip()[:_SAID]}"
    return f"line {own[-1].lineno} of {own[-1].filename} ends the process{said}"


def _no_downgrade(**_: object) -> None:
    raise NotImplementedError("it has no function downgrade")


if __name__ == "__main__":
    sys.exit(main())
