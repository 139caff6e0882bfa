"""What rendering a history once costs against rendering each revision twice.

Run it with `make bench`. The two histories differ by one import in each file that may lead to
something random, so that its SQL is compared with that of a second time. Whole processes, taken in
turn, and nothing is kept of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.apply_history import write_history

__all__ = ["main"]

_ROOT = Path(__file__).parents[1]
_RUNS = 5
_REVISIONS = 1000
_KINDS = {"once": "", "twice": "import random\n"}


def main() -> None:
    """Measure, and print seconds and ratios as a table in Markdown."""
    taken: dict[str, list[float]] = {name: [] for name in _KINDS}
    for _ in range(_RUNS):
        for name, head in _KINDS.items():
            taken[name].append(_compile(head))
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    print(f"\n| {_REVISIONS} revisions, rendered | s | against once |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} | {median / medians['once']:.2f} |")


def _compile(head: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        files = write_history(Path(folder), _REVISIONS, head)
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "infra.schema", "history", "--migrations", str(files)],
            cwd=_ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(files / "cache")},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - begin


if __name__ == "__main__":
    main()
