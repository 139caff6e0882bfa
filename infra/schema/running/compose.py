"""Puts the statements of a revision and their bookkeeping into one text, sent in one round trip."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from infra.schema.statements.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.schema import ledger
    from infra.schema.model import Step
    from infra.schema.running.versions import VersionTable

__all__ = [
    "COUNTED",
    "MARK",
    "PROLOGUE",
    "RESET",
    "Frame",
    "Text",
    "act",
    "keep",
    "own_timeouts",
    "timeouts",
    "transaction",
]

RESET = ("RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL")
"""Takes back what an earlier revision has set for the session; the startup values return."""

_LOGIN = "SET LOCAL SESSION AUTHORIZATION DEFAULT"

MARK = "groundwork: next"
COUNTED = f"DO {literal(f'BEGIN RAISE INFO {literal(MARK)}; END')}"
# PostgreSQL says where in a text a syntax error is, and nothing of an error at run time. It sends
# an INFO at once, whatever client_min_messages is, and the count of these tells the statement.
# Costs about 15 microseconds each. A watch puts more into it, behind the same words.

PROLOGUE = 0
"""The number that stands for the statements of env.py; those of a revision count from 1."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands around the statements of every revision of a run.

    Attributes:
        run: What its events have in common.
        table: The version table.
        prologue: SQL of env.py that prepares the session of each revision.
        role: The role in which a connection begins, "none" for the login itself.
        acting: The role after the prologue: the version table belongs to it.
        lock_timeout: For each wait for a lock.
        statement_timeout: For each statement.
        missing: Whether the version table is still to be made.
        mark: SQL that stands before each statement and after the last.
        limits: SQL that sets again what a pooler has not taken at the login.
    """

    run: ledger.Run
    table: VersionTable
    prologue: tuple[str, ...]
    role: str
    acting: str
    lock_timeout: str
    statement_timeout: str
    missing: bool = False
    mark: str = COUNTED
    limits: tuple[str, ...] = ()

    @property
    def reset(self) -> tuple[str, ...]:
        """SQL that makes a session as it was at the login."""
        return (*RESET, *self.limits)


class Text:
    """Statements joined into one text, each found again by its place in it.

    Attributes:
        statements: Those that are numbered, by number.
        stands_alone: Whether it is one statement, which bears no transaction around it.
    """

    def __init__(self, *statements: str, mark: str = COUNTED) -> None:
        """Begin with statements of our own; `mark` is sent around each that is numbered."""
        self._mark_sql = mark
        self._pieces: list[str] = []
        self._length = 0
        self._starts: list[int] = []
        self._numbers: list[int | None] = []
        self._marks: list[int | None] = [None]
        self.statements: dict[int, str] = {}
        self.stands_alone = False
        self.add(statements)

    @classmethod
    def alone(cls, number: int | None, statement: str) -> Text:
        """Make a text of one statement, as it stands, for what must not be sent with others."""
        text = cls()
        text._pieces, text._starts = [statement], [0]
        text._numbers, text._marks = [number], [number]
        text.stands_alone = True
        if number is not None:
            text.statements[number] = statement
        return text

    @property
    def sql(self) -> str:
        """All of it."""
        return "".join(self._pieces)

    def add(self, statements: Iterable[str]) -> None:
        """Add bookkeeping."""
        for statement in statements:
            self._add(statement, None)

    def add_numbered(self, numbered: Sequence[tuple[int, str]]) -> None:
        """Add statements that a failure is to name, each with its number."""
        for number, statement in numbered:
            self._mark(number)
            self.statements.setdefault(number, statement)
            self._add(statement, number)
        if numbered:
            self._mark(None)

    def number_at(self, position: int) -> int | None:
        """Give the number of the statement at a character, counted from 1 as PostgreSQL does."""
        place = bisect_right(self._starts, position - 1) - 1
        return self._numbers[place] if place >= 0 else None

    def number_after(self, marks: int) -> int | None:
        """Give the number of the statement that ran when so many marks had come."""
        return self._marks[marks] if marks < len(self._marks) else None

    def _mark(self, number: int | None) -> None:
        self._marks.append(number)
        self._add(self._mark_sql, None)

    def _add(self, statement: str, number: int | None) -> None:
        # Ended on a line of its own, since a statement may end with a comment.
        piece = f"{statement}\n;\n"
        self._starts.append(self._length)
        self._numbers.append(number)
        self._pieces.append(piece)
        self._length += len(piece)


def transaction(
    frame: Frame,
    step: Step,
    numbered: Sequence[tuple[int, str]],
    *,
    compare: bool,
    keeping: Iterable[str],
    start: Literal["fresh", "lasting", "on"] = "fresh",
) -> Text:
    """Put statements into one transaction.

    Args:
        frame: What stands around them.
        step: The revision that they are of.
        numbered: The statements and their numbers in the revision, which count from 1.
        compare: Whether the version table must be at `step.before`.
        keeping: The bookkeeping.
        start: "fresh" begins as a new session would, and sends env.py's prologue; "lasting" too,
            with timeouts that hold beyond this transaction; "on" goes on as the session is.
    """
    text = Text(*(frame.reset if start != "on" else ()), "BEGIN", mark=frame.mark)
    leading = numbered[: step.script.leading] if start == "fresh" else []
    if start != "on":
        text.add(timeouts(frame, local=start == "fresh"))
        # What env.py sends first may make the schema of the version table.
        text.add_numbered(leading or [(PROLOGUE, statement) for statement in frame.prologue])
        text.add(own_timeouts(step, local=start == "fresh"))
    if compare:
        text.add(frame.table.create if frame.missing else ())
        text.add(frame.table.compare(step.before))
    text.add_numbered(numbered[len(leading) :])
    text.add([*keeping, "COMMIT"])
    return text


def timeouts(frame: Frame, *, local: bool) -> list[str]:
    """Write the timeouts of the run."""
    return _timeouts(frame.lock_timeout, frame.statement_timeout, local=local)


def own_timeouts(step: Step, *, local: bool) -> list[str]:
    """Write the timeouts that the revision declares, if any."""
    return _timeouts(step.lock_timeout, step.statement_timeout, local=local)


def _timeouts(lock: str, statement: str, *, local: bool) -> list[str]:
    word = "SET LOCAL" if local else "SET"
    wanted = {"lock_timeout": lock, "statement_timeout": statement}
    return [f"{word} {name} = {literal(value)}" for name, value in wanted.items() if value]


def keep(frame: Frame, *, moves: Iterable[str] = (), events: Iterable[str] = ()) -> list[str]:
    """Write bookkeeping that works whatever role and search_path the revision has left.

    Only for this transaction: what a revision sets for the session holds until its end.

    Args:
        frame: Says who may write what.
        moves: SQL on the version table, which belongs to the role after the prologue.
        events: SQL on the ledger, which belongs to the role of the connection.
    """
    begin = [_LOGIN, "SET LOCAL search_path = pg_catalog"]
    moving = [_as(frame.acting), *moves]
    return [*begin, *(moving if len(moving) > 1 else ()), _as(frame.role), *events]


def act(role: str) -> list[str]:
    """Write SQL that takes a role, as the setting has it, until the transaction ends."""
    return [_LOGIN, _as(role)]


def _as(role: str) -> str:
    return f"SELECT pg_catalog.set_config('role', {literal(role)}, true)"
