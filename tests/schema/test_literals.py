"""Values are rendered as a driver would send them, whatever their type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from tests.schema.histories import project as projects
from tests.schema.histories import ways

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer

_HEAD = """
from datetime import *
from decimal import Decimal
from uuid import UUID
import ipaddress, enum
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql import Range, MultiRange
from pgvector.sqlalchemy import Vector, HALFVEC, SPARSEVEC, BIT as VBIT
class Colour(enum.Enum):
    red = "r"
    blue = "b"
class Upper(sa.types.TypeDecorator):
    impl = sa.Text
    cache_ok = True
    def process_bind_param(self, value, dialect):
        return value.upper() if value else value
class AsJson(sa.types.TypeDecorator):
    impl = sa.JSON
    cache_ok = True
    def process_bind_param(self, value, dialect):
        return {"v": value}
class Lower(sa.types.TypeDecorator):
    impl = sa.Text
    cache_ok = True
    def bind_expression(self, bindvalue):
        return sa.func.lower(bindvalue)
class Days(sa.types.TypeDecorator):
    impl = sa.Interval
    cache_ok = True
    def process_bind_param(self, value, dialect):
        return timedelta(days=value)
class Guid(sa.types.TypeDecorator):
    impl = sa.CHAR
    cache_ok = True
    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(pg.UUID(as_uuid=False))
    def process_bind_param(self, value, dialect):
        return str(value)
"""

# A type and values of it, as a revision writes them.
_VALUES = [
    (
        "sa.JSON()",
        [
            "{'a': [1, None, {'b': \"it's \\\\ \\u00e9 %s :x\"}]}",
            "None",
            "sa.JSON.NULL",
            "[]",
            "'text'",
            "5",
            "True",
            "sa.null()",
        ],
    ),
    ("sa.JSON(none_as_null=True)", ["None", "{}", "sa.JSON.NULL"]),
    (
        "pg.JSONB()",
        [
            "{'a': [1, None, {'b': \"it's \\\\ \\u00e9\"}]}",
            "None",
            "sa.JSON.NULL",
            "1.5",
            "sa.text(\"'{}'::jsonb\")",
        ],
    ),
    ("pg.JSONB(none_as_null=True)", ["None", "[{'x': None}]"]),
    ("pg.JSON()", ["{'a': 1}", "None"]),
    (
        "pg.ARRAY(sa.Text())",
        ["['a', \"it's\", '\\\\', 'b,c', '{}', '\"', '', 'NULL', None]", "[]", "None"],
    ),
    ("sa.ARRAY(sa.Integer())", ["[1, 2]", "[]", "(3, 4)"]),
    ("pg.ARRAY(sa.Integer(), dimensions=2)", ["[[1, 2], [3, 4]]", "[]"]),
    ("pg.ARRAY(sa.Text(), dimensions=3)", ["[[['a']], [['b']]]"]),
    ("pg.ARRAY(sa.Integer())", ["[[1, 2], [3, 4]]"]),
    ("pg.ARRAY(sa.Enum('x', \"y'z\", name='e_arr'))", ["['x', \"y'z\"]", "[]", "None"]),
    ("pg.ARRAY(sa.Enum(Colour, name='colour'))", ["[Colour.red]", "['blue']"]),
    ("pg.ARRAY(pg.JSONB())", ["[{'a': 1}, {'b': None}]"]),
    ("pg.ARRAY(sa.Uuid())", ["[UUID(int=5)]"]),
    ("pg.ARRAY(pg.UUID())", ["[UUID(int=5)]"]),
    ("pg.ARRAY(sa.Date())", ["[date(2020,1,2)]"]),
    ("pg.ARRAY(sa.DateTime(timezone=True))", ["[datetime(2020,1,2,tzinfo=timezone.utc)]"]),
    ("pg.ARRAY(sa.Numeric())", ["[Decimal('1.50'), Decimal('NaN')]"]),
    ("pg.ARRAY(sa.Float())", ["[1.5, float('inf')]"]),
    ("pg.ARRAY(sa.Boolean())", ["[True, False, None]"]),
    ("pg.ARRAY(sa.LargeBinary())", ["[b'\\x00\\xff', b'']"]),
    ("pg.ARRAY(sa.Interval())", ["[timedelta(days=1, seconds=3)]"]),
    ("pg.ARRAY(pg.INT4RANGE())", ["[Range(1, 5)]"]),
    ("pg.ARRAY(pg.INET())", ["[ipaddress.ip_address('10.0.0.1')]"]),
    ("sa.Interval()", ["timedelta(days=-3, seconds=5, microseconds=7)", "timedelta(0)"]),
    ("pg.INTERVAL()", ["timedelta(days=40)", "timedelta(seconds=-1)"]),
    (
        "pg.INT4RANGE()",
        ["Range(1, 5)", "Range(1, 5, bounds='[]')", "Range(None, 5)", "Range(empty=True)", "None"],
    ),
    ("pg.INT8RANGE()", ["Range(1, 5)"]),
    ("pg.NUMRANGE()", ["Range(Decimal('1.5'), Decimal('2'), bounds='(]')"]),
    ("pg.DATERANGE()", ["Range(date(2020,1,1), date(2021,1,1))", "Range(None, None)"]),
    ("pg.TSRANGE()", ["Range(datetime(2020,1,1), datetime(2021,1,1,5,6,7,8))"]),
    ("pg.TSTZRANGE()", ["Range(datetime(2020,1,1,tzinfo=timezone.utc), None)"]),
    ("pg.INT4MULTIRANGE()", ["[Range(1, 5), Range(9, 12)]", "[]", "MultiRange([Range(1, 2)])"]),
    ("pg.DATEMULTIRANGE()", ["[Range(date(2020,1,1), date(2021,1,1))]"]),
    (
        "pg.TSTZMULTIRANGE()",
        ["[Range(datetime(2020,1,1,tzinfo=timezone.utc), datetime(2021,1,1,tzinfo=timezone.utc))]"],
    ),
    ("sa.Uuid()", ["UUID(int=7)", "None"]),
    ("pg.UUID()", ["UUID(int=7)"]),
    ("pg.UUID(as_uuid=False)", ["'00000000-0000-0000-0000-000000000007'"]),
    ("sa.Uuid(as_uuid=False)", ["'00000000-0000-0000-0000-000000000007'"]),
    ("sa.LargeBinary()", ['b"\\\\101\\x00\\xff\'"', "b''", "None", "bytearray(b'x')"]),
    ("pg.BYTEA()", ["b'\\x00'"]),
    ("sa.Enum('a', \"b'c\", name='e1')", ['"b\'c"', "None"]),
    ("sa.Enum(Colour, name='colour2')", ["Colour.red", "'blue'"]),
    (
        "sa.Enum(Colour, name='colour3', values_callable=lambda e: [m.value for m in e])",
        ["Colour.red"],
    ),
    ("sa.Enum(Colour, native_enum=False, length=20)", ["Colour.red"]),
    ("pg.ENUM('a', 'b', name='e2')", ["'b'"]),
    ("sa.Date()", ["date(1, 1, 2)", "date(9999, 12, 30)"]),
    ("sa.Time()", ["time(1, 2, 3, 4)"]),
    (
        "sa.Time(timezone=True)",
        [
            "time(1, 2, 3, tzinfo=timezone.utc)",
            "time(1, 2, 3, tzinfo=timezone(timedelta(hours=5, minutes=30)))",
        ],
    ),
    ("sa.DateTime()", ["datetime(2024, 3, 31, 2, 30, 0, 5)", "datetime(1, 1, 2)"]),
    (
        "sa.DateTime(timezone=True)",
        [
            "datetime(2024, 3, 31, 2, 30, 0, 5, tzinfo=timezone.utc)",
            "datetime(2024, 3, 31, 2, 30, tzinfo=timezone(timedelta(hours=-5)))",
        ],
    ),
    ("pg.TIMESTAMP(timezone=True)", ["datetime(2024, 3, 31, 2, 30, 0, 5, tzinfo=timezone.utc)"]),
    (
        "sa.Numeric()",
        [
            "Decimal('12345678901234567890.000100')",
            "Decimal('NaN')",
            "Decimal('Infinity')",
            "Decimal('-Infinity')",
            "Decimal('1E+5')",
            "5",
            "1.5",
        ],
    ),
    ("sa.Numeric(10, 2)", ["Decimal('1.005')"]),
    ("sa.Float()", ["float('nan')", "float('-inf')", "1.5e300", "5e-324", "Decimal('1.5')"]),
    ("sa.BigInteger()", ["2**62", "-1"]),
    ("sa.SmallInteger()", ["-5"]),
    ("sa.Boolean()", ["True", "False", "None"]),
    (
        "pg.INET()",
        [
            "'10.0.0.1'",
            "'10.0.0.1/8'",
            "ipaddress.ip_address('::1')",
            "ipaddress.ip_interface('10.1.1.1/8')",
        ],
    ),
    ("pg.CIDR()", ["'10.0.0.0/8'", "ipaddress.ip_network('10.0.0.0/8')"]),
    ("pg.MACADDR()", ["'08:00:2b:01:02:03'"]),
    ("pg.MACADDR8()", ["'08:00:2b:01:02:03:04:05'"]),
    ("pg.BIT(3)", ["__import__('asyncpg').BitString('101')"]),
    ("pg.BIT(varying=True)", ["__import__('asyncpg').BitString('1011')"]),
    ("pg.TSVECTOR()", ["sa.func.to_tsvector('english', 'a fat cat')"]),
    ("pg.TSQUERY()", ["sa.func.to_tsquery('english', 'fat & cat')"]),
    ("pg.MONEY()", ["sa.text(\"'5.5'::money\")"]),
    ("pg.OID()", ["5"]),
    ("pg.REGCLASS()", ["'pg_class'"]),
    ("Vector(3)", ["[1, 2.5, -3]", "None"]),
    ("HALFVEC(3)", ["[1, 2.5, -3]"]),
    ("SPARSEVEC(3)", ["__import__('pgvector').SparseVector({0: 1.0, 2: 2.0}, 3)"]),
    ("VBIT(3)", ["'101'"]),
    ("Upper()", ["'abc'", "None"]),
    ("AsJson()", ["[1]", "None"]),
    ("Lower()", ["'ABC'"]),
    ("Days()", ["4"]),
    ("Guid()", ["UUID(int=3)"]),
    ("pg.ARRAY(Upper())", ["['a', 'b']"]),
    ("sa.JSON().with_variant(pg.JSONB(), 'postgresql')", ["{'a': 1}", "None"]),
    ("sa.String(5)", ["'\\\\n'", "''"]),
    ("sa.Unicode()", ["'\\u00e9\\u20ac'"]),
    ("sa.PickleType()", ["{'a': 1}"]),
]
_ONLY_VALUES = ("sa.text", "sa.func", "sa.null")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_each_type_stores_what_alembic_stores(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Through bulk_insert and through op.execute: the rows are those of plain Alembic."""
    project = projects.bare(tmp_path)
    tables, rows = ["op.execute('CREATE EXTENSION vector')"], []
    for number, (type_, values) in enumerate(_VALUES):
        tables.append(f"op.create_table('t{number}', sa.Column('x', {type_}))")
        table = f"sa.table('t{number}', sa.column('x', {type_}))"
        for value in values:
            rows.append(f"op.execute({table}.insert().values(x={value}))")
            if not value.startswith(_ONLY_VALUES):
                rows.append(f"op.bulk_insert({table}, [{{'x': {value}}}])")
    project.revision("r1", None, "\n".join(tables), head=_HEAD)
    project.revision("r2", "r1", "\n".join(rows), head=_HEAD)

    read = history.read(tmp_path)

    assert [revision.upgrade.live for revision in read.revisions] == ["", ""]
    with ways.made(postgres_server) as one, ways.made(postgres_server) as other:
        expected = ways.online(project, "up", other)
        assert ways.compiled(read, "up", one) == expected
        assert sum(line.startswith("row of") for line in expected) == len(rows)


def test_what_has_no_literal_runs_online(tmp_path: Path) -> None:
    """With the line; nothing is left out or becomes NULL."""
    project = projects.bare(tmp_path)
    table = "sa.table('t', sa.column('x', sa.Text))"
    project.revision("r1", None, f"op.bulk_insert({table}, [{{'x': object()}}])")

    (only,) = history.read(tmp_path).revisions

    assert only.upgrade.live.startswith("line 16 raises CompileError: no literal for a value")
