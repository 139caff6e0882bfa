"""Runs a plugin: `python -m toolchain.plugins NAME ENGINE_ADDRESS`, from the plugin's launcher."""

import os
import runpy
import sys

from toolchain import offline, orphans, plugins
from toolchain.errors import ToolchainError

__all__ = ["main"]


def main(name: str, *arguments: str) -> int:
    """Become the plugin `name`; give the exit status where there is none.

    What it lacks is fetched, so that `pulumi up` works where nothing else has run before.
    """
    try:
        found = plugins.install(name)
        packages = offline.packages(name) if found.route == "offline" else None
    except ToolchainError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    os.environ.pop("PYTHONPATH", None)  # the launcher's
    if packages is None:
        program = found.path
        if found.route == "genuine":
            program /= f"pulumi-resource-{name}"
        os.execv(program, [str(program), *arguments])
    sys.path[:0] = map(str, [*offline.sources(name), packages])
    sys.argv[1:] = arguments
    orphans.end_with_engine()
    runpy.run_module(f"groundwork_{name}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
