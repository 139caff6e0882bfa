"""What no driver can send is refused before anything runs, in online revisions when it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema import apply, history, live, plan
from infra.schema.apply import Terms
from infra.schema.errors import MigrationError, UnsendableError
from infra.schema.model import Live, Policy
from infra.schema.statements.session import lasting
from infra.schema.statements.unsendable import unsendable
from tests.schema.histories import project as projects
from tests.schema.histories import ways

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer

_REFUSED = {
    "COPY t (a) FROM stdin": "COPY ... FROM STDIN",
    "SELECT 1; copy t from STDIN with (format csv)": "COPY ... FROM STDIN",
    "COPY t FROM stdin;\n1\tit's\n\\.": "COPY ... FROM STDIN",
    "COPY (SELECT 1) TO STDOUT": "COPY ... TO STDOUT",
    "/* c */ COPY t TO stdout": "COPY ... TO STDOUT",
    "\\connect other": "\\connect",
    "SELECT 1 \\gexec": "\\gexec",
    "CREATE TABLE t (x int);\n\\i more.sql": "\\i",
    "\\copy t from 'x'": "\\copy",
    "SELECT 'a\0b'": "a NUL character",
}
_SENT = [
    "COPY t FROM '/tmp/stdin'",
    "COPY t TO PROGRAM 'cat >STDOUT'",
    r"SELECT 'C:\temp', E'\x41', $$ \connect $$, U&'\0041'",
    "SELECT 1 -- \\d",
    "SELECT a AS stdin FROM stdin",
    'CREATE TABLE "copy" ("from" int, stdin int)',
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'COPY t FROM STDIN' $$",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("sql", _REFUSED)
def test_what_only_psql_can_send_is_found(sql: str) -> None:
    """In a text of several statements too, and where the data breaks the quotation."""
    assert unsendable(sql).startswith(_REFUSED[sql])


@pytest.mark.parametrize("sql", _SENT)
def test_what_a_driver_can_send_passes(sql: str) -> None:
    """Files and programs of the server, and backslashes inside of quotations."""
    assert unsendable(sql) == ""


def test_a_plan_refuses_it_with_file_and_line(tmp_path: Path) -> None:
    """As long as it is pending; one that the database has already is in nobody's way."""
    project = projects.bare(tmp_path)
    project.revision("r1", None, "op.execute('CREATE TABLE t (a int)')")
    project.revision("r2", "r1", "op.execute('SELECT 1')\nop.execute('COPY t FROM STDIN')")
    read = history.read(tmp_path)

    with pytest.raises(UnsendableError) as raised:
        plan.make(read, None, Policy())

    assert "r2 (r2_made.py): line 17 sends COPY ... FROM STDIN" in str(raised.value)
    assert plan.make(read, None, Policy(target="r1")).after == ("r1",)
    there = Live(heads=("r2",), versioned=True)
    assert plan.make(read, there, Policy()).steps == ()


def test_what_an_offline_branch_alone_sends_refuses_nothing(tmp_path: Path) -> None:
    """It runs online, and takes the other branch there."""
    project = projects.bare(tmp_path)
    body = "if context.is_offline_mode():\n    op.execute('COPY t FROM STDIN')"
    project.revision("r1", None, body)

    assert plan.make(history.read(tmp_path), None, Policy()).after == ("r1",)


def test_an_online_revision_is_stopped_before_the_server_waits(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Nothing of it is kept, and no lock."""
    project = projects.bare(tmp_path)
    body = "op.get_bind()\nop.execute('CREATE TABLE t (a int)')\n"
    asks = "op.get_bind().execute(sa.text('COPY t FROM STDIN'))"
    project.revision("r1", None, body + asks)
    read = history.read(tmp_path)
    with ways.made(postgres_server) as base:
        url = f"{base.url.replace('+asyncpg', '')}?sslmode=disable"
        made = plan.make(read, live.read_for(read, url), Policy())
        with pytest.raises(MigrationError, match=r"sends COPY \.\.\. FROM STDIN"):
            apply.run(made, read, Terms(url=url, folder=tmp_path, pause=0.01, tries=1))
        assert not any("table public.t" in line for line in base.content())


def test_settings_that_would_last_under_alembic_are_told_in_the_plan(tmp_path: Path) -> None:
    """Not those that the revision takes back itself, or sets for its transaction alone."""
    project = projects.bare(tmp_path)
    project.revision("r1", None, "op.execute('SET search_path TO a; SET LOCAL work_mem = 1')")
    project.revision("r2", "r1", "op.execute('SET ROLE a')\nop.execute('RESET ROLE')")

    notes = plan.make(history.read(tmp_path), None, Policy()).notes

    (note,) = [note for note in notes if "for the session" in note]
    assert note.startswith("r1 sets search_path for the session: here that ends with the revision")


@pytest.mark.parametrize(
    ("statements", "names"),
    [
        (["SET SESSION AUTHORIZATION a"], ("session authorization",)),
        (["RESET SESSION AUTHORIZATION"], ("session authorization",)),
        (["SET SESSION lock_timeout = 1; SET TIME ZONE 'UTC'"], ("lock_timeout", "timezone")),
        (["RESET ALL"], ("all",)),
        (["SET lock_timeout = 1", "RESET ALL"], ()),
        (["SET session_replication_role = replica", "SET session_replication_role = DEFAULT"], ()),
        (["SELECT pg_catalog.set_config('search_path', '', false)"], ("search_path",)),
        (["SELECT set_config('search_path', '', true)"], ()),
        (["SET CONSTRAINTS ALL DEFERRED; SET TRANSACTION READ ONLY"], ()),
    ],
)
def test_settings_that_last_are_named(statements: list[str], names: tuple[str, ...]) -> None:
    """By SET, RESET, and set_config until the session ends."""
    assert lasting(statements) == names
