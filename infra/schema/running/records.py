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

__all__ = ["Records"]

_VALUES = 20  # of one statement; the rest of them tells no more
_WIDTH = 80


class Records:
    """Notes statements with what the server says of itself before and after each.

    Attributes:
        all: By statement: `sql`, `from` and `to` (answers to the question), `begun` and `ended`
            (this machine's monotonic clock, seconds); a statement that failed has no `ended`. Ends
            of transactions stand between them as `over`, with their time.
    """

    def __init__(self, question: str, ask: Callable[[Connection, str], Any]) -> None:
        """Begin with the question that is asked around each statement; "" notes nothing.

        Args:
            question: SQL that gives one value, a JSON object.
            ask: Sends it past the listeners.
        """
        self.all: list[dict[str, Any]] = []
        self._question = question
        self._ask = ask
        self._noting = False
        self._busy = False

    def listen(self, connection: Connection) -> None:
        """Hear what goes over a connection, from here on."""
        if not self._question:
            return
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)
        for ending in ("commit", "rollback"):
            event.listen(connection, ending, self._over)

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
        _context: object,
        _many: bool,  # noqa: FBT001 - the same
    ) -> None:
        if self._busy or not self._noting:
            return
        self.all.append(
            {
                "sql": _with_values(statement, parameters),
                "from": self._answer(connection),
                "begun": time.monotonic(),
            }
        )

    def _after(self, connection: Connection, *_: object) -> None:
        if self._busy or not self._noting or not self.all:
            return
        last = self.all[-1]
        if "over" not in last and "ended" not in last:
            last["ended"] = time.monotonic()
            last["to"] = self._answer(connection)

    def _over(self, _connection: Connection) -> None:
        self.all.append({"over": time.monotonic()})

    def _answer(self, connection: Connection) -> dict[str, Any]:
        self._busy = True
        try:
            answer: dict[str, Any] = json.loads(self._ask(connection, self._question))
        finally:
            self._busy = False
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
