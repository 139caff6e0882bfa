"""The schema node on the real engine, one stack through a life: what the engine shows and decides.

What the node plans and refuses is tested without the engine, in tests/schema/test_provider.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine import histories

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.node import Node


@pytest.fixture(scope="module")
def node(make_node: Callable[..., Node]) -> Node:
    """A stack of the node, not up yet; each test goes on where the one before it ended."""
    return make_node()


def test_a_preview_shows_the_plan_and_writes_nothing(node: Node) -> None:
    """Message, SQL, locks and way back of each revision, in JSON and in text; no table is made."""
    shown = node.shown()
    text = node.preview("--diff").text
    brief = node.preview().text

    assert shown["op"] == "create"
    assert list(shown["pending"]) == ["aaa1", "bbb2", "ccc3"]
    step = shown["pending"]["ccc3"]
    assert step["message"] == "3/3 message of ccc3"
    assert step["sql"] == ["CREATE INDEX ix_one_note ON one (note)"]
    assert step["downgrade"] == "available"
    assert "3 to apply" in shown["plan"]
    assert shown["approve"]
    for said in (
        "ccc3 3/3 message of ccc3; ShareLock on one",
        "    CREATE INDEX ix_one_note ON one (note);",
        f"approve: {shown['approve']}",
        "1/3 message of aaa1",
        "CREATE TABLE one",
        "3 to apply",
        "[secret]",
    ):
        assert said in text
    assert node.url not in text
    for statement in shown["pending"].values():
        assert all(f"    {sql};" in brief for sql in statement["sql"])
    assert node.database.run(
        "SELECT count(*) FROM pg_class WHERE relname IN ('one', 'alembic_version', 'events')"
    ) == [(0,)]


def test_up_runs_what_was_shown_and_a_second_one_nothing(node: Node) -> None:
    """All is there, the state holds nothing pending, and neither a preview nor an up has work."""
    first = node.up()
    again = node.up("--expect-no-changes")

    assert "3/3 ccc3 message of ccc3" in first.text
    assert "1 unchanged" in again.text or "2 unchanged" in again.text
    assert "schema" not in node.steps()
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]
    assert node.database.run(
        "SELECT revision, direction, state FROM schema_ledger.events ORDER BY id"
    ) == [("aaa1", "up", "done"), ("bbb2", "up", "done"), ("ccc3", "up", "done")]
    outputs = node.resource()["outputs"]
    assert (outputs["pending"], outputs["revision"]) == ({}, "ccc3")


def test_only_what_is_new_is_pending_afterwards(node: Node) -> None:
    """A revision that is added later is the whole plan, and the provider stays the same.

    A secret among the arguments or the variables of env.py makes all of them secret, in the state
    too.
    """
    provider = node.resource()["outputs"]["__provider"]
    node.add_fourth()
    node.pulumi("config", "set", "--path", "groundwork:xArguments[0]", "plain=hunter21")
    secret = ("config", "set", "--secret", "--path", "groundwork:xArguments[1]")
    node.pulumi(*secret, answer="word=hunter22")
    variable = "groundwork:migrationsEnvironment.SHOP_{}"
    node.pulumi("config", "set", "--path", variable.format("MODE"), "hunter24")
    secret = ("config", "set", "--secret", "--path", variable.format("TOKEN"))
    node.pulumi(*secret, answer="hunter25")
    said = node.preview("--diff").text

    shown = node.shown()
    done = node.up()

    assert shown["notes"] == ["env.py is called with -x plain=*** -x word=***"]
    assert all("hunter2" not in text for text in (said, str(shown), done.text, node.state()))
    assert "ciphertext" in node.resource()["inputs"]["arguments"]
    assert "ciphertext" in node.resource()["inputs"]["variables"]
    assert (shown["op"], list(shown["pending"])) == ("update", ["ddd4"])
    assert node.resource()["outputs"]["__provider"] == provider
    assert len(provider) < 100  # by reference: a module's and a class's name
    assert node.outputs()["revision"] == "ddd4"


def test_a_change_by_hand_is_seen_reported_refused_and_accepted(node: Node) -> None:
    """Preview and refresh name the object; the stack decides what comes of it."""
    node.database.run("ALTER TABLE one ADD COLUMN by_hand int", "SELECT 1")

    shown = node.shown()
    assert shown["op"] == "update"
    assert list(shown["drift"]) == ["column public.one.by_hand"]
    refreshed = node.refresh("--diff")
    assert "column public.one.by_hand" in refreshed.text

    node.configure(drift="refuse")
    refused = node.up(check=False)
    assert refused.status != 0
    assert "by_hand" in refused.text
    assert "Traceback" not in refused.text

    node.configure(drift="accept")
    node.up()
    node.configure(drift="refuse")
    assert "schema" not in node.steps()


def test_two_heads_are_refused_as_a_mistake_of_the_files(node: Node) -> None:
    """The engine names the property; the message names both, and the command that merges them."""
    branch = histories.add(node.migrations, "ddd5", "ccc3", "op.execute('SELECT 1')")

    refused = node.preview(check=False)

    assert refused.status != 0
    assert 'alembic merge -m "merge heads" ddd4 ddd5' in refused.text
    assert "migrations" in refused.text
    assert "Traceback" not in refused.text
    branch.unlink()


def test_a_plan_that_was_not_approved_and_a_revision_that_fails_end_an_up(node: Node) -> None:
    """With the digest to approve, and with PostgreSQL's words; what was before stays."""
    failing = histories.add(
        node.migrations,
        "eee5",
        "ddd4",
        "op.execute('CREATE TABLE half (id int)')\nop.execute('SELECT 1 / 0')",
    )
    node.configure(approved_plan="0" * 64)
    refused = node.up(check=False)
    node.configure(approved_plan=None)
    failed = node.up(check=False)

    assert refused.status != 0
    assert "approved_plan" in refused.text
    assert failed.status != 0
    assert "eee5" in failed.text
    assert "division by zero" in failed.text
    for outcome in (refused, failed):
        assert "Traceback" not in outcome.text
    assert node.database.run("SELECT to_regclass('half')::text") == [(None,)]
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ddd4",)]
    failing.unlink()


def test_a_lost_state_costs_nothing_and_a_destroy_neither(node: Node) -> None:
    """A new stack on the same database takes what is there; the schema outlives the node."""
    before = node.database.run("SELECT count(*) FROM schema_ledger.events")
    node.forget()

    node.up()

    assert node.outputs()["revision"] == "ddd4"
    assert node.database.run("SELECT count(*) FROM schema_ledger.events") == before
    node.destroy()
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ddd4",)]
