"""Ends a command that is stopped from the keyboard with one line and the usual exit status."""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["STOPPED", "load_and_run", "run"]

STOPPED = 130
"""The exit status of a command that Ctrl-C has ended: 128 and the number of the signal."""

_PIPE = 141


def load_and_run(module: str) -> NoReturn:
    """Run the `main` of a module to the end of the process; Ctrl-C may come while it loads."""
    run(lambda: importlib.import_module(module).main())


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command to the end of the process.

    Args:
        main: Gives the exit status.
    """
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        # No second one may come between the message and the end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("error: stopped from the keyboard.\n")
        status = STOPPED
    except BrokenPipeError:
        # Who has read enough, as `head` does, wants no message; nor does Python at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _PIPE
    sys.exit(status)
