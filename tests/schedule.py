"""The order of the tests: longest files first, so that all workers finish together.

pytest-xdist hands out whole files (`--dist loadfile`), in the order of the collection. What each
file took the last time is in durations.json, by the marker expression of the run;
`make durations` measures it again.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest
    from _pytest.terminal import TerminalReporter

__all__ = ["pytest_collection_modifyitems", "pytest_sessionstart", "pytest_terminal_summary"]

_FILE = Path(__file__).with_name("durations.json")
_STORE = "GROUNDWORK_STORE_DURATIONS"
_BEGIN: list[float] = []


def pytest_sessionstart() -> None:
    """Note when the run began."""
    _BEGIN[:] = [time.monotonic()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files that take longest first; what was never measured goes before all."""
    measured = _read().get(_kind(config), {})
    items.sort(key=lambda item: position(item.nodeid, measured))


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Say how much of the time the workers were busy, and store what the files took if asked."""
    took = sum_by_file(
        (report.nodeid, report.duration)
        for reports in terminalreporter.stats.values()
        for report in reports
        if hasattr(report, "duration")
    )
    workers = int(getattr(config.option, "numprocesses", None) or 0)
    wall = time.monotonic() - _BEGIN[0]
    if workers and took:
        busy = sum(took.values()) / (workers * wall)
        terminalreporter.write_line(f"{workers} workers were busy for {busy:.0%} of {wall:.0f} s")
    if os.environ.get(_STORE):
        _write(_read() | {_kind(config): took})


def position(nodeid: str, measured: Mapping[str, float]) -> tuple[float, str]:
    """Give the key to sort a test by: tests of one file have the same, and keep their order."""
    file = _file(nodeid)
    return -measured.get(file, float("inf")), file


def sum_by_file(durations: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add up the seconds of tests, given by their ids, for each file."""
    took: dict[str, float] = defaultdict(float)
    for nodeid, seconds in durations:
        took[_file(nodeid)] += seconds
    return dict(took)


def _kind(config: pytest.Config) -> str:
    return str(config.option.markexpr or "all")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _read() -> dict[str, dict[str, float]]:
    try:
        known: dict[str, dict[str, float]] = json.loads(_FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return known


def _write(known: dict[str, dict[str, float]]) -> None:
    rounded = {
        kind: {name: round(seconds, 1) for name, seconds in sorted(files.items())}
        for kind, files in sorted(known.items())
    }
    _FILE.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
