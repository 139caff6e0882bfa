"""`make inspect`: what adopting an existing database would take, without writing to it.

Prints the configuration of a stack as YAML, with what was found and what would change in comments.
Exit status: 0 when a stack with it would go up; 2 when something stands against it, which the
comments name; 1 for an error; 130 when it was stopped from the keyboard.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.inspect import inspection, text
from toolchain.stopped import STOPPED, run
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_VARIABLE = "ADMIN_URL"
_DONE, _FAILED, _REFUSED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Inspect; gives the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        found = inspection.inspect(
            _admin_url(),
            database=asked.database,
            migrations=Path(asked.migrations),
            seconds=asked.seconds,
            say=_complain,
        )
    except GroundworkError as exc:
        _complain(f"error: {exc}")
        return _FAILED
    except (KeyboardInterrupt, EOFError):
        _complain("\nerror: stopped from the keyboard; nothing was changed.")
        return STOPPED
    sys.stdout.write(text.write(found.sections, found.keys))
    return _REFUSED if found.refused else _DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.inspect",
        description="Print the stack configuration that adopts an existing database. Nothing is"
        f" written to it. The administrator's URL is taken from {_VARIABLE}, or asked for.",
    )
    parser.add_argument("--database", default="", metavar="NAME", help="default: the one in use")
    parser.add_argument(
        "--migrations", default="migrations", metavar="FOLDER", help="default: migrations"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=300.0,
        metavar="NUMBER",
        help="how long to look for the revision of a database without version table; default: 300",
    )
    return parser


def _complain(line: str) -> None:
    sys.stderr.write(f"{visible(line)}\n")


def _admin_url() -> str:
    """Take the URL where no list of processes shows it."""
    given = os.environ.get(_VARIABLE, "")
    if given:
        return given
    if sys.stdin.isatty():
        return getpass.getpass("URL of the administrator (not shown): ").strip()
    return sys.stdin.readline().strip()


if __name__ == "__main__":
    run(main)
