"""`ci/preview`: a preview with a rehearsal, since the commit that a pull request goes on from."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from ci import merge_base
from ci.redacting import redacted
from ci.review import COLOURS, Review
from toolchain import venv, versions
from toolchain.stopped import STOPPED
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main"]

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_STACK = re.compile(rf"({_PART}/){{0,2}}{_PART}")
_OBJECTED = 2  # the status of a preview that went well, with a plan that should not run
_KEPT = 1000  # lines of output that a failure's last ones are taken from
# A CI hands what nobody set over as an empty text, which Pulumi would take for a choice.
_EMPTY = ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE")


def main(*, description: str, arguments: Sequence[str] | None = None) -> int:
    """Run the preview, see to it that there is a report, and give the preview's status."""
    options = _options(description, arguments)
    review = Review(options.stack)
    environment = _environment(os.environ, base=options.base)
    try:
        review.clear()
        status, said = _preview(options.stack, environment)
        if not review.there():
            review.write_failure(status, said, environment)
        if options.output:
            review.copy(options.output)
    except OSError as exc:
        print(visible(f"error: {exc}"), file=sys.stderr)
        return 1
    _say(f"{options.stack}: {review.verdict()}")
    _say(f"report: {(options.output or review.folder) / 'report.md'}")
    objections = review.objections() if options.strict and not status else []
    for why in objections:
        _say(f"failed, since {why}")
    return _OBJECTED if objections else status


def _options(description: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/preview",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    output = os.environ.get("GROUNDWORK_REVIEW", "")
    parser.add_argument("--base", metavar="BRANCH", default="")
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=output or None)
    parser.add_argument(
        "--strict", action="store_true", default=os.environ.get("GROUNDWORK_STRICT") == "true"
    )
    stack = os.environ.get("GROUNDWORK_STACK") or os.environ.get("PULUMI_STACK") or "dev"
    parser.add_argument("stack", metavar="STACK", nargs="?", default=stack)
    options = parser.parse_args(arguments)
    if not _STACK.fullmatch(options.stack):
        parser.error(f"{options.stack!r} is no name of a stack")
    return options


def _environment(given: Mapping[str, str], *, base: str) -> dict[str, str]:
    """Give the preview's environment: what a pull request's is like, unless somebody said."""
    environment = {name: value for name, value in given.items() if value or name not in _EMPTY}
    if not environment.get("PULUMI_BACKEND_URL") and not environment.get(
        "PULUMI_CONFIG_PASSPHRASE"
    ):
        # Whoever has a backend of their own may well have chosen an empty passphrase.
        environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    if base:
        environment[merge_base.CHOSEN] = base
    if not environment.get("GROUNDWORK_REHEARSE"):
        environment["GROUNDWORK_REHEARSE"] = "true"
    if not environment.get("GROUNDWORK_SINCE"):
        environment["GROUNDWORK_SINCE"] = _since(environment)
    return environment


def _since(environment: Mapping[str, str]) -> str:
    """Give the merge base; without one the review goes by what the database remembers."""
    try:
        found = merge_base.find(versions.ROOT, environment)
    except merge_base.NoBaseError as exc:
        _say(f"warning: {redacted(str(exc), environment)}")
        return ""
    _say(f"what is new since {found[:12]}" if found else "no pull request, and no --base")
    return found


def _preview(stack: str, environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run the toolchain's preview, show what it prints, and give its status and last lines."""
    python = str(venv.python() if venv.python().exists() else sys.executable)
    command = [python, "-m", "toolchain", "preview", "--existing", "--stack", stack]
    said: deque[str] = deque(maxlen=_KEPT)
    # Ctrl-C reaches the engine too, which then ends in good order: it is waited for. (A handler,
    # since an ignored signal would be inherited.)
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with subprocess.Popen(
            command,
            cwd=versions.ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as child:
            for line in child.stdout or ():
                said.append(line.rstrip("\n"))
                print(visible(COLOURS.sub("", said[-1])), flush=True)
        status = child.returncode if child.returncode >= 0 else 128 - child.returncode
        return STOPPED if stopped.is_set() else status, [*said]
    finally:
        signal.signal(signal.SIGINT, before)


def _say(text: str) -> None:
    print(visible(f"ci/preview: {text}"), flush=True)
