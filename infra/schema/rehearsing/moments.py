"""What a run tells of itself on its way: texts, and the moments between their statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.schema.running import indexes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Moment", "Work", "works"]

_STOPPED = 0
"""The number of a statement that did not come to its end."""


@dataclass(kw_only=True)
class Moment:
    """Between two statements.

    Attributes:
        number: Of the statement that comes next; None after the last one.
        at: When this side heard of it, by its monotonic clock.
        begun: The server's clock before it looked.
        ended: After that.
        wal: Position in the WAL.
        locks: What the session holds: oid and mode.
    """

    number: int | None
    at: float
    begun: float
    ended: float
    wal: int
    locks: set[tuple[int, str]]

    @classmethod
    def of(cls, number: int | None, at: float, said: Mapping[str, Any]) -> Moment:
        """Build one from the server's answer."""
        locks = {(int(oid), str(mode)) for oid, mode in said["locks"] or ()}
        begun, ended = float(said["from"]), float(said["to"])
        return cls(number=number, at=at, begun=begun, ended=ended, wal=said["wal"], locks=locks)


@dataclass(kw_only=True)
class Work:
    """Statements that went to the server together.

    Attributes:
        statements: By number.
        moments: Before each of them, and after the last.
        alone: Whether it is one statement outside of transactions, without moments.
        begun: When it was sent, by this side's monotonic clock.
        ended: When all was done and committed; None where it failed.
        wal: Bytes of WAL of a statement alone.
    """

    statements: dict[int, str]
    moments: list[Moment] = field(default_factory=list)
    alone: bool = False
    begun: float
    ended: float | None = None
    wal: int = 0


def works(records: Iterable[Mapping[str, Any]]) -> list[Work]:
    """Turn what a live revision has noted of itself into one text a transaction.

    Args:
        records: See `infra.schema.running.records.Records`.
    """
    made: list[Work] = []
    together: Work | None = None
    for number, record in enumerate(records, start=1):
        if "over" in record:
            if together is not None:
                together.ended = record["over"]
            together = None
        elif indexes.concurrently(record["sql"]):
            made.append(_alone(number, record))
            together = None
        else:
            if together is None:
                together = Work(statements={}, begun=record["begun"])
                made.append(together)
            _add(together, number, record)
    _number(made)
    return made


def _number(made: Iterable[Work]) -> None:
    """Number statements as they are listed: without the ends of transactions, and what stopped."""
    place = 0
    for work in made:
        if work.alone:
            listed = list(work.statements) if work.ended is not None else []
        else:
            listed = [moment.number for moment in work.moments[:-1] if moment.number]
        numbers = {old: place + new for new, old in enumerate(listed, start=1)}
        place += len(numbers)
        work.statements = {numbers.get(old, _STOPPED): sql for old, sql in work.statements.items()}
        for moment in work.moments:
            if moment.number is not None:
                moment.number = numbers.get(moment.number, _STOPPED)


def _alone(number: int, record: Mapping[str, Any]) -> Work:
    wal = record["to"]["wal"] - record["from"]["wal"] if "to" in record else 0
    return Work(
        statements={number: record["sql"]},
        alone=True,
        begun=record["begun"],
        ended=record.get("ended"),
        wal=wal,
    )


def _add(work: Work, number: int, record: Mapping[str, Any]) -> None:
    work.statements[number] = record["sql"]
    work.moments.append(Moment.of(number, record["begun"], record["from"]))
    if "to" in record:
        work.moments.append(Moment.of(None, record["ended"], record["to"]))
