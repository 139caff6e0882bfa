"""Tables as people write them in models, made up: types, defaults, keys, indexes, checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["IMPORTS", "WORDINGS", "table", "tables"]

IMPORTS = """
from sqlalchemy import column
from sqlalchemy.dialects import postgresql as pg
"""
_TABLE = """
sa.Table(
    {name!r}, Base.metadata,
    sa.Column("id", sa.BigInteger, Identity(always=True, start=5, increment=2), primary_key=True),
    sa.Column("t", Text), sa.Column("n", sa.Integer), sa.Column("m", sa.Integer),
    sa.Column("b", sa.Boolean), sa.Column("j", pg.JSONB), sa.Column("d", sa.DateTime),
    sa.Column("z", sa.DateTime(timezone=True)), sa.Column("v", Vector(3)),
    sa.Column("a", pg.ARRAY(Text)), sa.Column("r", pg.INT4RANGE),
    {parts}
    comment={comment!r},
)
"""

# Each type with defaults of it, as code; None for none.
_TYPES = {
    "Text": (
        "'a:b'",
        "'{\"a\": 1}'",
        "''",
        '"it\'s"',
        r"'back\\slash :x'",
        "'100% %(y)s {{x}}'",
        r"text(r\"'x \:b'\")".replace('\\"', '"'),
        "text(\"'a'::text || 'b'\")",
        "text(\"E'a\\\\nb'\")",
        "text('current_user')",
        "text('NULL')",
        "text(\"CASE WHEN true THEN 'a' ELSE 'b' END\")",
        "func.current_setting('app.tenant', True)",
    ),
    "sa.String(20)": ("'x'", "text(\"'x''y'::character varying\")"),
    "sa.String(20, collation='C')": ("'x'",),
    "sa.CHAR(3)": ("'abc'",),
    "sa.Boolean": ("sa.true()", "'false'", "'0'", "text(\"'f'\")", "text('(NOT true)')"),
    "sa.Integer": ("'0'", "text('0')", "text('(1 + 2) * 3')", "text('-1')"),
    "sa.SmallInteger": ("'-1'",),
    "sa.BigInteger": ("text('1')",),
    "sa.Numeric(10, 2)": ("'0'", "text('0.00')", "text('1.5')"),
    "sa.Numeric": ("'1.50'",),
    "sa.Numeric(5)": (),
    "sa.Float": ("'1.5'",),
    "sa.Double": ("'1e3'",),
    "sa.REAL": (),
    "sa.DateTime(timezone=True)": (
        "func.now()",
        "func.current_timestamp()",
        "text('CURRENT_TIMESTAMP')",
        "text(\"now() + '1 day'\")",
    ),
    "sa.DateTime": ("text(\"(now() at time zone 'utc')\")", "text(\"'2020-01-01 00:00'\")"),
    "pg.TIMESTAMP(timezone=True, precision=3)": ("text('now()')",),
    "pg.TIMESTAMP(precision=0)": (),
    "pg.TIME(precision=2)": (),
    "sa.Date": ("text('CURRENT_DATE')", "'2020-01-01'"),
    "sa.Time": ("'12:30'",),
    "pg.INTERVAL": ("'1 day'", "text(\"'24 hours'::interval\")"),
    "pg.INTERVAL(fields='DAY TO SECOND')": (),
    "pg.INTERVAL(precision=3)": (),
    "sa.Interval": (),
    "sa.Uuid": ("text('gen_random_uuid()')", "func.gen_random_uuid()"),
    "pg.JSONB": ('text("\'{\\"a\\": 1}\'::jsonb")', "'[]'", '\'{"a": "b:c"}\''),
    "sa.JSON": ("text(\"'{}'::json\")",),
    "pg.ARRAY(Text)": ("'{}'", "text('ARRAY[]::text[]')", "text(\"ARRAY['a:b', 'c']\")"),
    "pg.ARRAY(sa.Integer)": ("text(\"'{1,2}'\")",),
    "pg.ARRAY(pg.VARCHAR(10), dimensions=2)": (),
    "pg.BYTEA": (r"text(\"'\\x00'::bytea\")".replace('\\"', '"'),),
    "pg.INET": ("'127.0.0.1'",),
    "pg.CIDR": ("'10.0.0.0/8'",),
    "pg.INT4RANGE": ("'[1,5)'",),
    "pg.TSTZRANGE": (),
    "pg.TSVECTOR": (),
    "pg.BIT(8)": (),
    "pg.BIT(12, varying=True)": (),
    "sa.Enum('a', 'b', name='mood')": ("'a'",),
    "sa.Enum('a', 'b', name='plain_mood', native_enum=False)": ("'a'",),
    "Vector(3)": ("'[1,2,3]'",),
}
_COMPUTED = (
    "sa.Text, sa.Computed(\"t || 'x:y'\")",
    "sa.Text, sa.Computed(r\"t || '\\:name' || 'a:b'\")",
    "sa.Text, sa.Computed(\"CASE WHEN t IN ('a', 'b') THEN t END\")",
    'sa.Integer, sa.Computed("n + 1", persisted=True)',
    'sa.Text, sa.Computed("lower(t)::text")',
    'sa.Numeric, sa.Computed("n * 1.5")',
)
_KEYS = (
    "'n'",
    "'t'",
    "column('n').desc()",
    "column('n').desc().nulls_last()",
    "column('t').asc().nulls_first()",
    "func.lower(column('t'))",
    "sa.cast(column('n'), Text)",
    "text('lower(t)')",
    "text('lower(t) text_pattern_ops')",
    "text('t COLLATE \"C\" DESC')",
    "text('n DESC NULLS LAST')",
    "text('m ASC')",
    "text('(n + m)')",
    "text(\"(j->>'a')\")",
    "text(\"((j ->> 'a')::int)\")",
    "text(\"coalesce(t, 'a:b')\")",
    "text(\"date_trunc('day', d)\")",
    "text('\"t\" varchar_pattern_ops')",
    "text('md5(t)')",
)
_CONDITIONS = (
    "text('n > 0')",
    "text(\"t IN ('a', 'b:c')\")",
    "text('b')",
    "text('b = true AND n BETWEEN 1 AND 5')",
    "text('t is not null')",
    "text(\"z > '2020-01-01'::timestamptz\")",
    "text(\"t LIKE 'a:%'\")",
    "column('t') == 'x'",
    "column('n').in_([1, 2])",
)
# Indexes of one key by other methods.
_METHODS = (
    "'j', postgresql_using='gin'",
    "'j', postgresql_using='gin', postgresql_ops={'j': 'jsonb_path_ops'}",
    "text('j jsonb_path_ops'), postgresql_using='gin'",
    "'a', postgresql_using='gin'",
    "text(\"to_tsvector('english', t)\"), postgresql_using='gin'",
    "'r', postgresql_using='gist'",
    "'n', postgresql_using='brin', postgresql_with={'pages_per_range': 16}",
    "'n', postgresql_using='hash'",
    "'n', postgresql_with={'fillfactor': 70}",
    "'t', postgresql_ops={'t': 'text_pattern_ops'}",
    "'v', postgresql_using='hnsw', postgresql_ops={'v': 'vector_l2_ops'}",
    "text('v vector_cosine_ops'), postgresql_using='hnsw', postgresql_with={'m': 8}",
    "text('(v::halfvec(3)) halfvec_cosine_ops'), postgresql_using='hnsw'",
    "text('v vector_l2_ops'), postgresql_using='ivfflat', postgresql_with={'lists': 10}",
)
_CHECKS = (
    '"n > 0"',
    "\"t ~ 'a:b'\"",
    '"n IN (1, 2)"',
    '"char_length(t) <= 5 OR b"',
    "column('n').between(1, 5)",
    "\"j ->> 'a' <> ''\"",
)
_NAMES = st.sampled_from(("plain", "Mixed Case", "order", "naïve", 'quo"te', "with.dot"))


def _column(number: int, code: str) -> str:
    return f'sa.Column("c{number}", {code}),'


_types = st.sampled_from([*_TYPES]).flatmap(
    lambda type_: st.sampled_from((None, *_TYPES[type_])).map(
        lambda default: f"{type_}, server_default={default}" if default else type_
    )
)
_anything = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(
    lambda text: f"Text, server_default={text!r}, comment={text or None!r}"
)
_columns = st.lists(st.one_of(_types, _anything, st.sampled_from(_COMPUTED)), max_size=6).map(
    lambda codes: [_column(number, code) for number, code in enumerate(codes)]
)


@st.composite
def _keyed(draw: st.DrawFn) -> str:
    keys = draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=3, unique=True))
    options = [*keys]
    if draw(st.booleans()):
        options.append(f"postgresql_where={draw(st.sampled_from(_CONDITIONS))}")
    if draw(st.booleans()):
        options.append("postgresql_include=['m']")
    if draw(st.booleans()):
        distinct = draw(st.booleans())
        options.append(f"unique=True, postgresql_nulls_not_distinct={distinct}")
    return ", ".join(options)


_indexes = st.lists(st.one_of(_keyed(), st.sampled_from(_METHODS)), max_size=3)
_checks = st.lists(st.sampled_from(_CHECKS), max_size=2)
_uniques = st.sampled_from(
    (
        "",
        'sa.UniqueConstraint("n", "t"),',
        'sa.UniqueConstraint("n", postgresql_nulls_not_distinct=True),',
    )
)


def table(number: int, name: str, parts: Sequence[str], *, comment: str | None = None) -> str:
    """Give the code of a table with these columns and items beside those that all have."""
    return _TABLE.format(name=f"{name} {number}", parts=" ".join(parts), comment=comment)


@st.composite
def tables(draw: st.DrawFn, *, count: int) -> str:
    """Give the code of so many tables."""
    code = [IMPORTS]
    for number in range(count):
        indexes = [
            f'Index("ix {number} {place}", {index}),' for place, index in enumerate(draw(_indexes))
        ]
        checks = [
            f'CheckConstraint({check}, name="c{place}"),'
            for place, check in enumerate(draw(_checks))
        ]
        parts = [*draw(_columns), *indexes, *checks, draw(_uniques)]
        code.append(
            table(number, draw(_NAMES), parts, comment=draw(st.sampled_from((None, "T:x"))))
        )
    return "".join(code)


WORDINGS = [
    *(
        _column(0, f"{type_}, server_default={default}")
        for type_, defaults in _TYPES.items()
        for default in defaults
    ),
    *(_column(0, code) for code in (*_TYPES, *_COMPUTED)),
    *(f'Index("ix {{0}}", {key}),' for key in (*_KEYS, *_METHODS)),
    *(f'Index("ix {{0}}", "m", postgresql_where={condition}),' for condition in _CONDITIONS),
    *(f'CheckConstraint({check}, name="c"),' for check in _CHECKS),
]
"""Each way to write a part of a table, alone; `{0}` stands for the number of the table."""
