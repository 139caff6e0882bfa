"""Trials one after the other, for some minutes: a line each, and a table by kind at the end."""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.faults.trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.kinds import Kind
    from tests.faults.stage import Stage
    from tests.faults.trial import Result

__all__ = ["line", "soak", "table"]

_PROBLEMS = 5  # of one trial that are printed
_LINES = 8  # of what a run printed
_REPEAT = "python -m tests.faults"


def soak(
    stage: Stage,
    *,
    seed: int,
    kinds: Sequence[Kind] = (),
    minutes: float = 0.0,
    trials: int = 0,
    verbose: bool = False,
) -> list[Result]:
    """Run trials with growing seeds, and print each.

    Args:
        stage: Where.
        seed: Of the first.
        kinds: What is tried, in turn; by default each seed draws one.
        minutes: After how long none is begun any more; 0 for no limit.
        trials: After how many the same.
        verbose: Whether what the runs printed is shown of each.

    Returns:
        What came of each.
    """
    results: list[Result] = []
    end = time.monotonic() + 60 * minutes
    while (not minutes or time.monotonic() < end) and (not trials or len(results) < trials):
        number = len(results)
        kind = kinds[number % len(kinds)] if kinds else None
        results.append(run_trial(stage, seed + number, kind))
        sys.stdout.write(line(results[-1], verbose=verbose) + "\n")
        sys.stdout.flush()
    return results


def line(result: Result, *, verbose: bool = False) -> str:
    """Say in a line what a trial was and what came of it; below it, what did not hold.

    Args:
        result: Of the trial.
        verbose: Whether what the runs printed stands below it in any case.
    """
    if not result.struck:
        outcome = "over before the fault"
    elif result.status == 0:
        outcome = "went on by itself"
    else:
        outcome = f"ended with {result.status}"
    runs = f"then {result.reruns} more" if result.reruns else "did not converge"
    said = (
        f"seed {result.seed}: {result.kind.name}, {result.direction}, {result.moment}:"
        f" {outcome}, {runs}; free after {result.free:.1f} s; {result.seconds:.0f} s"
    )
    if not result.problems and not verbose:
        return said
    more = len(result.problems) - _PROBLEMS
    problems = [f"    WRONG: {problem}" for problem in result.problems[:_PROBLEMS]]
    problems += [f"    and {more} more"] if more > 0 else []
    repeat = f"    again: {_REPEAT} --seed {result.seed} --kind {result.kind.name}"
    printed = [
        f"    run {number}: {text}"
        for number, run in enumerate(result.said, start=1)
        for text in run.strip().splitlines()[-_LINES:]
    ]
    return "\n".join((said, *problems, *printed, repeat))


def table(results: Sequence[Result]) -> None:
    """Print what came of each kind of fault."""
    shown = Table()
    for title in ("fault", "struck", "went on by itself", "converged after one more run"):
        shown.add_column(title, justify="left" if title == "fault" else "right")
    for title in ("needed more", "something wrong", "free, median s", "free, max s"):
        shown.add_column(title, justify="right")
    names = list(dict.fromkeys(result.kind.name for result in results))
    for name in sorted(names):
        shown.add_row(name, *_figures([each for each in results if each.kind.name == name]))
    shown.add_section()
    shown.add_row("all", *_figures(results))
    Console(width=None if sys.stdout.isatty() else 140).print(shown)


def _figures(results: Sequence[Result]) -> list[str]:
    struck = [each for each in results if each.struck or each.problems]
    if not struck:
        return ["0", *([""] * 6)]
    free = [each.free for each in struck]
    counts = (
        len(struck),
        sum(each.status == 0 for each in struck),
        sum(each.reruns == 1 for each in struck),
        sum(each.reruns != 1 for each in struck),
        sum(bool(each.problems) for each in struck),
    )
    return [*map(str, counts), f"{statistics.median(free):.1f}", f"{max(free):.1f}"]
