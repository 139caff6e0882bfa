"""What a revision that runs live sends, noted statement by statement, for whoever looks on."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

__all__ = ["OURS", "Records"]

OURS = "groundwork_ours"
"""Execution option of statements that are nobody's but this project's."""

_BY_ENVIRONMENT = "-- sent by env.py itself"
_VALUES = 20  # of one statement; the rest of them tells no more
_WIDTH = 80


class Records:
    """Notes statements with what the server says of itself before and after each.

    Attributes:
        all: By statement: `sql`, `from` and `to` (answers to the question), `begun` and `ended`
            (this machine's monotonic clock, seconds); a statement that failed has no `ended`. Ends
            of transactions stand between them as `over`, with their time.
    """

    def __init__(
        self,
        question: str,
        ask: Callable[[Connection, str], Any],
        own: Callable[[str], list[str]] = lambda _: [],
    ) -> None:
        """Begin with the question that is asked around each statement; "" notes nothing.

        Args:
            question: SQL that gives one value, a JSON object.
            ask: Sends it as one of ours.
            own: Lists what is to be noted of a text that env.py itself sends.
        """
        self.all: list[dict[str, Any]] = []
        self._question = question
        self._ask = ask
        self._own = own
        self._noting = False

    def listen(self, connection: Connection) -> None:
        """Hear what goes over a connection, from here on."""
        if not self._question:
            return
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)
        for ending in ("commit", "rollback"):
            event.listen(connection, ending, self._over)

    def note_sent(self, connection: Connection, statements: list[str]) -> None:
        """Note what env.py itself has sent before this could listen; its times are not known."""
        for statement in statements if self._question else ():
            answer, now = self._answer(connection), time.monotonic()
            sql = f"{_BY_ENVIRONMENT}\n{statement}"
            self.all.append({"sql": sql, "from": answer, "to": answer, "begun": now, "ended": now})

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is sent inside; Alembic's own statements are not the revision's."""
        self._noting = True
        try:
            yield
        finally:
            self._noting = False

    def _before(
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,
        context: Any,
        _many: bool,  # noqa: FBT001 - as SQLAlchemy calls it
    ) -> None:
        sender = self._sender(statement, context)
        if sender is None:
            return
        self.all.append(
            {
                "sql": sender + _with_values(statement, parameters),
                "from": self._before_it(connection),
                "begun": time.monotonic(),
            }
        )

    def _after(
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        _parameters: Any,
        context: Any,
        _many: bool,  # noqa: FBT001 - the same
    ) -> None:
        if self._sender(statement, context) is None:
            return
        last = self.all[-1]
        last["ended"] = time.monotonic()
        last["to"] = self._answer(connection)

    def _sender(self, statement: str, context: Any) -> str | None:
        """Say in a comment whose statement it is, "" for the revision; None notes nothing."""
        if OURS in context.execution_options:
            return None
        if self._noting:
            return ""
        return f"{_BY_ENVIRONMENT}\n" if self._own(statement) else None

    def _over(self, _connection: Connection) -> None:
        self.all.append({"over": time.monotonic()})

    def _before_it(self, connection: Connection) -> dict[str, Any]:
        """Ask; but not behind a statement that failed: its transaction may take no question.

        What goes on from there, ROLLBACK TO SAVEPOINT, would fail here and nowhere else. The
        server's clock is then ours, from the last answer on.
        """
        last = self.all[-1] if self.all else {}
        if "over" in last or "ended" in last or not last:
            return self._answer(connection)
        passed, answer = time.monotonic() - last["begun"], last["from"]
        return {**answer, "from": answer["from"] + passed, "to": answer["to"] + passed}

    def _answer(self, connection: Connection) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(connection, self._question))
        return answer


def _with_values(statement: str, parameters: Any) -> str:
    """Put the values of a statement behind it, in a comment that no value can end."""
    if not parameters:
        return statement
    values = parameters.values() if isinstance(parameters, dict) else parameters
    said = [_cut(repr(value)) for value in list(values)[:_VALUES]]
    more = [f"and {len(values) - _VALUES} more"] if len(values) > _VALUES else []
    return f"{statement}\n-- with {', '.join([*said, *more])}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
