"""Asks the live database whether its rows satisfy what a plan demands of them; read-only."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from infra.schema import live as database
from infra.schema import options as settings
from infra.schema.data_checks import answers, reading, rebuilt, tables
from infra.schema.data_checks.conditions import NotNull, Source, Stored
from infra.schema.data_checks.questions import questions
from infra.schema.errors import LiveError
from infra.schema.linting import trees
from infra.schema.linting.quick import filled
from infra.schema.review import DataCheck
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.schema.data_checks.conditions import Condition
    from infra.schema.data_checks.questions import Question
    from infra.schema.data_checks.tables import Table
    from infra.schema.linting.trees import Name
    from infra.schema.model import History, Live, Plan
    from infra.schema.options import Options
    from infra.schema.review import Rehearsal

__all__ = ["Checked", "check"]

# Each question in a transaction of its own, so that none of its locks outlives it: an ALTER TABLE
# of another session would wait for them, and all readers behind it. row_security off makes the
# server refuse where a policy would hide rows, instead of answering for those that are left.
_BEGIN = """
BEGIN READ ONLY; SET LOCAL row_security = off; SET LOCAL statement_timeout = {0};
SET LOCAL lock_timeout = {0}
"""
_CONNECTING = 30.0  # seconds beside those of the questions
_TIMED_OUT, _LOCKED = "57014", "55P03"
_VALUES = ("22", "23")  # classes of errors that a row's values cause


@dataclass(kw_only=True)
class Checked:
    """What came of it.

    Attributes:
        checks: An answer to each question, in the plan's order.
        deletes: Statements that take out of made-up rows those that live rows have none of.
    """

    checks: list[DataCheck] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A question about one table."""

    question: Question
    condition: Condition
    source: Source | None = None
    table: Table | None = None
    why: str = ""


def check(
    plan: Plan,
    history: History,
    live: Live | None,
    url: str | None,
    options: Options,
    rehearsal: Rehearsal | None = None,
) -> Checked:
    """Ask all questions of a plan; a database that is still to be made has no rows.

    Args:
        plan: What would run.
        history: What the files say.
        live: The live database.
        url: Its libpq URL.
        options: Whether to ask, and how long.
        rehearsal: Tells what online revisions send.
    """
    if live is None or url is None:
        return Checked()
    asked = questions(plan, history, live, rehearsal)
    if not asked:
        return Checked()

    async def question(connection: Any) -> Checked:
        return await _Asking(connection, options).all(asked)

    total = settings.seconds(options.data_checks_timeout)
    try:
        found: Checked = database.ask(
            history, url, question, seconds=total + _CONNECTING if total else None
        )
    except LiveError as exc:
        why = answers.unchecked(str(exc).partition(". ")[0])
        return Checked(checks=[_answer(each, "unchecked", why) for each in asked])
    return found


class _Asking:
    """One connection, and the time that is left."""

    def __init__(self, connection: Any, options: Options) -> None:
        """Begin to count the time."""
        self._connection = connection
        self._options = options
        self._each = settings.seconds(options.data_check_timeout)
        self._total = settings.seconds(options.data_checks_timeout)
        self._end = time.monotonic() + self._total

    async def all(self, asked: Iterable[Question]) -> Checked:
        """Read the catalogs, then ask about the rows."""
        asked = tuple(asked)
        known = await tables.read(self._connection, _names(asked))
        more = {t.rest for t in known.values() if t.rest} - known.keys()
        known |= await tables.read(self._connection, more)
        domains = await tables.domain_columns(
            self._connection, {name for each in asked for name in each.domain}
        )
        await self._connection.execute("ROLLBACK")
        done = Checked()
        said: dict[str, tuple[str, str]] = {}
        for each in asked:
            if isinstance(each.condition, rebuilt.Rebuilt) and _fails(each, done.checks):
                continue
            for item in _items(each, known, domains):
                answer, deletes = await self._one(item, said)
                done.checks.append(answer)
                done.deletes += deletes
        return done

    async def _one(
        self, item: _Item, said: dict[str, tuple[str, str]]
    ) -> tuple[DataCheck, list[str]]:
        """Answer one question; gives what made-up rows must not have, beside."""
        outcome, text = await self._said(item, said)
        asked = not item.why and item.source is not None and outcome != "violated"
        # Made-up rows have values that the cast may refuse.
        asked = asked and not isinstance(item.question.condition, rebuilt.Rebuilt)
        return _answer(item.question, outcome, text, item), _deletes(item) if asked else []

    async def _said(self, item: _Item, said: dict[str, tuple[str, str]]) -> tuple[str, str]:
        undo, rows = item.question.undo, item.table.rows if item.table else None
        hint, fails = answers.likely(_as_live(item), item.table)
        guess = "likely" if fails else "unchecked"
        if item.why or item.source is None:
            return "unchecked", answers.unchecked(item.why)
        if _proven(item):
            return "holds", answers.holds(undo=undo)
        if not self._options.data_checks:
            return guess, answers.unchecked("dataChecks is false", hint)
        sql = item.condition.find(item.source)
        if sql not in said:
            said[sql] = await self._ask(sql)
        outcome, why = said[sql]
        text = {
            "violated": answers.violated(item.condition, rows, undo=undo),
            "holds": answers.holds(undo=undo),
            "late": answers.limit(self._each, rows, hint),
            "unchecked": answers.unchecked(why, hint),
        }[outcome]
        return outcome if outcome in {"violated", "holds"} else guess, text

    async def _ask(self, sql: str) -> tuple[str, str]:
        """Run one query; gives "violated", "holds", "late" or "unchecked", and why."""
        import asyncpg  # noqa: PLC0415 - a connection is there, so it is loaded

        left = self._end - time.monotonic() if self._total else self._each
        if self._total and left <= 0:
            return "unchecked", f"the {answers.duration(self._total)} for all checks are over"
        seconds = min(self._each or left, left)
        try:
            limit = max(int(seconds * 1000), 1 if seconds else 0)
            await self._connection.execute(_BEGIN.format(limit))
            row = await self._connection.fetchrow(sql)
        except asyncpg.PostgresError as exc:
            return self._refused(exc, seconds)
        finally:
            if not self._connection.is_closed():
                await self._connection.execute("ROLLBACK")
        return ("holds", "") if row is None else ("violated", "")

    def _refused(self, exc: Any, seconds: float) -> tuple[str, str]:
        state = str(exc.sqlstate or "")
        if state == _TIMED_OUT:
            if self._total and seconds < self._each:
                return "unchecked", f"the {answers.duration(self._total)} for all checks are over"
            return "late", ""
        if state[:2] in _VALUES:  # its text may hold a row's values
            return "violated", ""
        if state == _LOCKED:
            return "unchecked", "another session has locked the table"
        return "unchecked", " ".join(str(exc).split())


def _fails(question: Question, checks: Iterable[DataCheck]) -> bool:
    """Tell whether a row stands in the way of the same statement already."""
    return any(
        each.outcome == "violated"
        and (each.revision, each.direction, each.number)
        == (question.revision, question.direction, question.number)
        for each in checks
    )


def _as_live(item: _Item) -> Condition:
    """Give a condition with the live names of its columns, for statistics."""
    was = {name: live for live, name in item.source.renamed} if item.source else {}
    columns = tuple(was.get(column, column) for column in item.condition.columns)
    return replace(item.condition, columns=columns)


def _names(asked: Iterable[Question]) -> set[Name]:
    found: set[Name] = set()
    for each in asked:
        parent = getattr(each.condition, "parent", None)
        found |= {each.source.table} if each.source else set()
        found |= {parent} if parent else set()
        found |= {each.default_of} if each.default_of else set()
    return found


def _items(
    question: Question,
    known: Mapping[Name, Table],
    domains: Mapping[Name, list[tuple[Name, str, Mapping[str, str]]]],
) -> Iterator[_Item]:
    """Give the tables that a question is about, with what the catalog adds to the condition."""
    condition = question.condition
    if condition is None:
        yield _Item(question=question, condition=Stored(says="", name=""), why=question.depends)
        return
    if question.domain:
        yield from _of_domain(question, condition, domains)
        return
    source = question.source
    if question.default_of:
        parent = known.get(question.default_of)
        if parent is None or parent.rest is None or parent.rest in question.parted:
            return
        source = Source(table=parent.rest, alias=parent.rest[1])
    table = known.get(source.table) if source else None
    why = question.depends or ("" if table or not source else "the live database lacks the table")
    if table is not None and source is not None:
        if source.only and table.kind == "p":
            return  # a partitioned table has no rows of its own
        only = table.kind != "p" and (source.only or not condition.inherits)
        columns = tuple(name for name in table.columns if name not in source.hidden)
        source = replace(source, only=only, columns=columns)
        why = why or _reached(question, source.table, table)
    if isinstance(condition, rebuilt.Rebuilt):
        # Where the live rows can't tell, the answer about the cast says so.
        if table is not None and source is not None and not why:
            yield from _kept(question, condition, source, table)
    else:
        yield from _asked(
            _Item(question=question, condition=condition, source=source, table=table, why=why),
            known,
        )


def _kept(
    question: Question, condition: rebuilt.Rebuilt, source: Source, table: Table
) -> Iterator[_Item]:
    """Give what a live table's indexes and checks say of a column that gets another type."""
    why = "" if condition.value else "what the column will hold is known when it runs"
    for each, at in rebuilt.conditions(condition, source, table):
        yield _Item(question=question, condition=each, source=at, table=table, why=why)


def _asked(item: _Item, known: Mapping[Name, Table]) -> Iterator[_Item]:
    """Give a question with what the catalog adds to its condition."""
    for each in _settled(item.condition, item.table):
        try:
            settled = each if item.why else each.settled(known)
        except KeyError:
            lacks = "the live database lacks the table that it refers to"
            yield replace(item, condition=each, source=None, why=lacks)
        else:
            yield replace(item, condition=settled)


def _settled(condition: Condition, table: Table | None) -> list[Condition]:
    """Put in the place of a live table's constraint what it says; nothing where it is valid."""
    if not isinstance(condition, Stored):
        return [condition]
    found = table.constraints.get(condition.name) if table else None
    return [] if found is None or found.valid else reading.stored(found.text, found.parent)


def _reached(question: Question, name: Name, table: Table) -> str:
    """Say which earlier statement reaches these rows by way of another table."""
    for each in question.touched:
        by_kin = each.table in table.kin and each.table != name
        if by_kin or (each.deletes and each.table in table.cascades):
            return each.why
    return ""


def _of_domain(
    question: Question,
    condition: Condition,
    domains: Mapping[Name, list[tuple[Name, str, Mapping[str, str]]]],
) -> Iterator[_Item]:
    place = next((name for name in question.domain if name in domains), None)
    for at, column, texts in domains[place] if place else ():
        found = [condition]
        if isinstance(condition, Stored):
            text = texts.get(condition.name)
            found = reading.stored(text, None) if text else []
        source = Source(table=at, alias=at[1], renamed=((column, "value"),))
        shown = replace(question, relation=trees.written(*at, column))
        for each in found:
            says = each.says.replace("no value", f"no {trees.written(column)}")
            yield _Item(
                question=shown,
                condition=replace(each, says=says),
                source=source,
                why=question.depends or _touched(question, at),
            )


def _touched(question: Question, name: Name) -> str:
    return next((each.why for each in question.touched if each.table == name), "")


def _proven(item: _Item) -> bool:
    """Tell whether the catalog says already that no row violates it."""
    if not isinstance(item.condition, NotNull) or item.table is None or item.source is None:
        return False
    was = {name: live for live, name in item.source.renamed}
    column = was.get(item.condition.columns[0], item.condition.columns[0])
    known = item.table.columns.get(column)
    checks = (each.text for each in item.table.constraints.values() if each.valid)
    return (known is not None and known.filled) or any(column in filled(text) for text in checks)


def _deletes(item: _Item) -> list[str]:
    """Write what keeps made-up rows to what holds for the live ones."""
    if item.source is None:
        return []
    rows = item.condition.violating(item.source)
    table = f"{identifier(item.source.table[0])}.{identifier(item.source.table[1])}"
    return [f"DELETE FROM {table} WHERE (tableoid, ctid) IN ({rows})"] if rows else []  # noqa: S608


def _answer(question: Question, outcome: Any, text: str, item: _Item | None = None) -> DataCheck:
    source = item.source if item else question.source
    return DataCheck(
        revision=question.revision,
        direction=question.direction,
        undo=question.undo,
        number=question.number,
        statement=question.statement,
        relation=(item.question if item else question).relation,
        live=source.table if source else (),
        outcome=outcome,
        text=" ".join(text.split()),
    )
