"""What revisions and env.py do while they are rendered: their SQL, and what needs a database."""

from __future__ import annotations

import sys
import threading
import types
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from infra.schema.model import Part, Script
from infra.schema.named_types import guarded
from infra.schema.rendering.caught import is_caught
from infra.schema.rendering.transactions import objection
from infra.schema.statements.lexer import UnfinishedError, closed, split
from infra.schema.statements.unsendable import unsendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from infra.schema.named_types import Memo

__all__ = ["NotRenderableError", "Recorder", "Rendering", "become", "by_library", "worded"]

_REASON = 200  # characters of somebody else's message that a line can bear
_LIBRARIES = frozenset({"alembic", "sqlalchemy"})


class NotRenderableError(Exception):
    """Raised into code that asks what only a database can answer."""


@dataclass(slots=True)
class _Statement:
    sql: str
    autocommit: bool
    line: int
    type: tuple[str, str] | None = None


@dataclass(slots=True)
class Rendering:
    """What the function of a revision did.

    Attributes:
        file: Its file.
        statements: What it sent, with the line that did.
        live: Why that isn't all, or may be something else the next time; empty if it is.
        absent: Whether it says that this direction does not exist.
        refused: What it sends that can't be sent, with the line; empty if all can.
        varies: Whether it has used something that may differ the next time.
    """

    file: str
    statements: list[_Statement] = field(default_factory=list)
    live: str = ""
    absent: bool = False
    refused: str = ""
    varies: bool = field(default=False, compare=False)

    @property
    def types(self) -> tuple[tuple[str, str], ...]:
        """Schema and name of the types that it makes for the columns of new tables."""
        return tuple(statement.type for statement in self.statements if statement.type)

    def script(self, memo: Memo) -> Script:
        """Make a script of it, unless something in it can't be sent as it stands.

        Args:
            memo: The types that it finds made.
        """
        parts: list[tuple[bool, list[str]]] = []
        for statement in [] if self.live else _lacking(self.statements, memo):
            pieces, wrong = _pieces(statement)
            if wrong:
                return Script(live=_placed(statement.line, wrong), refused=self.refused)
            if not parts or parts[-1][0] != statement.autocommit:
                parts.append((statement.autocommit, []))
            parts[-1][1].extend(pieces)
        return Script(
            parts=tuple(
                Part(statements=tuple(statements), autocommit=autocommit)
                for autocommit, statements in parts
                if statements
            ),
            live=self.live,
            absent=self.absent,
            refused=self.refused,
        )


class Recorder:
    """Collects what is sent, and notes why something can't be rendered.

    Attributes:
        asked: Whether env.py asked which mode it is in.
        runs: How often env.py ran the revisions.
        prologue: SQL of env.py before the revisions.
        epilogue: SQL of env.py after them.
        offline: Why env.py can't render; empty as long as nothing is in the way.
        trying: Whether the online half of env.py is being tried.
    """

    def __init__(self, environment: str) -> None:
        """Begin with the file of env.py, whose lines are told."""
        self.asked = False
        self.runs = 0
        self.prologue: list[str] = []
        self.epilogue: list[str] = []
        self.offline = ""
        self.trying = False
        self._environment = environment
        self._thread = threading.get_ident()
        self._current: Rendering | None = None
        self._autocommit = False

    @property
    def rendering(self) -> bool:
        """Whether the function of a revision is running, in this thread.

        Threads of an application, which an import has started, go on beside it.
        """
        return self._current is not None and self._thread == threading.get_ident()

    def render(
        self, file: str, function: Callable[..., object], options: dict[str, Any]
    ) -> Rendering:
        """Run one direction of a revision, and give what it does."""
        self._thread = threading.get_ident()
        self._current = rendering = Rendering(file)
        try:
            function(**options)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - revisions are anybody's code
            _note_failure(rendering, exc)
        finally:
            self._current, self._autocommit = None, False
        return rendering

    def attempt(self, function: Callable[[], None]) -> str:
        """Run the online half of env.py; say why it did not come to its end, if so."""
        self.trying = True
        try:
            return self.render(self._environment, function, {}).live
        finally:
            self.trying = False

    def statement(self, sql: str, type_: tuple[str, str] | None = None) -> None:
        """Note SQL that would be sent to the database.

        Args:
            sql: The text.
            type_: Schema and name of the type that it makes for a column of a new table.
        """
        text = sql.strip().rstrip(";").rstrip()
        if not text:
            return
        if self._current is not None:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way
            line = _line(self._current.file, frame)
            # Within a transaction such an error would end that, caught or not.
            if self._autocommit and is_caught(frame, Recorder.render.__code__):
                self.refuse("sends SQL whose error is caught")
            # After a refusal it may be what only an offline run would send.
            wrong = "" if self._current.live else unsendable(text)
            if wrong and not self._current.refused:
                self._current.refused = _placed(line, f"sends {wrong}")
            self._current.statements.append(_Statement(text, self._autocommit, line, type_))
        else:
            pieces, wrong = _pieces(_Statement(text, autocommit=False, line=0), apart=True)
            sends = unsendable(text)
            wrong = wrong or (f"sends {sends}" if sends else "")
            if wrong or self._autocommit:
                self.refuse(wrong or "commits SQL on its way")
            (self.epilogue if self.runs else self.prologue).extend(pieces)

    @contextmanager
    def autocommit(self) -> Iterator[None]:
        """Note statements that commit one by one."""
        before, self._autocommit = self._autocommit, True
        try:
            yield
        finally:
            self._autocommit = before

    def asks_mode(self) -> None:
        """Note that somebody wants to know whether a database is there."""
        if self._current is None:
            self.asked, self._thread = True, threading.get_ident()  # env.py's own, from now on
        else:
            self.refuse("asks whether it runs offline")

    def refuse(self, what: str) -> None:
        """Note what can't be rendered, with the line that does it; the first reason counts.

        Args:
            what: What it does, to be read after the line: "asks the database".
        """
        if threading.get_ident() != self._thread:  # one that the application has beside it
            return
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to know who asks
        if self._current is not None:
            reason = _placed(_line(self._current.file, frame), what)
            self._current.live = self._current.live or reason
        else:
            self.offline = self.offline or _placed(_line(self._environment, frame), what)


def by_library(frame: FrameType) -> bool:
    """Tell whether code of Alembic or SQLAlchemy is running in `frame`."""
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.partition(".")[0] in _LIBRARIES


def become(thing: object, recording: type) -> None:
    """Make an object one of a class that goes before its own, with the same attributes.

    Args:
        thing: What libraries hold on to already, so that it can't be another object.
        recording: The class.
    """
    thing.__class__ = types.new_class(recording.__name__, (recording, type(thing)))


def worded(exc: BaseException, file: str) -> str:
    """Say in one line what `exc` is, and which line of `file` it came through."""
    line = 0
    traceback = exc.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(exc, SystemExit):
        return _placed(line, "ends the process")
    said = next(iter(str(exc).strip().splitlines()), "")[:_REASON]
    return _placed(line, f"raises {type(exc).__name__}{': ' if said else ''}{said}")


def _line(file: str, frame: FrameType | None) -> int:
    """Find the innermost line of `file` in a stack; 0 where there is none."""
    while frame is not None:
        if frame.f_code.co_filename == file:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _placed(line: int, what: str) -> str:
    return f"line {line} {what}" if line else f"it {what}"


def _note_failure(rendering: Rendering, exc: BaseException) -> None:
    """Note why a revision stopped; a reason that it was given before counts more."""
    reason = worded(exc, rendering.file)
    rendering.live = rendering.live or reason
    traceback = exc.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    # Raised by the revision or a helper of its project, not by a library that lacks something.
    if isinstance(exc, NotImplementedError) and traceback and not by_library(traceback.tb_frame):
        rendering.absent = True


def _lacking(statements: list[_Statement], memo: Memo) -> Iterator[_Statement]:
    """Leave out what makes a type that is there, and guard what makes one that may be."""
    for statement in statements:
        found = memo.find(statement.type) if statement.type else False
        if found is None and statement.type:
            yield replace(statement, sql=guarded(statement.type, statement.sql))
        elif not found:
            yield statement


def _pieces(statement: _Statement, *, apart: bool = False) -> tuple[list[str], str]:
    """Give what is sent in one go each, and what is wrong with it."""
    try:
        pieces = split(statement.sql)
    except UnfinishedError as exc:
        return [], f"sends SQL in which {exc}"
    objections = (objection(piece, autocommit=statement.autocommit) for piece in pieces)
    wrong = next(filter(None, objections), "")
    # Several in one text run as one transaction, which autocommit must not make of them.
    apart = apart or statement.autocommit
    return pieces if apart else [closed(statement.sql)] if pieces else [], wrong
