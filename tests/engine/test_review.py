"""The review in previews of the real engine: what is shown, what stops a preview or an up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine import histories

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.node import Node

_UNSAFE = "op.execute('ALTER TABLE one ALTER COLUMN id TYPE bigint')"


def _add(node: Node, up: str, down: str = "pass", *, head: str = "") -> None:
    histories.add(node.migrations, "ddd4", "ccc3", up, down, head=head, message="the fourth")


def _filed(node: Node, name: str) -> str:
    path = node.folder / ".groundwork" / "review" / "test" / name
    return path.read_text(encoding="utf-8")


def _facts(node: Node) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_filed(node, "review.json"))
    return facts


@pytest.mark.long
def test_a_preview_rehearses_and_files_the_report(make_node: Callable[..., Node]) -> None:
    """Locks, rewritten tables, findings and the way back are among the messages and in files."""
    node = make_node()
    node.up()
    node.configure(rehearse="true")
    _add(node, _UNSAFE, "op.execute('ALTER TABLE one ALTER COLUMN id TYPE int')")

    said = node.preview().text

    assert "error: ddd4 changing-column-type" in said
    assert "ddd4 writes public.one anew" in said
    assert "way back: rehearsed, and all is as before" in said
    assert "report: .groundwork/review/test/report.md" in said
    report = _filed(node, "report.md")
    assert report.startswith("<!-- groundwork: ")
    assert "AccessExclusiveLock on public.one" in report
    approve = node.shown()["approve"]
    assert approve in report
    facts = _facts(node)
    assert (facts["approve"], facts["pending"], facts["failed"]) == (approve, 1, False)
    assert "<svg" in _filed(node, "report.html")
    assert node.url not in report + said
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]

    node.up()
    assert "schema" not in node.steps()
    assert _facts(node)["pending"] == 0


def test_a_rehearsal_that_fails_stops_the_preview(make_node: Callable[..., Node]) -> None:
    """With the failing statement and PostgreSQL's words; the report is there all the same."""
    node = make_node()
    node.up()
    node.configure(rehearse="true")
    _add(node, "op.execute('ALTER TABLE one ADD COLUMN note text')")

    stopped = node.preview(check=False)

    assert stopped.status != 0
    assert "statement 1: ALTER TABLE one ADD COLUMN note text" in stopped.text
    assert 'column "note" of relation "one" already exists' in stopped.text
    assert "Traceback" not in stopped.text
    assert _facts(node)["failed"] is True
    assert "already exists" in _filed(node, "report.md")


@pytest.mark.long
def test_lint_refuses_an_up_and_lets_a_preview_pass(make_node: Callable[..., Node]) -> None:
    """`lint: refuse` stops before anything runs; a reason in the file, or another level, helps."""
    node = make_node()
    node.up()
    node.configure(lint="refuse")
    _add(node, _UNSAFE)

    shown = node.preview()
    assert "up refuses: lint found errors" in shown.text
    assert _facts(node)["refused"] is True
    refused = node.up(check=False)
    assert refused.status != 0
    assert "changing-column-type" in refused.text
    assert "lint_ignore" in refused.text
    assert "Traceback" not in refused.text
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]

    _add(node, _UNSAFE, head="lint_ignore = {'changing-column-type': 'the table is small'}")
    assert "up refuses" not in node.preview().text
    node.up()
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ddd4",)]


@pytest.mark.long
def test_levels_come_from_the_configuration(make_node: Callable[..., Node]) -> None:
    """A map in the stack's file takes the edge off a rule."""
    node = make_node()
    node.up()
    node.configure(lint="refuse")
    _add(node, _UNSAFE)
    node.pulumi("config", "set", "--path", "groundwork:lint_levels.changing-column-type", "warning")

    node.up()

    assert node.database.run("SELECT version_num FROM alembic_version") == [("ddd4",)]


@pytest.mark.long
def test_a_broken_revision_is_in_the_report(make_node: Callable[..., Node]) -> None:
    """A preview that can't make a plan leaves a report that says why."""
    node = make_node()
    (node.migrations / "alembic" / "versions" / "broken.py").write_text("def upgrade(:\n")

    stopped = node.preview(check=False)

    assert stopped.status != 0
    assert "broken.py" in stopped.text
    assert "broken.py" in _filed(node, "report.md")
    assert _facts(node)["refused"] is True


@pytest.mark.long
def test_a_preview_without_a_database_rehearses_from_nothing(
    make_node: Callable[..., Node],
) -> None:
    """Where the URL is still to come, the history is run on an empty server."""
    node = make_node()
    node.pulumi("config", "set", "node:later", "true")
    node.configure(rehearse="true")

    said = node.preview().text

    assert "rehearsed in" in said
    assert "on nothing" in said


@pytest.mark.long
def test_a_saved_plan_runs_after_a_rehearsal(make_node: Callable[..., Node]) -> None:
    """What a rehearsal measured is no part of the plan that the engine holds an update to."""
    node = make_node()
    node.configure(rehearse="true")
    node.preview("--save-plan", "plan.json")

    node.up("--plan", "plan.json")

    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]
