"""Runs a plan in a process of its own, for tests that kill it: told on standard input, in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from infra.errors import GroundworkError
from infra.schema import apply
from infra.schema.invocation import Invocation
from infra.schema.model import History, Plan, Script, Step
from infra.schema.running.progress import line


def _step(data: dict[str, Any]) -> Step:
    scripts = {name: Script.of(data[name]) for name in ("script", "undo")}
    tuples = {name: tuple(data[name]) for name in ("before", "after", "needs")}
    return Step(**{**data, **scripts, **tuples})


def _main() -> int:
    task = json.load(sys.stdin)
    plan = Plan(
        steps=tuple(_step(step) for step in task["plan"]["steps"]),
        before=tuple(task["plan"]["before"]),
        after=tuple(task["plan"]["after"]),
    )
    if "invocation" in task["options"]:
        task["options"]["invocation"] = Invocation.of(task["options"]["invocation"])
    terms = apply.Terms(
        url=task["url"], folder=Path(task["folder"]), stack=task["stack"], **task["options"]
    )
    try:
        done = apply.run(
            plan,
            History.of(task["history"]),
            terms,
            progress=lambda told: _say(line(told)),
        )
    except GroundworkError as exc:
        _say(f"{type(exc).__name__}: {exc}")
        return 1
    _say(f"applied {' '.join(done.applied)}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(_main())
