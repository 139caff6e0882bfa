"""The report of twelve kinds of change, compared with what it is known to say."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.schema import report
from tests.review.cases import CASES
from tests.review.making import masked, stage

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

_GOLDEN = Path(__file__).with_name("golden")
_DAILY = ("rewrite", "concurrently")


@pytest.mark.parametrize(
    "name",
    [name if name in _DAILY else pytest.param(name, marks=pytest.mark.long) for name in CASES],
)
def test_the_report_says_what_it_should(
    name: str, postgres_server: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A real preview's Markdown is the golden one, but for times, sizes and digests.

    GOLDEN=write writes what there is now, to be looked at and committed.
    """
    case = CASES[name]
    if name not in _DAILY:
        request.getfixturevalue("shared_server")
    with stage(case, postgres_server, tmp_path) as made:
        found = made.review(**case.options)
    rehearsal = found.rehearsal
    assert rehearsal is not None
    text = masked(report.markdown(found))
    golden = _GOLDEN / f"{name}.md"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    expected = golden.read_text(encoding="utf-8")
    changed = difflib.unified_diff(
        expected.splitlines(), text.splitlines(), "golden", "now", lineterm=""
    )
    assert text == expected, "\n".join(changed)
    locks = {(lock.mode, lock.relation) for step in rehearsal.steps for lock in step.locks}
    rewritten = [each.relation for step in rehearsal.steps for each in step.rewritten]
    if name == "rewrite":
        assert ("AccessExclusiveLock", "public.clients") in locks
        assert rewritten == ["public.clients"]
    if name == "concurrently":
        assert "AccessExclusiveLock" not in {mode for mode, _ in locks}
        assert rewritten == []
