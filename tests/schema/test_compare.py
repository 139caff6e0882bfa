"""How two catalogs differ, and how that reads: pure, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.schema import catalog
from infra.schema.model import Catalog, Drift


def _of(objects: dict[str, str]) -> Catalog:
    return Catalog(format=catalog.FORMAT, objects=objects)


_TABLE = {
    "table app.t": "table",
    "column app.t.a": "integer",
    'column app.t."b.c"': "text",
    "constraint app.t.t_pkey": "PRIMARY KEY (a)",
    "index app.ix": "on app.t USING btree (a)",
    "statistics app.s": "on app.t: CREATE STATISTICS app.s ON a, b FROM app.t",
    "sequence app.t_a_seq": "integer start 1, owned by app.t.a",
    "trigger app.t.touch": "CREATE TRIGGER touch",
    "policy app.t.mine": "PERMISSIVE FOR ALL TO PUBLIC",
    "grant app.t to reader": "SELECT",
    "grant app.t.a to reader": "UPDATE",
    "grant sequence app.t_a_seq to reader": "USAGE",
    "comment on table app.t": "'t'",
    "comment on column app.t.a": "'a'",
    "comment on index app.ix": "'ix'",
}
_BESIDE = {"schema app": "schema", "table app.tt": "table", "column app.tt.a": "integer"}


@pytest.mark.parametrize("kind", ["table", "view", "materialized view", "foreign table"])
def test_what_came_and_went_with_a_table_is_told_in_its_line(kind: str) -> None:
    """Columns, constraints, indexes, sequences, grants and comments follow their table."""
    whole = {name.replace("table", kind): text for name, text in _TABLE.items()}
    without, with_ = _of(_BESIDE), _of({**_BESIDE, **whole})

    assert [(d.change, d.object) for d in catalog.compare(without, with_)] == [
        ("added", f"{kind} app.t")
    ]
    assert [(d.change, d.object) for d in catalog.compare(with_, without)] == [
        ("removed", f"{kind} app.t")
    ]


def test_what_came_and_went_with_a_schema_is_told_in_its_line() -> None:
    """Its tables, types, functions and the privileges of what is to come."""
    more = {
        "type app.c": "enum ('a')",
        "function app.f(integer)": "CREATE FUNCTION",
        "grant function app.f(integer) to PUBLIC": "EXECUTE",
        "grant schema app to reader": "USAGE",
        "default privileges in app on tables to reader": "SELECT",
        "default privileges of boss in app on types to reader": "USAGE",
        "comment on schema app": "'mine'",
        "text search configuration app.c": "parser",
    }
    drift = catalog.compare(_of({**_BESIDE, **_TABLE, **more}), _of({}))

    assert [change.object for change in drift] == ["schema app"]


def test_parts_that_change_in_a_table_that_stays_are_told_one_by_one() -> None:
    """The most important first: tables, columns, constraints, and grants near the end."""
    before = _of({**_BESIDE, "table app.t": "table", "grant app.t to z": "SELECT"})
    drift = catalog.compare(before, _of({**_BESIDE, **_TABLE, "table app.new": "table"}))

    assert [(change.change, change.object) for change in drift][:5] == [
        ("added", "table app.new"),
        ("added", 'column app.t."b.c"'),
        ("added", "column app.t.a"),
        ("added", "constraint app.t.t_pkey"),
        ("added", "index app.ix"),
    ]
    assert ("removed", "grant app.t to z") in [(change.change, change.object) for change in drift]


def test_a_name_that_looks_like_another_is_not_taken_for_it() -> None:
    """Quotes, dots and words such as `table` in names do not mislead."""
    odd = {
        'table "a.t"."table app.t"': "table",
        'index "a.t"."on app.t "': 'on "a.t"."table app.t" USING btree (a)',
        'column app.tt."to reader"': "integer",
        'grant app.tt."to reader" to "x to y"': "SELECT",
        "function domain.f()": "CREATE FUNCTION",
    }
    drift = catalog.compare(_of(_BESIDE), _of({**_BESIDE, **odd}))

    assert {change.object for change in drift} == {
        'table "a.t"."table app.t"',
        'column app.tt."to reader"',
        "function domain.f()",
    }


def test_formats_that_differ_are_not_compared() -> None:
    """A newer groundwork describes differently; that is no change of the schema."""
    old = Catalog(format=catalog.FORMAT - 1, objects={"table app.t": "x"})
    new = _of(_TABLE)

    assert not catalog.comparable(old, new)
    assert catalog.compare(old, new) == ()
    assert catalog.comparable(new, new)


_NAMES = st.sampled_from([*_TABLE, *_BESIDE, "view app.v", "comment on view app.v", "odd"])
_CATALOGS = st.dictionaries(_NAMES, st.sampled_from(["a", "b"])).map(_of)
_BACK = {"added": "removed", "removed": "added", "changed": "changed"}


@given(_CATALOGS, _CATALOGS)
def test_the_way_back_is_the_mirror_of_the_way_there(before: Catalog, after: Catalog) -> None:
    """Nothing differs from itself, and what was added in one direction is removed in the other."""
    there, back = catalog.compare(before, after), catalog.compare(after, before)

    assert catalog.compare(before, before) == ()
    assert (there == ()) == (before == after)
    assert {(change.change, change.object) for change in there} == {
        (_BACK[change.change], change.object) for change in back
    }


@pytest.mark.parametrize(
    ("drift", "line"),
    [
        (
            Drift(change="added", object="column app.t.note", after="text"),
            "column app.t.note was added: text",
        ),
        (Drift(change="added", object="table app.t", after="table"), "table app.t was added"),
        (
            Drift(change="removed", object="index app.ix", before="on app.t USING btree (a)"),
            "index app.ix was removed",
        ),
        (
            Drift(
                change="changed",
                object="grant app.t to reader",
                before="SELECT",
                after="SELECT, UPDATE",
            ),
            "grant app.t to reader was changed: SELECT -> SELECT, UPDATE",
        ),
        (
            Drift(
                change="changed",
                object="view app.v",
                before=f"{'a, ' * 90}b\n  FROM t WHERE x = 1 ORDER BY 1",
                after=f"{'a, ' * 90}b\n  FROM t WHERE x = 22 ORDER BY 1",
            ),
            "view app.v was changed: … 1 … -> … 22 …",
        ),
        (
            Drift(change="added", object='table app."a\n\x1b[31m"', after="table, row security"),
            'table app."a \\x1b[31m" was added: table, row security',
        ),
    ],
)
def test_a_difference_is_one_short_line(drift: Drift, line: str) -> None:
    """Long definitions show what is different in them; nothing acts on a terminal."""
    assert catalog.worded(drift) == line


@given(st.text(), st.text(), st.text(), st.sampled_from(["added", "changed", "removed"]))
def test_a_line_is_a_line(name: str, before: str, after: str, change: str) -> None:
    """Whatever somebody put into a name or a body."""
    drift = Drift(change=change, object=f"table {name}", before=before, after=after)  # type: ignore[arg-type] # one of the three
    line = catalog.worded(drift)

    assert line.isprintable()
    assert len(line) < len(drift.object) * 10 + 300
