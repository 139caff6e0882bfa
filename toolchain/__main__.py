"""`python -m toolchain`: refuse an old Python in words, then hand over to `cli`."""

import os
import sys

if os.name != "posix":
    sys.exit(
        "error: Linux or macOS is needed; on Windows, start this inside WSL. Nothing was changed."
    )

if sys.version_info < (3, 11):  # noqa: UP036 - this is the check that tells an old Python's user
    sys.exit(
        "error: Python 3.11 or later is needed, and this is Python %d.%d (%s).\n"  # noqa: UP031 - must parse on Python 2
        "Nothing was changed. Install a newer Python and start the same command with it,\n"
        "for example: make PYTHON=python3.11 up"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

from toolchain.stopped import load_and_run

load_and_run("toolchain.cli")
