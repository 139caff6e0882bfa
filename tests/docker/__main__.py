"""`python -m tests.docker` has an image of PostgreSQL 17 in the daemon, and prints its name.

It needs nothing but Python's standard library. With `--found` it makes none: it ends with status 1
where none is there and none can be pulled.
"""

import argparse
import sys

from tests.docker import daemon, image
from toolchain.errors import ToolchainError


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.docker", description=__doc__)
    parser.add_argument("--found", action="store_true", help="don't make one")
    options = parser.parse_args()
    try:
        name = image.provide(daemon.connect(), make=not options.found)
    except ToolchainError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted. What was complete is kept; run it again\n")
        return 130
    sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
