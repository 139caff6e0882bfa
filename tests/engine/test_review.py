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
