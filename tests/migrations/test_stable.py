"""Autogenerate after one revision: no differences of wording, and every true one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .generated import IMPORTS, WORDINGS, table, tables

if TYPE_CHECKING:
    from .workshop import Workshop

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:Computed column"),  # PostgreSQL 18 has another kind as well
]

_MODELS = 8  # in each of 25 examples

# A part of a table, and what stands for @ in it before and after: each a true difference.
_DIFFERENT = {
    "default": ("sa.Column('c', Text, server_default=@)", "'a:b'", "'a:c'"),
    "default of JSON": (
        "sa.Column('c', pg.JSONB, server_default=@)",
        "'{\"a\": 1}'",
        "'{\"a\": 2}'",
    ),
    "default by the clock": (
        "sa.Column('c', sa.DateTime(timezone=True), server_default=@)",
        "func.now()",
        "text(\"now() + '1 day'\")",
    ),
    "no default": ("sa.Column('c', Text, server_default=@)", "'a'", "text('NULL')"),
    "precision": ("sa.Column('c', sa.Numeric(@))", "10, 2", "12, 2"),
    "length": ("sa.Column('c', sa.String(@))", "20", "21"),
    "null": ("sa.Column('c', Text, nullable=@)", "True", "False"),
    "comment": ("sa.Column('c', Text, comment=@)", "'a:b'", "'a:c'"),
    "class in a text": (
        "Index(NAME, text(@), postgresql_using='hnsw')",
        "'v vector_cosine_ops'",
        "'v vector_l2_ops'",
    ),
    "class that goes": ("Index(NAME, text(@))", "'t text_pattern_ops'", "'t'"),
    "class of an option": (
        "Index(NAME, 't', postgresql_ops=@)",
        "{'t': 'text_pattern_ops'}",
        "{'t': 'varchar_pattern_ops'}",
    ),
    "expression": ("Index(NAME, text(@))", "'lower(t)'", "'upper(t)'"),
    "cast": ("Index(NAME, text(@))", "\"((j->>'a')::int)\"", "\"(j->>'a')\""),
    "literal": ("Index(NAME, text(@))", "\"coalesce(t, 'a:b')\"", "\"coalesce(t, 'a:c')\""),
    "order": ("Index(NAME, text(@))", "'n DESC'", "'n'"),
    "nulls": ("Index(NAME, text(@))", "'n DESC'", "'n DESC NULLS LAST'"),
    "collation": ("Index(NAME, text(@))", "'t COLLATE \"C\"'", "'t'"),
    "condition": (
        "Index(NAME, 'n', postgresql_where=text(@))",
        "\"t IN ('a', 'b')\"",
        "\"t IN ('a', 'c')\"",
    ),
    "unique": ("Index(NAME, text('lower(t)'), unique=@)", "True", "False"),
    "nulls that are alike": (
        "Index(NAME, text('lower(t)'), unique=True, postgresql_nulls_not_distinct=@)",
        "True",
        "False",
    ),
    "carried along": ("Index(NAME, text('lower(t)'), postgresql_include=[@])", "'n'", "'m'"),
    "parameters": (
        "Index(NAME, text('lower(t)'), postgresql_with={'fillfactor': @})",
        "70",
        "80",
    ),
    "method": ("Index(NAME, 'n', postgresql_using=@)", "'brin'", "'hash'"),
    "check": ("CheckConstraint(@, name='c')", "'n IN (1, 2)'", "'n IN (1, 3)'"),
    "unique constraint": ("sa.UniqueConstraint(@, name=NAME)", "'n', 't'", "'n', 'm'"),
}


def _all_different(which: int) -> str:
    """Give a table for each true difference, before (1) or after (2)."""
    parts = enumerate(_DIFFERENT.values())
    return IMPORTS + "".join(
        table(
            number,
            "t",
            [f"{part[0].replace('@', part[which]).replace('NAME', repr(f'ix {number}'))},"],
        )
        for number, part in parts
    )


def test_each_wording_is_no_difference(workshop: Workshop) -> None:
    """Of types, defaults, computed columns, indexes and checks: one revision, and nothing more."""
    code = "".join(
        table(number, "t", [part.replace("{0}", str(number))])
        for number, part in enumerate(WORDINGS)
    )
    workshop.model(IMPORTS + code)
    workshop.revise("begin")
    workshop.alembic("upgrade", "head")

    assert workshop.differences() == []


# Without a smaller example: each try is a database, and the differences name table and column.
@settings(
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(code=tables(count=_MODELS))
def test_generated_models_are_clean_after_one_revision(workshop: Workshop, code: str) -> None:
    """Autogenerate finds nothing in the database that its own revision has made."""
    workshop.empty()
    workshop.model(code)
    workshop.revise("begin")
    workshop.alembic("upgrade", "head")

    assert workshop.differences() == []


def test_each_true_difference_is_seen(workshop: Workshop) -> None:
    """One attribute is another: of each table just that one is found, and gone after a revision."""
    workshop.begin(_all_different(1))
    workshop.model(_all_different(2))

    found = str(workshop.differences())
    workshop.revise("change")
    workshop.alembic("upgrade", "head")

    missed = [
        name
        for number, name in enumerate(_DIFFERENT)
        if f"'t {number}'" not in found
        and f"'ix {number}'" not in found
        and f"<t {number}>" not in found
    ]
    assert missed == []
    assert workshop.differences() == []


@pytest.mark.filterwarnings("ignore:Expression")  # Alembic says that it does not compare it
def test_a_role_that_may_make_no_temporary_table_compares_by_the_words(
    workshop: Workshop,
) -> None:
    """In a read-only transaction too: operator classes in texts are no differences there either."""
    code = IMPORTS + table(
        0, "t", ["Index('a', text('t text_pattern_ops')), Index('b', text('lower(t)')),"]
    )
    workshop.begin(code)
    workshop.place.execute(
        f'ALTER DATABASE "{workshop.place.database}" SET default_transaction_read_only = on'
    )

    assert workshop.differences() == []
