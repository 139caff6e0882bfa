"""The history that an Alembic directory holds: compiled once, and again when a file changes."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import child, interpreter, store
from infra.schema.errors import HistoryError
from infra.schema.invocation import Invocation
from infra.schema.model import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Observer", "observed", "read"]

_ROOT = Path(__file__).parents[2]
_USUAL = Invocation()
_QUIET_SECONDS = 2.0
_BETWEEN_SECONDS = 0.5


def _nothing() -> None: ...


def read(
    folder: Path,
    invocation: Invocation = _USUAL,
    *,
    seconds: float | None = None,
    keep: bool = True,
) -> History:
    """Give the history of an Alembic directory, without a database and without Alembic at hand.

    A directory that was read before and has not changed since is not compiled again.

    Args:
        folder: The folder in which `alembic` is called, or the one with env.py in it.
        invocation: How it is called.
        seconds: How long env.py and the revisions may take to be rendered; None for what the
            invocation says.
        keep: Whether to keep the result for the next time; not where the folder will be gone.

    Raises:
        HistoryError: The configuration, a revision or env.py is broken; the interpreter lacks
            what is needed; or rendering never ends.
    """
    if invocation.python:
        interpreter.examine(invocation.python)
    kept = store.recall(folder, invocation) if keep else None
    if kept is not None:
        return History.of(kept)
    since = time.time_ns()
    try:
        answer = _compiled(folder, invocation, invocation.seconds if seconds is None else seconds)
    except HistoryError as exc:
        raise HistoryError(invocation.redacted(str(exc))) from exc
    if keep:
        store.remember(folder, invocation, answer, since=since)
    return History.of(answer["history"])


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Who looks on while a history is compiled.

    Attributes:
        report: Called with a line of progress: "rendering revision 57 of 124".
        interrupt: Called some times a second; what it raises ends the compilation.
        finish: Called once nothing more is to be reported.
    """

    report: Callable[[str], None]
    interrupt: Callable[[], None] = _nothing
    finish: Callable[[], None] = _nothing


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Let an observer hear of all histories that are compiled inside, in this thread."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


class _Progress:
    """Passes on what a compilation turns to, once it takes a while, and not too often."""

    def __init__(self) -> None:
        """Begin now."""
        self._observer = _observer.get()
        self._next = time.monotonic() + _QUIET_SECONDS
        self._last = ""
        self.reported = False

    def __call__(self, place: str) -> None:
        """Report that it is at a place: a file, and where it is among the others."""
        if self._observer is None:
            return
        self._observer.interrupt()
        now = time.monotonic()
        counted = place.partition(": ")[0] if ": " in place else ""
        if counted and counted != self._last and now >= self._next:
            self._observer.report(f"rendering {counted}")
            self.reported = True
            self._last, self._next = counted, now + _BETWEEN_SECONDS

    def finish(self) -> None:
        """Report that nothing more comes, where something was reported."""
        if self._observer is not None and self.reported:
            self._observer.finish()


def _compiled(folder: Path, invocation: Invocation, seconds: float) -> dict[str, Any]:
    task = {
        "folder": str(folder.absolute()),
        "invocation": invocation.dump(),
        "parent": os.getpid(),
    }
    progress = _Progress()
    given = child.converse(
        interpreter.command(invocation.python, "infra.schema.compiler"),
        task,
        folder=_ROOT,
        # The order of a set is then the same in every run, and so is SQL that follows it.
        environment={
            **interpreter.environ(invocation.python),
            **dict(invocation.environment),
            "PYTHONHASHSEED": "0",
        },
        seconds=seconds,
        turned=progress,
    )
    progress.finish()
    where, said = child.whereabouts(given.said)
    try:
        answer: dict[str, Any] = json.loads(given.text)
    except ValueError as exc:
        if given.status is None:
            raise HistoryError(_too_long(folder, seconds, where)) from exc
        where = _file(where)
        why = said or f"exit status {given.status}"
        msg = (
            f"The process that renders {folder} ended without an answer: {why}."
            f"{f' It was at {where}.' if where else ''} Nothing was done."
        )
        raise HistoryError(msg) from exc
    if "error" in answer:
        raise HistoryError(str(answer["error"]))
    return answer


def _file(where: str) -> str:
    """Give the file of a place that may be one of many: "revision 57 of 124: FILE"."""
    return where.rpartition(": ")[2]


def _too_long(folder: Path, seconds: float, where: str) -> str:
    where = _file(where)
    place = where or "env.py, in what it imports, and in the revisions"
    return (
        f"The migrations in {folder} were not rendered within {seconds:g} s, and the attempt"
        f" was ended{f' in {where}' if where else ''}. Nothing was done. Look for a loop or a"
        f" wait in {place}; if it only takes its time, set a longer renderTimeout."
    )
