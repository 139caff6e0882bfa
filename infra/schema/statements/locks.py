"""Which locks SQL takes, from PostgreSQL 17's documentation, without asking a database.

Left out: AccessShareLock and RowShareLock, which hold up nobody but other changes of the schema,
and what a revision makes itself, which nobody else can see yet. What runs inside functions and DO
blocks can't be told; a DO block is listed as unknown. Partitions and heirs are locked like their
parent, and not listed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.schema.statements import alterations
from infra.schema.statements.lexer import UnfinishedError, split
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.taken import STRENGTH, UNKNOWN, Knowledge, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from infra.schema.model import Lock

__all__ = ["UNKNOWN", "Knowledge", "combine", "derive"]

# What `named_types.guarded` writes: it makes a type where there is none, and locks nothing.
_GUARDED = re.compile(
    r"\$groundwork_*\$BEGIN\s+IF NOT EXISTS \(SELECT FROM pg_catalog\.pg_type [^;]* THEN\s+"
    r"CREATE (TYPE|DOMAIN) [^;]*;\s+END IF;\s+END\$groundwork_*\$"
)
_ALL = "AccessExclusiveLock"
_WRITES = "ShareRowExclusiveLock"
_CHANGES = "ShareUpdateExclusiveLock"
_ROWS = "RowExclusiveLock"


def derive(
    statements: Iterable[str], knowledge: Knowledge | None = None, *, learn: bool = True
) -> tuple[Lock, ...]:
    """Tell what statements that run in one go lock: each relation once, the strongest first.

    Args:
        statements: In order; each may hold several.
        knowledge: What earlier revisions made.
        learn: Whether to note in `knowledge` what these make.
    """
    taken = Taken(knowledge or Knowledge(), learn=learn)
    for text in statements:
        try:
            parts = split(text)
        except UnfinishedError:  # PostgreSQL refuses it before it locks anything
            continue
        for part in parts:
            sentence = Sentence(part)
            first = sentence.copy().word()
            handle = _STATEMENTS.get(first)
            if first not in _WITH_FIRST_WORD:
                sentence.word()
            if handle is not None:
                handle(sentence, taken)
    return taken.locks


def combine(*groups: Iterable[Lock]) -> tuple[Lock, ...]:
    """Put the locks of several runs together: each relation once, the strongest first."""
    found: dict[str, Lock] = {}
    for lock in (lock for group in groups for lock in group):
        before = found.get(lock.relation)
        if before is None or _rank(lock) < _rank(before):
            found[lock.relation] = lock
    return tuple(sorted(found.values(), key=_rank))


def _rank(lock: Lock) -> int:
    return STRENGTH.index(lock.mode) if lock.mode in STRENGTH else len(STRENGTH)


def _rows(sentence: Sentence, taken: Taken) -> None:
    """INSERT, UPDATE, DELETE and MERGE, in a WITH too."""
    for words in (("INSERT", "INTO"), ("DELETE", "FROM"), ("MERGE", "INTO")):
        for rest in sentence.each(*words):
            _take_one(rest, taken, _ROWS)
    for rest in sentence.each("UPDATE"):
        # Elsewhere it is part of FOR UPDATE, ON CONFLICT DO UPDATE SET, WHEN MATCHED THEN UPDATE.
        rest.skip("ONLY")
        name = None if rest.take("SET") else rest.name()
        rest.skip("*", "AS")
        if name is not None and (rest.take("SET") or (rest.name() and rest.take("SET"))):
            taken.take(_ROWS, name)


def _take_one(sentence: Sentence, taken: Taken, mode: str) -> None:
    sentence.skip("TABLE", "ONLY")
    name = sentence.name()
    if name is not None:
        taken.take(mode, name)


def _create(sentence: Sentence, taken: Taken) -> None:
    replace = sentence.take("OR", "REPLACE")
    sentence.skip("GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE", "RECURSIVE")
    sentence.skip("CONSTRAINT", "FOREIGN")
    if sentence.take("TABLE"):
        _create_table(sentence, taken)
    elif sentence.take("INDEX"):
        _create_index(sentence, taken)
    elif sentence.take("VIEW"):
        _create_view(sentence, taken, replace=replace)
    elif sentence.take("MATERIALIZED", "VIEW") or sentence.take("SEQUENCE"):
        sentence.take("IF", "NOT", "EXISTS")
        taken.make(sentence.name())
    else:
        _create_on(sentence, taken)


def _create_on(sentence: Sentence, taken: Taken) -> None:
    """Handle what belongs to a table that is there."""
    kind = sentence.word()
    place, mode = {
        "TRIGGER": ("ON", _WRITES),
        "POLICY": ("ON", _ALL),
        "RULE": ("TO", _ALL),
        "STATISTICS": ("FROM", _CHANGES),
    }.get(kind, ("", ""))
    if place and sentence.past(place):
        _take_one(sentence, taken, mode)


def _create_table(sentence: Sentence, taken: Taken) -> None:
    sentence.take("IF", "NOT", "EXISTS")
    table = sentence.name()
    taken.make(table)
    if sentence.take("PARTITION", "OF"):
        _take_one(sentence, taken, _ALL)
    for rest in sentence.each("INHERITS", "("):
        for parent in rest.names():
            taken.take(_CHANGES, parent)
    if table is not None:
        for clause in sentence.inside().clauses():
            taken.refer(table, clause)


def _create_index(sentence: Sentence, taken: Taken) -> None:
    mode = _CHANGES if sentence.take("CONCURRENTLY") else "ShareLock"
    sentence.take("IF", "NOT", "EXISTS")
    index = None if sentence.take("ON") else sentence.name()
    if index is not None and not sentence.take("ON"):
        return
    sentence.skip("ONLY")
    table = sentence.name()
    if table is not None:
        taken.take(mode, table)
        taken.index(index, table)


def _create_view(sentence: Sentence, taken: Taken, *, replace: bool) -> None:
    view = sentence.name()
    if view is not None and replace and taken.knows(view):
        taken.take(_ALL, view)
    else:
        taken.make(view)


def _drop(sentence: Sentence, taken: Taken) -> None:
    sentence.take("FOREIGN")
    kind = sentence.word()
    if kind == "MATERIALIZED":
        kind = sentence.word()
    mode = _CHANGES if sentence.take("CONCURRENTLY") else _ALL
    sentence.take("IF", "EXISTS")
    if kind in {"TABLE", "VIEW", "SEQUENCE", "INDEX"}:
        for name in sentence.names():
            taken.drop(mode, name, index=kind == "INDEX")
    elif kind in {"TRIGGER", "POLICY", "RULE"}:
        if sentence.past("ON"):
            _take_one(sentence, taken, _ALL)
    elif kind == "OWNED" or sentence.has("CASCADE"):
        taken.unknown(sentence.text)


def _alter(sentence: Sentence, taken: Taken) -> None:
    sentence.take("FOREIGN")
    kind = sentence.word()
    if kind == "MATERIALIZED":
        kind = sentence.word()
    sentence.take("IF", "EXISTS")
    if kind in {"POLICY", "TRIGGER", "RULE"}:
        if sentence.past("ON"):
            _take_one(sentence, taken, _ALL)
        return
    if kind not in {"TABLE", "INDEX", "VIEW", "SEQUENCE"}:
        return
    sentence.skip("ONLY")
    name = sentence.name()
    if name is None or sentence.take("IN", "TABLESPACE"):
        return
    sentence.take("*")
    if sentence.take("RENAME"):
        taken.take(_CHANGES if kind == "INDEX" else _ALL, name)
        if sentence.take("TO"):
            taken.rename(name, sentence.name())
    elif kind == "SEQUENCE":
        whole = sentence.has("OWNER", "TO") or sentence.has("SET")
        taken.take(_ALL if whole else _WRITES, name)
    else:
        for clause in sentence.clauses():
            taken.alter(alterations.mode(clause.copy()), name, clause)


def _truncate(sentence: Sentence, taken: Taken) -> None:
    sentence.skip("TABLE")
    for name in sentence.names():
        taken.take(_ALL, name)


def _lock(sentence: Sentence, taken: Taken) -> None:
    sentence.skip("TABLE")
    names = sentence.names()
    words = []
    if sentence.take("IN"):
        while (word := sentence.word()) and word != "MODE":
            words.append(word.capitalize())
    for name in names:
        taken.take("".join(words) + "Lock" if words else _ALL, name)


def _copy(sentence: Sentence, taken: Taken) -> None:
    name = sentence.name()
    if name is not None and sentence.past("FROM", "TO") == "FROM":
        taken.take(_ROWS, name)


def _refresh(sentence: Sentence, taken: Taken) -> None:
    if sentence.take("MATERIALIZED", "VIEW"):
        mode = "ExclusiveLock" if sentence.take("CONCURRENTLY") else _ALL
        _take_one(sentence, taken, mode)


def _reindex(sentence: Sentence, taken: Taken) -> None:
    light = sentence.has("CONCURRENTLY")
    sentence.past_parentheses()
    kind = sentence.word()
    sentence.take("CONCURRENTLY")
    name = sentence.name()
    if name is None or kind not in {"INDEX", "TABLE"}:
        return
    table = taken.table(name) if kind == "INDEX" else name
    if kind == "INDEX":
        taken.take(_CHANGES if light else _ALL, name)
    if table is not None:
        taken.take(_CHANGES if light else "ShareLock", table)


def _vacuum(sentence: Sentence, taken: Taken) -> None:
    full = sentence.has("FULL")
    sentence.past_parentheses()
    sentence.skip("FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE")
    for clause in sentence.clauses():
        _take_one(clause, taken, _ALL if full else _CHANGES)


def _cluster(sentence: Sentence, taken: Taken) -> None:
    sentence.past_parentheses()
    sentence.skip("VERBOSE")
    _take_one(sentence, taken, _ALL)


def _comment(sentence: Sentence, taken: Taken) -> None:
    sentence.take("ON")
    sentence.take("FOREIGN")
    sentence.take("MATERIALIZED")
    kind = sentence.word()
    if kind in {"TABLE", "VIEW", "SEQUENCE", "INDEX"}:
        _take_one(sentence, taken, _CHANGES)
    elif kind == "COLUMN":
        column = sentence.name()
        if column is not None and column.parent is not None:
            taken.take(_CHANGES, column.parent)


def _do(sentence: Sentence, taken: Taken) -> None:
    if not _GUARDED.fullmatch(sentence.source):
        taken.unknown("DO block")


def _select(sentence: Sentence, taken: Taken) -> None:
    """SELECT INTO makes a table, and a WITH may change rows."""
    if sentence.past("INTO"):
        sentence.skip("TEMP", "TEMPORARY", "UNLOGGED", "TABLE")
        taken.make(sentence.name())


_WITH_FIRST_WORD = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")
_STATEMENTS: Mapping[str, Callable[[Sentence, Taken], None]] = {
    **dict.fromkeys(_WITH_FIRST_WORD, _rows),
    "ALTER": _alter,
    "ANALYSE": _vacuum,
    "ANALYZE": _vacuum,
    "CLUSTER": _cluster,
    "COMMENT": _comment,
    "COPY": _copy,
    "CREATE": _create,
    "DO": _do,
    "DROP": _drop,
    "LOCK": _lock,
    "REFRESH": _refresh,
    "REINDEX": _reindex,
    "SELECT": _select,
    "TRUNCATE": _truncate,
    "VACUUM": _vacuum,
}
