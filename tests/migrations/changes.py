"""Models before and after a change, as the code of a test's own models."""

from __future__ import annotations

__all__ = ["CHANGES", "HEADER", "JOBS", "hnsw", "job", "thing", "vectors"]

HEADER = '''"""Tables of a test."""
import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, Vector
from sqlalchemy import CheckConstraint, Enum, Identity, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, IdentityKey

def statuses(*values: str, name: str = "state") -> Enum:
    return Enum(*values, name=name)
'''

# What most tests change: a table with an enum that a check, a default, a key and an index use.
_JOB = """
class Job(Base):
    __tablename__ = "job"
    __table_args__ = ({args})
    id: Mapped[IdentityKey]
    state: Mapped[str] = mapped_column(statuses({values}), server_default={default})
    {extra}
"""


def job(
    *,
    values: str = "'new', 'done'",
    default: str = "'new'",
    check: str = "state <> 'done' OR finished IS NOT NULL",
    index: str = "Index('ix_job_open', 'finished', postgresql_where=text(\"state <> 'done'\"))",
    extra: str = "finished: Mapped[datetime | None]",
    more: str = "",
) -> str:
    """Give a model with an enum in all the places where one can be."""
    rule = f'CheckConstraint("{check}", name="done_has_time"), ' if check else ""
    args = f"{rule}Index(None, 'state', 'finished'), {index + ', ' if index else ''}{more}"
    return _JOB.format(args=args, values=values, default=default, extra=extra)


def thing(*lines: str, args: str = "") -> str:
    """Give a model with a key and these lines."""
    body = "\n    ".join(("id: Mapped[IdentityKey]", *lines))
    return (
        f'\nclass Thing(Base):\n    __tablename__ = "thing"\n    __table_args__ = ({args})\n'
        f"    {body}\n"
    )


def vectors(*indexes: str) -> str:
    """Give a model with a vector and other columns, and these indexes."""
    return thing(
        "a: Mapped[list[float]] = mapped_column(Vector(3))",
        "n: Mapped[int]",
        "t: Mapped[str]",
        "d: Mapped[str]",
        args="".join(f"{index}, " for index in indexes),
    )


def hnsw(
    *,
    method: str = "hnsw",
    ops: str = "vector_cosine_ops",
    parameters: str = "{'m': 24, 'ef_construction': 100}",
) -> str:
    """Give an index of the vector."""
    return (
        f"Index(None, 'a', postgresql_using='{method}', postgresql_with={parameters},"
        f" postgresql_ops={{'a': '{ops}'}})"
    )


def _numbered(key: str) -> str:
    return (
        '\nclass Number(Base):\n    __tablename__ = "my number"\n'
        f"    id: Mapped[int] = mapped_column({key}, primary_key=True)\n"
    )


JOBS = "INSERT INTO job (state, finished) VALUES ('new', NULL), ('done', now())"

CHANGES = {
    "a table with vectors": (
        "",
        thing(
            "a: Mapped[list[float]] = mapped_column(Vector(3))",
            "b: Mapped[list[float]] = mapped_column(HALFVEC(4))",
            "c: Mapped[list[float]] = mapped_column(SPARSEVEC(5))",
            "d: Mapped[str] = mapped_column(BIT(6))",
            "e: Mapped[list[float]] = mapped_column(Vector())",
        ),
    ),
    "other dimensions": (
        thing("a: Mapped[list[float]] = mapped_column(Vector(3))"),
        thing("a: Mapped[list[float]] = mapped_column(HALFVEC(4))"),
    ),
    "a table with an enum": ("", job()),
    "two tables with one enum": (
        "",
        job() + thing("state: Mapped[str] = mapped_column(statuses('new', 'done'))"),
    ),
    "a column with an enum": (
        thing(),
        thing("state: Mapped[str] = mapped_column(statuses('a', 'b'), server_default='a')"),
    ),
    "an array of an enum": (
        thing(),
        thing("states: Mapped[Any] = mapped_column(sa.ARRAY(statuses('a', 'b')))"),
    ),
    "an enum with a name and values to quote": (
        thing(),
        thing(
            "state: Mapped[str | None] = mapped_column("
            "statuses('it\\'s', ' :colon', '100%', 'back\\\\slash', '😀', name='Odd \"Name'))"
        ),
    ),
    "a value at the end": (job(), job(values="'new', 'done', 'failed'")),
    "a value in the middle": (job(), job(values="'new', 'running', 'done'")),
    "a value in front": (job(), job(values="'planned', 'new', 'done'")),
    "several values": (job(), job(values="'a', 'new', 'b', 'c', 'done', ' :d', 'it\\'s'")),
    "a value that is the new default": (
        job(),
        job(values="'planned', 'new', 'done'", default="'planned'"),
    ),
    "a value that a check uses": (
        job(),
        job(values="'new', 'done', 'failed'", check="state <> 'failed' OR finished IS NULL"),
    ),
    "a value that an index uses": (
        job(),
        job(
            values="'new', 'done', 'failed'",
            index="Index('ix_job_open', 'finished', postgresql_where=text(\"state='failed'\"))",
        ),
    ),
    "a value of an array": (
        thing("s: Mapped[Any] = mapped_column(sa.ARRAY(statuses('a')), server_default='{a}')"),
        thing("s: Mapped[Any] = mapped_column(sa.ARRAY(statuses('a', 'b')), server_default='{a}')"),
    ),
    "a value less": (job(values="'new', 'never', 'done'"), job()),
    "values in another order": (job(), job(values="'done', 'new'")),
    "a value that was the default": (
        job(values="'old', 'new', 'done'", default="'old'"),
        job(),
    ),
    "a value that a check used": (
        job(values="'new', 'done', 'failed'", check="state <> 'failed' OR finished IS NULL"),
        job(),
    ),
    "a value more and one less": (
        job(values="'new', 'never', 'done'"),
        job(values="'new', 'done', 'failed', 'later'"),
    ),
    "a value with a new name": (
        job(),
        job(
            values="'fresh', 'done'",
            default="'fresh'",
            check="state <> 'fresh' OR finished IS NULL",
        ),
    ),
    "text becomes an enum": (
        thing("state: Mapped[str] = mapped_column(Text, server_default='a')"),
        thing("state: Mapped[str] = mapped_column(statuses('a', 'b'), server_default='a')"),
    ),
    "an enum becomes text": (
        thing("state: Mapped[str] = mapped_column(statuses('a', 'b'))"),
        thing("state: Mapped[str | None] = mapped_column(Text, server_default='c')"),
    ),
    "a column with an enum goes": (
        thing("state: Mapped[str | None] = mapped_column(statuses('a', 'b'))"),
        thing(),
    ),
    "a table with an enum goes": (job(), thing()),
    "a new check": (
        thing("n: Mapped[int]"),
        thing(
            "n: Mapped[int]",
            args="CheckConstraint(\"n IN (1, 2) AND n::text !~ ':a%'\", name='small'),",
        ),
    ),
    "another check by the same name": (
        thing("n: Mapped[int]", args="CheckConstraint('n BETWEEN 1 AND 3', name='small'),"),
        thing("n: Mapped[int]", args="CheckConstraint('n BETWEEN 1 AND 4', name='small'),"),
    ),
    "a check of a new column": (
        thing("n: Mapped[int]", args="CheckConstraint('n > 0', name='positive'),"),
        thing(
            "n: Mapped[int]",
            "m: Mapped[int | None]",
            args="CheckConstraint('n > 0 OR m > 0', name='positive'),",
        ),
    ),
    "an identity": (_numbered("autoincrement=False"), _numbered("Identity(always=True)")),
    "another identity": (
        _numbered("Identity(always=True)"),
        _numbered("Identity(always=False, cache=10, increment=5)"),
    ),
    "no identity": (_numbered("Identity(always=True)"), _numbered("autoincrement=False")),
    "defaults": (
        thing(
            "a: Mapped[int]",
            "b: Mapped[Any] = mapped_column(sa.JSON, server_default='{}')",
            "c: Mapped[datetime] = mapped_column(server_default=func.now())",
            "d: Mapped[str] = mapped_column(server_default='x')",
        ),
        thing(
            "a: Mapped[int] = mapped_column(server_default=text('1 + 1'))",
            "b: Mapped[Any] = mapped_column(sa.JSON, server_default='[]')",
            "c: Mapped[datetime] = mapped_column(server_default=text(\"now() + '1 day'\"))",
            "d: Mapped[str]",
        ),
    ),
    "comments": (
        thing("a: Mapped[int]"),
        thing('a: Mapped[int] = mapped_column(comment="it\'s :a 100%")', args="{'comment': 'T'},"),
    ),
    "an HNSW index": (vectors(), vectors(hnsw())),
    "an HNSW index goes": (vectors(hnsw()), vectors()),
    "another operator class": (vectors(hnsw()), vectors(hnsw(ops="vector_l2_ops"))),
    "other parameters": (vectors(hnsw()), vectors(hnsw(parameters="{'m': 8}"))),
    "no parameters": (vectors(hnsw()), vectors(hnsw(parameters="{}"))),
    "another method": (
        vectors(hnsw(method="ivfflat", parameters="{'lists': 5}")),
        vectors(hnsw()),
    ),
    "an index with everything": (
        vectors(),
        vectors(
            "Index('ix_all', 'n', text('lower(t) DESC'), unique=True, postgresql_include=['d'],"
            " postgresql_where=text(\"t ~ ':a%'\"), postgresql_nulls_not_distinct=True)"
        ),
    ),
    "another condition and other columns included": (
        vectors("Index('ix_n', 'n', postgresql_where=text('n > 0'), postgresql_include=['d'])"),
        vectors("Index('ix_n', 'n', postgresql_where=text('n > 1'), postgresql_include=['t'])"),
    ),
    "another operator class of text": (
        vectors("Index('ix_t', 't', postgresql_ops={'t': 'text_pattern_ops'})"),
        vectors("Index('ix_t', 't')"),
    ),
    "an index on a column that is new": (
        thing(),
        thing("due: Mapped[datetime | None] = mapped_column(index=True)"),
    ),
}
