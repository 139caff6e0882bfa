"""The schema node on the real engine: what previews show, what runs, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.node import Node


def test_a_preview_shows_the_plan_and_writes_nothing(make_node: Callable[..., Node]) -> None:
    """Message, SQL, locks and way back of each revision, in JSON and in text; no table is made."""
    node = make_node()

    shown = node.shown()
    text = node.preview("--diff").text
    brief = node.preview().text

    assert "ccc3 3/3 message of ccc3; ShareLock on one" in brief
    assert f"approve: {shown['approve']}" in brief
    assert shown["op"] == "create"
    assert list(shown["pending"]) == ["aaa1", "bbb2", "ccc3"]
    step = shown["pending"]["ccc3"]
    assert step["message"] == "3/3 message of ccc3"
    assert step["sql"] == ["CREATE INDEX ix_one_note ON one (note)"]
    assert step["downgrade"] == "available"
    assert "3 to apply" in shown["plan"]
    assert shown["approve"]
    for said in ("1/3 message of aaa1", "CREATE TABLE one", "3 to apply"):
        assert said in text
    assert "[secret]" in text
    assert node.url not in text
    assert node.database.run(
        "SELECT count(*) FROM pg_class WHERE relname IN ('one', 'alembic_version', 'events')"
    ) == [(0,)]


def test_up_runs_what_was_shown_and_a_second_one_nothing(make_node: Callable[..., Node]) -> None:
    """All is there, the state holds nothing pending, and neither a preview nor an up has work."""
    node = make_node()

    first = node.up()
    again = node.up()

    assert "3/3 ccc3 message of ccc3" in first.text
    assert "1 unchanged" in again.text or "2 unchanged" in again.text
    assert "schema" not in node.steps()
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]
    assert node.database.run(
        "SELECT revision, direction, state FROM schema_ledger.events ORDER BY id"
    ) == [("aaa1", "up", "done"), ("bbb2", "up", "done"), ("ccc3", "up", "done")]
    outputs = node.resource()["outputs"]
    assert (outputs["pending"], outputs["revision"]) == ({}, "ccc3")


def test_only_what_is_new_is_pending_afterwards(make_node: Callable[..., Node]) -> None:
    """A revision that is added later is the whole plan, and the provider stays the same."""
    node = make_node()
    node.up()
    provider = node.resource()["outputs"]["__provider"]
    node.add_fourth()

    shown = node.shown()
    node.up()

    assert (shown["op"], list(shown["pending"])) == ("update", ["ddd4"])
    assert node.resource()["outputs"]["__provider"] == provider
    assert len(provider) < 100  # by reference: a module's and a class's name
    assert node.outputs()["revision"] == "ddd4"


def test_a_change_by_hand_is_seen_reported_refused_and_accepted(
    make_node: Callable[..., Node],
) -> None:
    """Preview and refresh name the object; the stack decides what comes of it."""
    node = make_node()
    node.up()
    node.database.run("ALTER TABLE one ADD COLUMN by_hand int", "SELECT 1")

    shown = node.shown()
    assert shown["op"] == "update"
    assert list(shown["drift"]) == ["column public.one.by_hand"]
    refreshed = node.pulumi("refresh", "--yes", "--diff", "--stack", "test")
    assert "column public.one.by_hand" in refreshed.text

    node.configure(drift="refuse")
    refused = node.up(check=False)
    assert refused.status != 0
    assert "by_hand" in refused.text

    node.configure(drift="accept")
    node.up()
    assert "schema" not in node.steps()
    node.configure(drift="refuse")
    assert "schema" not in node.steps()


def test_only_the_approved_plan_runs(make_node: Callable[..., Node]) -> None:
    """`up` takes the digest that preview showed, and no other plan."""
    node = make_node()
    approve = node.shown()["approve"]

    node.configure(approved_plan="0" * 64)
    refused = node.up(check=False)
    assert refused.status != 0
    assert approve in refused.text
    assert node.database.run("SELECT to_regclass('one')::text") == [(None,)]
    assert node.preview().status == 0

    node.configure(approved_plan=approve)
    node.up()
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]
    assert "schema" not in node.steps()
