"""docs/reliability.md: every test and every fault that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.kinds import KINDS

ROOT = Path(__file__).parents[2]


def test_what_the_table_of_failures_names_is_there() -> None:
    """Files of tests by their paths in tests/, faults by their names; and no fault is left out."""
    table = ROOT.joinpath("docs/reliability.md").read_text(encoding="utf-8")
    files = re.findall(r"\b\w+/test_\w+\.py", table)
    faults = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", table))

    assert len(files) > 40
    assert [name for name in files if not (ROOT / "tests" / name).is_file()] == []
    assert set(KINDS) - faults == set()
