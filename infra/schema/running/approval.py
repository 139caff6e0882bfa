"""Stops a run through env.py at what its plan does not show, or its approval does not cover."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import Engine

from infra.schema.rendering import drivers
from infra.schema.rendering.sources import absolute, entry, is_project, read_elsewhere
from infra.schema.running.records import OURS
from infra.schema.statements import losses, session
from infra.schema.statements.lexer import UnfinishedError, split
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence

__all__ = ["Files", "OwnStatements", "UncoveredError", "quietly"]

# Of asyncpg: every text goes through one of them.
_SENDING = ("execute", "_get_statement")
_quiet: list[bool] = []
_READING = frozenset({"SELECT", "SHOW", "TABLE", "VALUES", "WITH"})
_CONTROL = frozenset(
    {"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"}
    | {"CLOSE", "DEALLOCATE", "DISCARD", "LISTEN", "UNLISTEN"}
)
_DESTROYING = frozenset({"DELETE", "DROP", "TRUNCATE"})
_WRITING = ("INSERT", "UPDATE", "DELETE", "MERGE", "INTO")
_OPENED_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class UncoveredError(CommandError):
    """What would be loaded or sent is in no plan, or not as it was approved."""


class Files:
    """Compares each project file that this process opens with the approved one.

    Attributes:
        refused: Why one was refused; empty as long as none was.
    """

    def __init__(self, approved: Mapping[str, str], root: str) -> None:
        """Take the checksums by name, and the project's folder, absolute."""
        self.refused = ""
        self._approved = approved
        self._root = root
        self._busy = False

    def start(self) -> None:
        """Begin; a process can't stop it again."""
        sys.addaudithook(self._heard)

    def check(self) -> None:
        """Refuse again what code has swallowed.

        Raises:
            UncoveredError: A file was refused.
        """
        if self.refused:
            raise UncoveredError(self.refused)

    def _heard(self, event_: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        found: Sequence[str | None]
        if event_ == "open":
            found = [] if _writes(*arguments[1:3]) else [absolute(arguments[0])]
        else:
            found = read_elsewhere(event_, arguments)
        paths = [Path(each) for each in found if each is not None]
        if not paths:
            return
        self._busy = True  # what follows opens the file as well
        try:
            why = next(filter(None, map(self._objection, paths)), "")
        finally:
            self._busy = False
        if why:
            self.refused = self.refused or why
            raise UncoveredError(why)

    def _objection(self, path: Path) -> str:
        if not is_project(str(path), self._root):
            return ""
        if not path.is_file():
            return ""
        name, found = entry(path, self._root)
        if not name or self._approved.get(name) == found:
            return ""
        what = "has changed since" if name in self._approved else "was not known to"
        return (
            f"The file {name} is about to be loaded, and {what} the plan that was approved."
            " Nothing of it ran. Where its name is known only when it runs, move it to the folder"
            " of env.py, or read it while its revision is loaded; then approve a new preview."
        )


def _writes(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return bool(set(mode).intersection("wax+"))
    return isinstance(flags, int) and bool(flags & _OPENED_TO_WRITE)


@contextmanager
def quietly() -> Iterator[None]:
    """Send something of this project's own."""
    _quiet.append(True)
    try:
        yield
    finally:
        _quiet.pop()


class OwnStatements:
    """Looks at the SQL that env.py itself sends, beside the revision and Alembic.

    Attributes:
        unshown: What changes something, and no plan shows, in order.
    """

    def __init__(self, known: Collection[str], *, approved: bool) -> None:
        """Know what the plan shows.

        Args:
            known: Statements of env.py that the plan shows.
            approved: Whether only what was approved may run; else what loses no data may as well.
        """
        self._known = {_plain(statement) for statement in known}
        self._approved = approved
        self._own = True
        self.unshown: list[str] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Look at what goes over any engine of this process, and over asyncpg without one.

        A listener of an engine sends SQL by the driver's own cursor, which no engine tells of.
        """
        event.listen(Engine, "before_cursor_execute", self._before)
        driver: Any = None
        if drivers.installed("asyncpg"):
            driver = importlib.import_module("asyncpg").Connection
        sending = {name: getattr(driver, name) for name in _SENDING if driver}
        for name, send in sending.items():
            setattr(driver, name, self._looking(send))
        try:
            yield
        finally:
            for name, send in sending.items():
                setattr(driver, name, send)
            event.remove(Engine, "before_cursor_execute", self._before)

    def _looking(self, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Look at a text before a method of asyncpg sends it."""

        async def looked(connection: Any, query: str, *values: Any, **options: Any) -> Any:
            self._look(query)
            return await send(connection, query, *values, **options)

        return looked

    @contextmanager
    def apart(self, *, own: bool) -> Iterator[None]:
        """Say whether what is sent inside is env.py's own."""
        before, self._own = self._own, own
        try:
            yield
        finally:
            self._own = before

    def _before(
        self,
        _connection: object,
        _cursor: object,
        statement: str,
        _values: Any,
        context: Any,
        *_: Any,
    ) -> None:
        if context is None or OURS not in context.execution_options:
            self._look(statement)

    def _look(self, statement: str) -> None:
        """Refuse what no plan shows.

        Raises:
            UncoveredError: It may not be sent.
        """
        for piece in self.changing(statement):
            if self._approved or _destroys(piece):
                raise UncoveredError(
                    f"env.py sends SQL that the plan does not show: {first_line(piece)}. It was"
                    " stopped before it. Send it in env.py's offline mode as well, with"
                    " context.execute, so that the plan shows it; or move it into a revision."
                )
            if piece not in self.unshown:
                self.unshown.append(piece)

    def changing(self, statement: str) -> list[str]:
        """List what env.py itself sends in a text that no plan shows, and that may change data."""
        if not self._own or _quiet:
            return []
        return [
            piece
            for piece in _split(statement)
            if not _harmless(piece) and _plain(piece) not in self._known
        ]


def _plain(statement: str) -> str:
    return " ".join(statement.rstrip("; \n").split())


def _split(statement: str) -> list[str]:
    try:
        return split(statement)
    except UnfinishedError:  # PostgreSQL says so
        return []


def _destroys(piece: str) -> bool:
    return Sentence(piece).word() in _DESTROYING or bool(losses.named([piece]))


def _harmless(piece: str) -> bool:
    """Tell whether a statement sets something, reads, or controls its transaction."""
    sentence = Sentence(piece)
    first = sentence.copy().word()
    if first in _CONTROL or session.sets(piece):
        return True
    return first in _READING and not any(sentence.has(word) for word in _WRITING)
