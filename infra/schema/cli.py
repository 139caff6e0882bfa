"""`python -m infra.schema`: the schema node for people without Pulumi at hand.

Exit status: 0 when there is nothing to do, or when it was done; 2 when something is pending or was
changed by hand; 1 for an error, with one message on standard error; 130 when it was stopped from
the keyboard.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import GroundworkError
from infra.schema import (
    database_guard,
    history,
    ledger,
    live,
    node,
    options,
    plan_review,
    review,
    states,
    view,
)
from infra.schema.errors import PlanError, RehearsalError, StoppedError
from toolchain.stopped import STOPPED
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

# The command line has no node to remove, and hands its own environment on.
_NO_OPTION = ("on_destroy", "migrationsEnvironment")
_TELL_SECONDS = 10.0  # between two lines of progress that stay

DONE, FAILED, PENDING = 0, 1, 2


# As the `alembic` command spells them.
_SHORT = {
    "iniSection": ("-n", "--name"),
    "xArguments": ("-x",),
    "migrationsPython": ("--python",),
}


class UsageError(GroundworkError):
    """The command line is incomplete."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    asked = _read(arguments)
    try:
        with history.observed(_rendering()):
            status: int = asked.run(asked)
    except GroundworkError as exc:
        print(visible(f"error: {exc}"), file=sys.stderr)
        return STOPPED if isinstance(exc, StoppedError) else FAILED
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
        ("lint", _lint, "say what is unsafe in what is pending; status 2 for an error"),
        ("rehearse", _rehearse, "run what is pending on a throwaway server, and say what happened"),
        (
            "report",
            _report,
            "all that a reviewer should see, rehearsed; status 2 where it would run",
        ),
        ("drift", _drift, "list what was changed by hand, or accept some of it"),
        ("history", _history, "list the revisions of the files; asks no database"),
        ("ledger", _ledger, "list what the database remembers"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.set_defaults(run=run)
        _add_options(command, rehearse="true" if run in (_rehearse, _report) else "")
        if run is _report:
            _add_format(command)
        if run is _drift:
            _add_objects(command)
        if run in (_upgrade, _drift):
            _add_stack(command)
    return parser


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=("terminal", "markdown", "html"),
        default="terminal",
        help="default: terminal",
    )
    command.add_argument(
        "--output", type=Path, default=None, metavar="FILE", help="instead of standard output"
    )
    command.add_argument(
        "--limit",
        type=int,
        default=65_536,
        metavar="CHARACTERS",
        help="what Markdown may have; default: %(default)s, as a comment on GitHub",
    )


def _add_stack(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--stack",
        default="",
        metavar="NAME",
        help="the stack whose database it is: needed where its ledger names one",
    )
    command.add_argument(
        "--moved-to",
        default="",
        metavar="CLUSTER/DATABASE",
        help="the database that is meant although the stack knows another, as the refusal names it",
    )


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; objects may stand behind options, where argparse sees none."""
    parser = _parser()
    asked, rest = parser.parse_known_args(arguments)
    if any(each.startswith("-") for each in rest) or (rest and not hasattr(asked, "objects")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        asked.objects = [*asked.objects, *rest]
    return asked


def _guarded(asked: argparse.Namespace) -> node.Place:
    """Give the place, unless the database there is another stack's.

    Raises:
        WrongDatabaseError: It is.
    """
    place = replace(_asked(asked), stack=asked.stack)
    known = states.identity(asked.stack)
    stack = database_guard.refuse_other_stack(place, known=known, moved_to=asked.moved_to)
    return replace(place, stack=stack)


def _add_objects(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action", nargs="?", choices=("list", "accept"), default="list", help="default: list"
    )
    command.add_argument(
        "objects",
        nargs="*",
        metavar="OBJECT",
        help="what to accept, by name as listed; * stands for any characters",
    )


def _add_options(command: argparse.ArgumentParser, *, rehearse: str = "") -> None:
    command.add_argument(
        "--url",
        default="",
        help="database URL; else the environment's DATABASE_URL, which no process list shows",
    )
    command.add_argument(
        "--migrations",
        default="migrations",
        metavar="FOLDER",
        help="where alembic.ini or pyproject.toml is, or such a file of another name",
    )
    command.add_argument("--json", action="store_true", help="answer in JSON")
    command.add_argument(
        "--roles", default="", metavar="ROLE,ROLE", help="the roles that an environment declares"
    )
    for key, usual in options.DEFAULTS.items():
        if key not in _NO_OPTION:
            default = rehearse if rehearse and key == "rehearse" else usual
            command.add_argument(
                *_option(key), dest=key, help=f"default: {default}", **_kind(key, default)
            )


def _option(key: str) -> tuple[str, ...]:
    """Spell a key as an option: words in lower case, with dashes between them."""
    words = re.sub("([A-Z])", r"-\1", key).replace("_", "-")
    return (*_SHORT.get(key, ()), f"--{words.lower()}")


def _kind(key: str, default: str) -> dict[str, Any]:
    """Say how the values of an option are read."""
    if key == "xArguments":
        return {"action": "append", "metavar": "ARGUMENT"}
    return {"default": default}


def _place(asked: argparse.Namespace) -> node.Place:
    chosen = {key: getattr(asked, key, default) for key, default in options.DEFAULTS.items()}
    chosen["xArguments"] = json.dumps(asked.xArguments or [])
    mistakes = options.mistakes(chosen)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    roles = tuple(role.strip() for role in asked.roles.split(",") if role.strip())
    return node.Place(
        folder=Path(asked.migrations),
        url=asked.url or os.environ.get("DATABASE_URL") or None,
        options=options.parse(chosen, roles=roles),
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
    return PENDING if shown["approve"] or shown["drift"] or seen.plan.invalid else DONE


def _check(asked: argparse.Namespace) -> int:
    seen = node.look(_asked(asked))
    if seen.plan is None:
        raise GroundworkError(seen.unseen)
    shown = view.properties(seen.plan)
    _answer(asked, {"plan": shown["plan"], "approve": shown["approve"]}, shown["plan"])
    return PENDING if shown["approve"] or shown["drift"] or seen.plan.invalid else DONE


def _upgrade(asked: argparse.Namespace) -> int:
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with history.observed(_rendering(stop.is_set)):
            done = node.bring(_guarded(asked), shown="", say=_say, cancelled=stop.is_set)
    finally:
        signal.signal(signal.SIGINT, before)
    shown = view.properties(done.plan)
    _answer(asked, {**shown, "revision": list(done.live.heads)}, shown["plan"])
    if stop.is_set():
        _say("asked to stop, when nothing was left to stop at: all of it is done")
        return STOPPED
    return DONE


def _drift(asked: argparse.Namespace) -> int:
    if (asked.action == "accept") != bool(asked.objects):
        raise UsageError("drift accept takes the objects to accept, and drift list takes none.")
    asked.drift = "report"
    if asked.action == "accept":
        seen: node.Look = node.accept(_guarded(asked), asked.objects, say=_say)
    else:
        seen = node.look(_asked(asked))
    if seen.plan is None:
        raise GroundworkError(seen.unseen)
    drift = view.properties(seen.plan)["drift"]
    _answer(asked, drift, "\n".join(drift.values()) or "nothing was changed by hand")
    return PENDING if drift and asked.action == "list" else DONE


def _review(asked: argparse.Namespace) -> review.Review:
    place = _place(asked)
    try:
        seen = node.look(place)
    except PlanError as exc:
        return review.Review(unplanned=str(exc), lint=place.options.lint)
    return plan_review.review(place, seen, say=_say, rehearsed=place.options.rehearse)


def _lint(asked: argparse.Namespace) -> int:
    from infra.schema import lint  # noqa: PLC0415 - it loads a parser, which nobody else needs

    found = _review(asked)
    if found.unplanned:
        raise GroundworkError(found.unplanned)
    data = [asdict(each) for each in found.findings]
    _answer(asked, data, view.findings(found.findings))
    return PENDING if lint.refusing(found.findings) else DONE


def _rehearse(asked: argparse.Namespace) -> int:
    found = _review(asked)
    if found.unplanned:
        raise GroundworkError(found.unplanned)
    if found.rehearsal is None:
        _answer(asked, None, "nothing to rehearse")
        return DONE
    _answer(asked, asdict(found.rehearsal), view.rehearsal(found.rehearsal))
    if found.rehearsal.failure:
        raise RehearsalError(found.rehearsal.failure)
    return DONE


def _report(asked: argparse.Namespace) -> int:
    from infra.schema import report  # noqa: PLC0415 - for those who want one

    if asked.limit < report.LEAST:
        raise UsageError(
            f"--limit {asked.limit} has no room for a report; at least {report.LEAST}."
        )
    found = _review(asked)
    if asked.json:
        _put(asked, json.dumps(asdict(found), indent=2))
    elif asked.format == "markdown":
        _put(asked, report.markdown(found, limit=asked.limit))
    elif asked.format == "html":
        _put(asked, report.page(found))
    elif asked.output is None:
        report.terminal(found)
    else:
        raise UsageError("--output takes --format markdown, --format html or --json.")
    if found.unplanned or (found.rehearsal and found.rehearsal.failure):
        return FAILED
    return PENDING if found.plan and (view.approve(found.plan) or found.plan.drift) else DONE


def _put(asked: argparse.Namespace, text: str) -> None:
    if asked.output is None:
        print(text if asked.json else visible(text))
        return
    try:
        asked.output.write_text(text if asked.json else visible(text), encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"{asked.output} can't be written: {exc.strerror}.") from exc


def _history(asked: argparse.Namespace) -> int:
    place = _place(asked)
    files = history.read(place.folder, place.invocation)
    _answer(asked, files.dump(), view.history(files))
    return DONE


def _ledger(asked: argparse.Namespace) -> int:
    place = _asked(asked)
    files = history.read(place.folder, place.invocation)
    events = live.events_for(files, str(place.url))
    lines = [view.event(event) for event in events]
    _answer(asked, events, "\n".join(lines) or f"no {ledger.SCHEMA} here, or nothing in it")
    return DONE


def _answer(asked: argparse.Namespace, data: Any, text: str) -> None:
    print(json.dumps(data, indent=2) if asked.json else visible(text))


def _rendering(interrupted: Callable[[], bool] = lambda: False) -> history.Observer:
    """Show on standard error how far the revisions are rendered."""
    told = [0.0]

    def report(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() >= told[0] + _TELL_SECONDS:
            told[0] = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def finish() -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def interrupt() -> None:
        if interrupted():
            raise KeyboardInterrupt

    return history.Observer(report=report, interrupt=interrupt, finish=finish)


def _say(text: str, *, live: bool = False, warning: bool = False) -> None:
    del live, warning
    print(visible(text), file=sys.stderr)
