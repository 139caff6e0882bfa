"""Drift: what is known of changes by hand after other revisions, and what is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infra.schema import drift, ledger, live
from infra.schema.model import Catalog, Drift, Live, Policy
from tests.engine import histories
from tests.engine.node import make_database
from tests.schema.schema_stack import SchemaStack
from tests.schema.test_cli import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer

# A ledger as earlier versions have made it.
_WITHOUT = "ALTER TABLE schema_ledger.catalogs DROP COLUMN unaccepted"


@pytest.fixture
def stack(tmp_path: Path, postgres_server: PostgresServer) -> SchemaStack:
    """A stack that is up, with three small revisions."""
    histories.init_three(tmp_path / "migrations")
    url = make_database(postgres_server, f"drift {os.urandom(4).hex()}")
    made = SchemaStack(tmp_path, url=url)
    made.up()
    return made


def _drift(stack: SchemaStack) -> list[str]:
    return list(stack.shown()["drift"])


def _run(stack: SchemaStack, *statements: str) -> None:
    stack.database.run(*statements, "SELECT 1")


# -- never forgotten ---------------------------------------------------------------------------

_BY_HAND = {
    "added": ("ALTER TABLE one ADD by_hand int", "column public.one.by_hand"),
    "changed": ("ALTER TABLE one ALTER note SET DEFAULT 'x'", "column public.one.note"),
    "removed": ("DROP INDEX ix_one_note", "index public.ix_one_note"),
    "granted": ("GRANT SELECT ON one TO PUBLIC", "grant public.one to PUBLIC"),
}


@pytest.mark.parametrize("ledger_is", ["of today", pytest.param("earlier", marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", _BY_HAND)
def test_a_change_by_hand_stays_drift_after_the_next_revision(
    stack: SchemaStack, kind: str, ledger_is: str
) -> None:
    """`up` names it, runs, and it is drift again afterwards, in the preview and in the refresh."""
    statement, name = _BY_HAND[kind]
    _run(stack, statement, *([_WITHOUT] if ledger_is == "earlier" else []))
    stack.add_fourth()

    said = stack.up().text

    assert stack.heads() == [("ddd4",)]
    assert f"drift: {name} was " in said
    assert _drift(stack) == [name]
    assert f"drift: {name} was " in stack.refresh().text
    stack.configure(drift="refuse")
    assert name in stack.up(check=False).text


@pytest.mark.parametrize(
    ("kind", "undone"),
    [
        ("added", "ALTER TABLE one DROP by_hand"),
        ("changed", "ALTER TABLE one ALTER note DROP DEFAULT"),
        ("removed", "CREATE INDEX ix_one_note ON one (note)"),
        ("granted", "REVOKE SELECT ON one FROM PUBLIC"),
    ],
)
def test_what_is_reverted_is_drift_no_more(stack: SchemaStack, kind: str, undone: str) -> None:
    """Without another step, also after other revisions; the same change again is drift."""
    statement, name = _BY_HAND[kind]
    _run(stack, statement)
    stack.add_fourth()
    stack.up()

    _run(stack, undone)
    assert _drift(stack) == []
    stack.configure(drift="refuse")
    stack.up()
    assert stack.is_settled()

    _run(stack, statement)
    assert name in stack.preview(check=False).text


def test_an_older_checkout_and_plain_alembic_forget_nothing(stack: SchemaStack) -> None:
    """Both leave what they don't know of in the ledger: a catalog that is theirs, other heads."""
    _run(stack, "ALTER TABLE one ADD by_hand int")
    stack.add_fourth()
    stack.up()
    found = live.read(stack.url or "")
    assert found.catalog is not None

    key = "public.alembic_version"
    _run(stack, "CREATE TABLE later (id int)")
    found = live.read(stack.url or "")
    assert found.catalog is not None
    _run(stack, ledger.record(key, found.heads, found.catalog))
    assert _drift(stack) == ["column public.one.by_hand"]

    stack.add("eee5", "ddd4", "op.execute('CREATE TABLE five (id int)')")
    _run(stack, "CREATE TABLE five (id int)", "UPDATE alembic_version SET version_num = 'eee5'")
    assert _drift(stack) == ["column public.one.by_hand"]
    stack.up()
    assert _drift(stack) == ["column public.one.by_hand"]


def test_a_run_that_fails_half_way_forgets_nothing(stack: SchemaStack) -> None:
    """What is drift is in the ledger before the first revision runs."""
    _run(stack, "ALTER TABLE one ADD by_hand int")
    stack.add_fourth()
    bad = stack.add("eee5", "ddd4", "op.execute('SELECT 1/0')")
    assert stack.up(check=False).status != 0

    bad.write_text(bad.read_text().replace("1/0", "1"))
    stack.up()

    assert _drift(stack) == ["column public.one.by_hand"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("by_hand", "revision", "left"),
    [
        (
            "ALTER TABLE one ADD by_hand int",
            "ALTER TABLE one RENAME TO uno",
            ["column public.uno.by_hand"],
        ),
        (
            "ALTER TABLE one DROP note",
            "ALTER TABLE one RENAME TO uno",
            ["column public.uno.note", "index public.ix_one_note"],
        ),
        (
            "CREATE INDEX by_hand ON one (note)",
            "ALTER TABLE one RENAME TO uno",
            ["index public.by_hand"],
        ),
        (
            "ALTER TABLE one ALTER note SET DEFAULT 'x'",
            "ALTER TABLE one ALTER note SET NOT NULL",
            ["column public.one.note"],
        ),
        ("ALTER TABLE one ADD by_hand int", "ALTER TABLE one DROP by_hand", []),
        ("ALTER TABLE one ALTER note SET DEFAULT 'x'", "ALTER TABLE one DROP note", []),
        ("DROP INDEX ix_one_note", "CREATE INDEX ix_one_note ON one (id)", []),
        (
            "CREATE FUNCTION by_hand() RETURNS int RETURN 1",
            "CREATE TABLE more (id int)",
            ["function public.by_hand()"],
        ),
        (
            'CREATE TABLE "a, b.*(c) É" (id int PRIMARY KEY); ALTER TABLE one ADD "x.y, z" int',
            'ALTER TABLE one RENAME TO "un, o"',
            ['table public."a, b.*(c) É"', 'column public."un, o"."x.y, z"'],
        ),
        (
            "CREATE TABLE beside (id int PRIMARY KEY, x text)",
            "ALTER TABLE beside RENAME x TO y",
            ["table public.beside"],
        ),
    ],
)
def test_a_revision_that_touches_the_same_object(
    stack: SchemaStack, by_hand: str, revision: str, left: list[str]
) -> None:
    """Renamed, it is known by its new name; what the revision settles is settled; no more is."""
    _run(stack, by_hand)
    stack.add("ddd4", "ccc3", f"op.execute({revision!r})")
    stack.up()

    assert _drift(stack) == left


def test_what_revision_and_hand_changed_in_one_object_is_told_apart(stack: SchemaStack) -> None:
    """The revision's part is no drift: to undo the other one is enough."""
    _run(stack, "ALTER TABLE one ALTER note SET DEFAULT 'x'")
    stack.add("ddd4", "ccc3", "op.execute('ALTER TABLE one ALTER note SET NOT NULL')")
    stack.up()
    assert "DEFAULT" in stack.shown()["drift"]["column public.one.note"]

    _run(stack, "ALTER TABLE one ALTER note DROP DEFAULT")

    assert _drift(stack) == []


# -- accepted object by object ---------------------------------------------------------------


def test_one_object_is_accepted_and_the_other_stays(stack: SchemaStack) -> None:
    """By the configuration: in prod's way, where the rest is refused."""
    _run(stack, "ALTER TABLE one ADD by_hand int", "CREATE TABLE extra (id int PRIMARY KEY)")
    stack.configure(drift="refuse", acceptedDrift='["table public.extra"]')
    refused = stack.up(check=False).text
    assert "column public.one.by_hand" in refused
    assert "table public.extra" not in refused

    stack.configure(drift="report")
    assert any("up accepts" in note for note in stack.shown()["notes"])
    assert "drift (accepted): table public.extra was added" in stack.up().text
    stack.configure(acceptedDrift=None)
    assert _drift(stack) == ["column public.one.by_hand"]

    _run(stack, "ALTER TABLE extra ADD more int")
    assert _drift(stack) == ["column public.extra.more", "column public.one.by_hand"]


def test_an_object_is_accepted_on_the_command_line(stack: SchemaStack) -> None:
    """The list has status 2; a name that is not among it is an error; pending revisions wait."""
    _run(stack, "ALTER TABLE one ADD by_hand int", "CREATE TABLE extra (id int PRIMARY KEY)")
    stack.add_fourth()
    url, files = stack.url or "", stack.migrations
    mine = ("--stack", "groundwork/test")

    listed = command("drift", url=url, folder=files)
    assert listed.returncode == 2
    assert listed.stdout.splitlines() == [
        "table public.extra was added",
        "column public.one.by_hand was added: integer",
    ]
    wrong = command("drift", "accept", "table public.nothing", *mine, url=url, folder=files)
    assert wrong.returncode == 1
    assert "column public.one.by_hand" in wrong.stderr

    # Options may stand before the objects.
    done = command("drift", "accept", *mine, "column public.one.by_hand", url=url, folder=files)
    assert (done.returncode, done.stdout) == (0, "table public.extra was added\n")
    assert _drift(stack) == ["table public.extra"]
    assert stack.heads() == [("ccc3",)]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("table public.tmp_*", ["index public.ix"]),
        ("index", ["table public.tmp_1"]),
        ("* public.*", []),
    ],
)
def test_kinds_of_objects_can_be_ignored(stack: SchemaStack, pattern: str, left: list[str]) -> None:
    """With all that is part of them."""
    _run(stack, "CREATE TABLE tmp_1 (id int PRIMARY KEY)", "CREATE INDEX ix ON one (note)")
    stack.configure(driftIgnore=f'["{pattern}"]')

    assert _drift(stack) == left


# -- partitions ------------------------------------------------------------------------------

_PARTITIONED = (
    "CREATE TABLE ev (id bigint, at date NOT NULL, kind text) PARTITION BY RANGE (at);"
    " CREATE INDEX ev_kind ON ev (kind);"
    " CREATE TABLE ev_first PARTITION OF ev FOR VALUES FROM (''2025-01-01'') TO (''2025-02-01'')"
)
_JOB = (
    """CREATE TABLE ev_2026 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)
       PARTITION BY LIST (kind)""",
    "CREATE TABLE ev_2026_a PARTITION OF ev_2026 FOR VALUES IN ('a', 'it''s (odd), really')",
    "CREATE TABLE ev_rest PARTITION OF ev DEFAULT",
    "ALTER TABLE ev_rest ADD CONSTRAINT sane CHECK (id > 0)",
    "CREATE INDEX ev_rest_id ON ev_rest (id)",
    "GRANT SELECT ON ev_rest TO PUBLIC",
)


@pytest.fixture
def partitioned(stack: SchemaStack) -> SchemaStack:
    """The same with a partitioned table, which has one partition; drift is refused."""
    stack.add("ddd4", "ccc3", f"op.execute('''{_PARTITIONED.replace(chr(39) * 2, chr(39))}''')")
    stack.up()
    stack.configure(drift="refuse")
    return stack


def test_partitions_come_and_go_without_drift(partitioned: SchemaStack) -> None:
    """Made, attached, detached, dropped, moved, with sub-partitions, indexes, checks and grants."""
    _run(partitioned, *_JOB)
    assert partitioned.is_settled()

    _run(partitioned, "ALTER TABLE ev DETACH PARTITION ev_first")
    assert partitioned.is_settled()
    partitioned.add("eee5", "ddd4", "op.execute('SELECT 1')")
    partitioned.up()
    assert partitioned.is_settled()

    _run(partitioned, "DROP TABLE ev_first", "DROP TABLE ev_rest", "DROP TABLE ev_2026")
    assert partitioned.is_settled()


def test_a_table_that_a_revision_made_may_become_a_partition(partitioned: SchemaStack) -> None:
    """Its key, its columns and its index are the partitioned table's from then on, and back."""
    partitioned.add(
        "eee5",
        "ddd4",
        """
        op.execute('ALTER TABLE ev ADD PRIMARY KEY (id, at)')
        op.execute('CREATE TABLE old (id bigint, at date, kind text, PRIMARY KEY (id, at))')
        op.execute('CREATE INDEX old_kind ON old (kind)')
        """,
    )
    partitioned.up()

    _run(
        partitioned,
        "ALTER TABLE ev ATTACH PARTITION old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    )
    assert partitioned.is_settled()
    partitioned.add("fff6", "eee5", "op.execute('SELECT 1')")
    partitioned.up()
    _run(partitioned, "ALTER TABLE ev DETACH PARTITION old")
    assert partitioned.is_settled()


def test_a_change_of_a_partition_is_drift_all_the_same(partitioned: SchemaStack) -> None:
    """And so is the partitioned table itself."""
    _run(
        partitioned,
        "GRANT DELETE ON ev_first TO PUBLIC",
        "CREATE INDEX by_hand ON ev (id)",
        "CREATE TABLE beside (id int) PARTITION BY HASH (id)",
        "CREATE TABLE beside_0 PARTITION OF beside FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    )
    partitioned.configure(drift="report")

    assert _drift(partitioned) == [
        "table public.beside",
        "table public.beside_0",
        "index public.by_hand",
        "grant public.ev_first to PUBLIC",
    ]


# -- without a database ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "now", "made"),
    [
        ("integer", "integer DEFAULT 5", "integer NOT NULL DEFAULT 5", "integer NOT NULL"),
        ("SELECT", "INSERT, SELECT", "INSERT, SELECT, UPDATE", "SELECT, UPDATE"),
        (
            "enum ('a', 'b')",
            "enum ('a', 'b', 'x')",
            "enum ('a', 'b', 'x', 'c')",
            "enum ('a', 'b', 'c')",
        ),
        ("enum ('a')", "enum ('x', 'a')", "enum ('x', 'a', 'b')", "enum ('a', 'b')"),
        ("x\n  y\n", "x\n  z\n", "w\n  z\n", "w\n  y\n"),
        ("integer", "bigint", "text", "integer"),
        ("integer", "bigint", "integer", "integer"),
        ("integer", "bigint", "", ""),
        ("", "integer", "bigint", ""),
        ("integer", "", "bigint", "bigint"),
    ],
)
def test_a_definition_without_the_change_by_hand(
    before: str, after: str, now: str, made: str
) -> None:
    """What a revision changed beside it stays; where both changed the same, it stays drift."""
    change = Drift(change="changed", object="column a.b.c", before=before, after=after)

    objects = {"column a.b.c": now} if now else {}
    assert drift.revised(objects, [change]) == ({"column a.b.c": made} if made else {})


def test_a_publication_that_lists_new_partitions_is_no_drift() -> None:
    """It lists each by its name, unless it publishes by the root."""
    part = "table, partition of a.ev FOR VALUES FROM ('x, y') TO (MAXVALUE)"
    before = {"table a.ev": "table, partitioned by RANGE (at)", "publication p": "{}, a.one"}
    after = {**before, "table a.ev_1": part, "publication p": "{}, a.ev_1, a.one"}
    found = Live(
        recorded=Catalog(format=1, objects=before), catalog=Catalog(format=1, objects=after)
    )

    assert len(drift.changes(found)) == 2
    assert drift.reported(found, Policy()) == ()


@pytest.mark.parametrize("wrong", ["tabel public.x", "public.x", "partitions"])
def test_a_pattern_names_a_kind_of_object(wrong: str) -> None:
    """A slip of the pen would exempt nothing, without a word."""
    assert "names no kind of object" in drift.mistake(wrong)
    for right in ("table public.x", "index", "materialized view a.*", "*"):
        assert drift.mistake(right) == ""
