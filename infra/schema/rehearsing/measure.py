"""Measures a run on a throwaway server: statements, locks, WAL, what was written anew."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from infra.schema.rehearsing import held, moments, relations
from infra.schema.rehearsing.gate import Gate
from infra.schema.rehearsing.moments import Moment, Work
from infra.schema.rehearsing.sampler import Sampler, lost
from infra.schema.review import Rehearsed, Sent
from infra.schema.running.compose import MARK
from infra.schema.statements import losses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from infra.schema.model import Step
    from infra.schema.rehearsing.relations import Relations
    from infra.schema.running.compose import Text

__all__ = ["Measure"]

_Answer = TypeVar("_Answer")

_CLOSE_SECONDS = 5.0
_FIRST_OID = 16384  # of what is not PostgreSQL's own
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8"

# The server's own clock, so that the way back and forth is in no statement's time; `from` and `to`
# stand at both ends, so that the question isn't either.
_ANSWER = """
pg_catalog.json_build_object(
    'from', extract(epoch FROM {begun}),
    'wal', pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8,
    'locks', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(relation::int8, mode))
              FROM pg_catalog.pg_locks
              WHERE locktype = 'relation' AND granted AND pid = pg_catalog.pg_backend_pid()
                  AND relation BETWEEN {first} AND {newest}
                  AND database = (SELECT oid FROM pg_catalog.pg_database
                                  WHERE datname = pg_catalog.current_database())),
    'to', extract(epoch FROM pg_catalog.clock_timestamp()))::pg_catalog.text
"""
_MARK = """DO $groundwork$
DECLARE begun pg_catalog.timestamptz := pg_catalog.clock_timestamp();
BEGIN
    RAISE INFO '{mark}%', {answer};
END $groundwork$"""
# Materialized, so that the first clock is read before the second one.
_QUESTION = """
WITH begun AS MATERIALIZED (SELECT pg_catalog.clock_timestamp() AS at) SELECT {answer} FROM begun
"""


class Measure:
    """Looks on while a plan runs.

    Attributes:
        steps: What was seen of each step, in order; one that failed is among them, without an end.
        mark: See `infra.schema.running.watch.Watch`.
        question: The same.
    """

    def __init__(
        self,
        connect: Mapping[str, Any],
        *,
        version_table: str,
        rows: Mapping[str, int],
        sizes: Mapping[str, int],
        home: str = "public",
    ) -> None:
        """Know where to look; nothing happens yet.

        Args:
            connect: Arguments of asyncpg.connect that lead to the database as a superuser.
            version_table: Alembic's table, as SQL writes it.
            rows: Rows of the real tables, by name.
            sizes: Their sizes in bytes.
            home: The schema that the run's session looks into first.
        """
        self.steps: list[Rehearsed] = []
        self.mark = self.question = ""
        self._connect = connect
        self._version_table = version_table
        self._rows, self._sizes, self._home = rows, sizes, home
        self._connection: Any = None
        self._sampler: Sampler | None = None
        self._gate: Gate | None = None
        self._step: Step | None = None
        self._before: Relations = {}
        self._newest = 0
        self._works: list[Work] = []
        self._begun, self._wal = 0.0, 0

    async def begin(self, step: Step) -> None:
        """See what is there before a step."""
        if self._connection is None:
            await self._open()
        self._step, self._works = step, []
        self._before = await self._ask(self._relations)
        self._newest = max(self._before, default=_FIRST_OID)
        answer = {"first": _FIRST_OID, "newest": self._newest}
        mark = _ANSWER.format(begun="begun", **answer)
        self.mark = _MARK.format(mark=MARK, answer=mark)
        self.question = _QUESTION.format(answer=_ANSWER.format(begun="at", **answer))
        self._wal = await self._ask(_written)
        self._begun = time.monotonic()
        if step.script.live and self._sampler:
            self._sampler.start(self._newest, pause=0.001)

    def attempt(self) -> None:
        """Forget what a try before this one did."""
        self._works = []

    async def sends(self, text: Text) -> None:
        """Note that a text goes out; one that stands alone is watched from outside."""
        if self._gate:
            await self._gate.open()
        if not text.statements:
            return
        alone = text.stands_alone
        work = Work(statements=text.statements, alone=alone, begun=time.monotonic())
        if alone and self._sampler:
            work.wal = await self._ask(_written)
            self._sampler.start(self._newest)
            statement = next(iter(text.statements.values()))
            table = held.waited_for(statement, self._before, self._home)
            if table is not None and self._gate:
                await self._gate.close(table)
            work.begun = time.monotonic()
        self._works.append(work)

    def heard(self, number: int | None, said: str) -> None:
        """Note a moment."""
        if self._works and said:
            self._works[-1].moments.append(Moment.of(number, time.monotonic(), json.loads(said)))

    async def sent(self, text: Text) -> None:
        """Note that a text is done."""
        if not text.statements or not self._works:
            return
        work = self._works[-1]
        work.ended = time.monotonic()
        if work.alone and self._sampler:
            await self._sampler.stop()
            work.wal = await self._ask(_written) - work.wal

    def ran(self, records: Sequence[dict[str, Any]]) -> None:
        """Take what a live revision has noted of itself."""
        self._works = moments.works(records)

    async def end(self, step: Step) -> None:
        """See what a step has changed."""
        await self._finish(step, failed=False)

    async def close(self) -> None:
        """Note a step that did not come to its end, and let go."""
        if self._connection is None:
            return
        with suppress(*lost()):  # without the server there is nothing more to tell
            if self._step is not None:
                await self._finish(self._step, failed=True)
            await self._connection.close(timeout=_CLOSE_SECONDS)
            if self._sampler:
                await self._sampler.connection.close(timeout=_CLOSE_SECONDS)
        self._connection = self._sampler = self._gate = None

    async def _open(self) -> None:
        import asyncpg  # noqa: PLC0415 - whoever runs a plan has loaded it

        self._connection = await asyncpg.connect(**self._connect)
        sampling = await asyncpg.connect(**self._connect)
        self._sampler = Sampler(sampling, self._connection)
        await self._sampler.ready()
        self._gate = Gate(self._connection, self._sampler)

    async def _ask(self, question: Callable[[Any], Awaitable[_Answer]]) -> _Answer:
        """Ask the server; anew where a revision has ended all sessions but its own."""
        try:
            return await question(self._connection)
        except lost():
            if self._sampler:
                await self._sampler.stop()
                self._sampler.connection.terminate()
            self._connection.terminate()
            await self._open()
            return await question(self._connection)

    async def _relations(self, connection: Any) -> Relations:
        return await relations.read(connection, version_table=self._version_table)

    async def _finish(self, step: Step, *, failed: bool) -> None:
        seconds = time.monotonic() - self._begun
        if self._sampler and self._gate:
            await self._gate.open()
            await self._sampler.stop()
        self._step = None
        after = await self._ask(self._relations)
        wal = await self._ask(_written) - self._wal
        sent = [each for work in self._works for each in _sent(work)]
        tables = list(relations.replaced(self._before, after))
        lost = [
            loss.relation for loss in losses.named(each.sql for each in sent) if not loss.column
        ]
        emptied = relations.emptied(tables, self._before, after, lost, self._home)
        self.steps.append(
            Rehearsed(
                revision=step.revision,
                direction=step.direction,
                seconds=seconds,
                wal=wal,
                sent=tuple(sent),
                locks=held.locks(
                    self._works,
                    self._before,
                    self._sampler,
                    home=self._home,
                    live=bool(step.script.live),
                ),
                rewritten=relations.rewritten(tables, emptied, self._rows, self._sizes),
                emptied=tuple(sorted(emptied)),
                built=() if failed else relations.built(self._before, after),
            )
        )


async def _written(connection: Any) -> int:
    """Give the position in the WAL."""
    return int(await connection.fetchval(_WAL))


def _sent(work: Work) -> list[Sent]:
    """Give the statements of a text that came to their end; env.py's own are not the revision's."""
    if work.alone:
        ((number, sql),) = work.statements.items()
        if not number or work.ended is None:
            return []
        return [Sent(sql=sql, seconds=work.ended - work.begun, wal=work.wal)]
    return [
        Sent(
            sql=work.statements[moment.number],
            seconds=max(following.begun - moment.ended, 0.0),
            wal=following.wal - moment.wal,
        )
        for moment, following in zip(work.moments, work.moments[1:], strict=False)
        if moment.number
    ]
