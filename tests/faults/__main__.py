"""`python -m tests.faults`: faults at random moments of a run of any Alembic directory."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from tests.faults.kinds import KINDS
from tests.faults.soak import soak, table
from tests.faults.stage import HISTORY, Stage, UncleanError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_SEEDS = 10**6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials; exit status 1 where one left something that is not as after a clean run."""
    asked, options = _read(arguments)
    if asked.list:
        for kind in KINDS.values():
            print(f"{kind.name:20} {kind.says}")
        return 0
    given = asked.seed if asked.seed is not None else os.environ.get("FAULT_SEED")
    seed = int(given) if given else secrets.randbelow(_SEEDS)
    trials = asked.trials or (0 if asked.minutes else 1)
    print(f"faults: seed {seed}, history {asked.migrations}", flush=True)
    try:
        with Stage.make(asked.migrations, options=options, superuser=asked.superuser) as stage:
            kinds = [KINDS[name] for name in asked.kind]
            results = soak(
                stage,
                seed=seed,
                kinds=kinds,
                minutes=asked.minutes,
                trials=trials,
                verbose=asked.verbose,
            )
    except (UncleanError, GroundworkError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    table(results)
    wrong = [str(result.seed) for result in results if result.problems]
    if wrong:
        print(f"error: not as after a clean run: seeds {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def _read(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=(
            "Run an Alembic directory on a server of its own, let a fault happen at a random"
            " moment, run once more, and compare with a clean run."
        ),
        epilog="What stands behind -- is handed to each run: -- --apply online",
    )
    parser.add_argument(
        "--migrations", type=Path, default=HISTORY, metavar="FOLDER", help="an Alembic directory"
    )
    parser.add_argument(
        "--seed", type=int, help="of the first trial; else FAULT_SEED, else a random one"
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="how long to go on")
    parser.add_argument("--trials", type=int, default=0, help="how many; without either, one")
    parser.add_argument(
        "--kind", action="append", choices=KINDS, default=[], help="this fault alone; repeatable"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show what the runs of each trial printed"
    )
    parser.add_argument("--list", action="store_true", help="list the kinds of faults")
    parser.add_argument(
        "--superuser", action="store_true", help="run as the superuser, as extensions may need"
    )
    given = list(sys.argv[1:] if arguments is None else arguments)
    mine, options = given, []
    if "--" in given:
        at = given.index("--")
        mine, options = given[:at], given[at + 1 :]
    return parser.parse_args(mine), options


if __name__ == "__main__":
    sys.exit(main())
