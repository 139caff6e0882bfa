"""What data a script takes away: the tables and columns that it drops or empties."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.schema.statements.lexer import UnfinishedError, split
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.statements.sentence import Name

__all__ = ["Loss", "Place", "counted", "kept_by", "made_empty", "named"]

Place = tuple[tuple[str, ...], tuple[str, ...]]
"""The parts of a table's name, and those of a column's; none for the whole table."""

_NO_COLUMN = frozenset({"CHECK", "CONSTRAINT", "EXCLUDE", "FOREIGN", "PRIMARY", "UNIQUE"})

# Above this, the planner's estimate is told: counting would keep a preview waiting.
_COUNTED = 1_000_000

_ROWS = """
SELECT c.oid::regclass::text AS name, c.reltuples AS estimate
FROM pg_catalog.pg_class c
WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p', 'm')
"""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Something that goes with its data.

    Attributes:
        what: "table" or "column".
        relation: The table, as SQL writes it.
        column: The column, as SQL writes it; empty for a table.
        rows: How many rows have it now; None before they are counted.
        about: Whether `rows` is an estimate.
    """

    what: str
    relation: str
    column: str = ""
    rows: int | None = None
    about: bool = False

    @property
    def text(self) -> str:
        """Say it in a few words."""
        name = f"{self.relation}.{self.column}" if self.column else self.relation
        if self.rows is None:
            return f"{self.what} {name}"
        number = "1 row" if self.rows == 1 else f"{'about ' * self.about}{self.rows:,} rows"
        return f"{self.what} {name} with {number}"


def named(texts: Iterable[str]) -> tuple[Loss, ...]:
    """List what statements drop or empty, each once, in their order."""
    found = [loss for text in texts for each in _split(text) for loss in _of(Sentence(each))]
    return tuple(dict.fromkeys(found))


def made_empty(texts: Iterable[str]) -> frozenset[Place]:
    """List the tables and columns that statements make and put no rows into.

    A column's default counts as nothing: it can be written again. Of what a statement makes IF NOT
    EXISTS, or fills, what is in it is unknown.
    """
    made: set[Place] = set()
    filled: set[tuple[str, ...]] = set()
    for sentence in (Sentence(each) for text in texts for each in _split(text)):
        made.update(_made(sentence.copy()))
        filled.update(name.key for name in _filled(sentence))
    return frozenset(place for place in made if not any(_same(place[0], key) for key in filled))


def kept_by(loss: Loss, made: Iterable[Place]) -> bool:
    """Tell whether what a downgrade drops is something that was made empty."""
    table = Sentence(loss.relation).name()
    column = Sentence(loss.column).name() if loss.column else None
    key = column.key if column else ()
    return table is not None and any(
        _same(table.key, place) and inside in ((), key) for place, inside in made
    )


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Compare names, of which one may lack its schema."""
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def _made(sentence: Sentence) -> Iterator[Place]:
    if sentence.take("CREATE"):
        sentence.skip("UNLOGGED")
        if sentence.take("TABLE") and not sentence.take("IF", "NOT", "EXISTS"):
            table = sentence.name()
            if table is not None and not sentence.has("SELECT"):
                yield table.key, ()
    elif sentence.take("ALTER", "TABLE"):
        sentence.take("IF", "EXISTS")
        sentence.skip("ONLY")
        table = sentence.name()
        sentence.take("*")
        for clause in sentence.clauses() if table else ():
            column = _added(clause)
            if table and column:
                yield table.key, column.key


def _added(clause: Sentence) -> Name | None:
    """Give the column that a clause of ALTER TABLE adds."""
    if not clause.take("ADD") or clause.copy().word() in _NO_COLUMN:
        return None
    clause.take("COLUMN")
    return None if clause.take("IF", "NOT", "EXISTS") else clause.name()


def _filled(sentence: Sentence) -> Iterator[Name]:
    """Give the tables that a statement writes rows into."""
    for words in (("INSERT", "INTO"), ("MERGE", "INTO"), ("COPY",), ("UPDATE",)):
        for rest in sentence.each(*words):
            rest.skip("ONLY")
            name = rest.name()
            if name is not None:
                yield name


def _split(text: str) -> list[str]:
    try:
        return split(text)
    except UnfinishedError:  # PostgreSQL will say so too
        return []


def _of(sentence: Sentence) -> Iterator[Loss]:
    if sentence.take("DROP", "TABLE") or sentence.take("DROP", "MATERIALIZED", "VIEW"):
        sentence.take("IF", "EXISTS")
        yield from (Loss(what="table", relation=name.text) for name in sentence.names())
    elif sentence.take("TRUNCATE"):
        sentence.take("TABLE")
        yield from (Loss(what="table", relation=name.text) for name in sentence.names())
    elif sentence.take("ALTER", "TABLE"):
        sentence.take("IF", "EXISTS")
        sentence.skip("ONLY")
        table = sentence.name()
        if table is not None:
            sentence.take("*")
            yield from _columns(table, sentence)


def _columns(table: Name, sentence: Sentence) -> Iterator[Loss]:
    for clause in sentence.clauses():
        if not clause.take("DROP") or clause.copy().take("CONSTRAINT"):
            continue
        clause.take("COLUMN")
        clause.take("IF", "EXISTS")
        column = clause.name()
        if column is not None:
            yield Loss(what="column", relation=table.text, column=column.text)


async def counted(connection: Any, losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Count the rows of what will go; what is not there yet, or may not be read, is left out.

    Args:
        connection: Of asyncpg; nothing is written.
        losses: From `named`.
    """
    found = [await _counted(connection, loss) for loss in losses]
    return tuple(loss for loss in found if loss is not None)


async def _counted(connection: Any, loss: Loss) -> Loss | None:
    import asyncpg  # noqa: PLC0415 - whoever has a connection has loaded it

    try:
        async with connection.transaction():
            row = await connection.fetchrow(_ROWS, loss.relation)
            if row is None:
                return None
            about = row["estimate"] > _COUNTED
            condition = f" WHERE {loss.column} IS NOT NULL" if loss.column else ""
            rows = (
                int(row["estimate"])
                if about
                else await connection.fetchval(f"SELECT count(*) FROM {row['name']}{condition}")  # noqa: S608 - names as SQL writes them
            )
    except asyncpg.PostgresError:
        return None
    return replace(loss, rows=rows, about=about)
