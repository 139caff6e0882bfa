"""`python -m infra.schema`: the schema node for people without Pulumi at hand.

Exit status: 0 when there is nothing to do, or when it was done; 2 when something is pending or was
changed by hand; 1 for an error, with one message on standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import GroundworkError
from infra.schema import history, ledger, live, node, options, view

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DONE, FAILED, PENDING = 0, 1, 2


class UsageError(GroundworkError):
    """The command line is incomplete."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        status: int = asked.run(asked)
    except GroundworkError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.schema", description="Plan, apply and look at a schema."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, run, says in (
        ("plan", _plan, "show what would run; status 2 where something would"),
        ("upgrade", _upgrade, "run it"),
        ("check", _check, "say in a line whether the database is where it should be"),
        ("history", _history, "list the revisions of the files; asks no database"),
        ("ledger", _ledger, "list what the database remembers"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.set_defaults(run=run)
        _add_options(command)
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--url",
        default="",
        help="database URL; else the environment's DATABASE_URL, which no process list shows",
    )
    command.add_argument(
        "--migrations", default="migrations", metavar="FOLDER", help="where Alembic's files are"
    )
    command.add_argument("--json", action="store_true", help="answer in JSON")
    for key, default in options.DEFAULTS.items():
        if key != "on_destroy":
            command.add_argument(
                f"--{key.replace('_', '-')}", dest=key, default=default, help=f"default: {default}"
            )


def _place(asked: argparse.Namespace) -> node.Place:
    chosen = {key: getattr(asked, key, default) for key, default in options.DEFAULTS.items()}
    mistakes = options.mistakes(chosen)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return node.Place(
        folder=Path(asked.migrations),
        url=asked.url or os.environ.get("DATABASE_URL") or None,
        options=options.parse(chosen),
        stack="",
    )


def _asked(asked: argparse.Namespace) -> node.Place:
    place = _place(asked)
    if place.url is None:
        raise UsageError("no database: set DATABASE_URL, or pass --url.")
    return place


def _plan(asked: argparse.Namespace) -> int:
    seen = node.look(_place(asked))
    if seen.plan is None:
        raise GroundworkError(seen.unseen)
    shown = view.properties(seen.plan)
    _answer(asked, shown, view.text(seen.plan))
    return PENDING if shown["approve"] or shown["drift"] else DONE


def _check(asked: argparse.Namespace) -> int:
    seen = node.look(_asked(asked))
    if seen.plan is None:
        raise GroundworkError(seen.unseen)
    shown = view.properties(seen.plan)
    _answer(asked, {"plan": shown["plan"], "approve": shown["approve"]}, shown["plan"])
    return PENDING if shown["approve"] or shown["drift"] else DONE


def _upgrade(asked: argparse.Namespace) -> int:
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        done = node.bring(_asked(asked), shown="", say=_say, cancelled=stop.is_set)
    finally:
        signal.signal(signal.SIGINT, before)
    shown = view.properties(done.plan)
    _answer(asked, {**shown, "revision": list(done.live.heads)}, shown["plan"])
    return DONE


def _history(asked: argparse.Namespace) -> int:
    files = history.read(Path(asked.migrations), variable=asked.url_variable)
    _answer(asked, files.dump(), view.history(files))
    return DONE


def _ledger(asked: argparse.Namespace) -> int:
    place = _asked(asked)
    files = history.read(place.folder, variable=place.options.url_variable)
    events = live.events_for(files, str(place.url))
    lines = [view.event(event) for event in events]
    _answer(asked, events, "\n".join(lines) or f"no {ledger.SCHEMA} here, or nothing in it")
    return DONE


def _answer(asked: argparse.Namespace, data: Any, text: str) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False) if asked.json else text)


def _say(text: str, *, live: bool = False, warning: bool = False) -> None:
    del live, warning
    print(text, file=sys.stderr)
