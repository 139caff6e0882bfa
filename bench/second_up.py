"""How much more than the engine itself a second `make up` costs.

Run it with `make bench`. The floor is a stack that holds one constant dynamic resource, under the
same engine, taken in turn with `make up` on a stack of this project that is up to date.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import toolchain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

_ROOT = Path(__file__).parents[1]
_RUNS = 5
_STACK = "bench"
_PROJECT = (
    "name: constant\nruntime:\n  name: python\n  options: {toolchain: pip, virtualenv: .venv}\n"
)
_PROGRAM = """\
from constant import Constant
Constant("constant")
"""
_CONSTANT = """\
from pulumi import dynamic


class Provider(dynamic.ResourceProvider):
    def create(self, props):
        return dynamic.CreateResult("constant", props)


class Constant(dynamic.Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {"value": 1})
"""


def main() -> None:
    """Measure, and print seconds and ratios as a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        environment = _constant_stack(Path(folder))
        _run(["make", "up", f"STACK={_STACK}"], _ROOT, os.environ)
        try:
            _measure(Path(folder), environment)
        finally:
            _run(["make", "down", f"STACK={_STACK}"], _ROOT, os.environ)


def _constant_stack(folder: Path) -> dict[str, str]:
    (folder / "Pulumi.yaml").write_text(_PROJECT)
    (folder / "__main__.py").write_text(_PROGRAM)
    (folder / "constant.py").write_text(_CONSTANT)
    (folder / ".venv").symlink_to(_ROOT / ".venv")
    (folder / "state").mkdir()
    environment = (
        os.environ
        | toolchain.environment()
        | {
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
        }
    )
    _run(["pulumi", "stack", "init", _STACK], folder, environment)
    _run(["pulumi", "up", "--yes"], folder, environment)
    return environment


def _measure(folder: Path, environment: dict[str, str]) -> None:
    commands = {
        "`make up`, nothing to do": (["make", "up", f"STACK={_STACK}"], _ROOT, os.environ),
        "constant: `pulumi up --yes`": (["pulumi", "up", "--yes"], folder, environment),
        "constant: `pulumi up --yes --skip-preview`": (
            ["pulumi", "up", "--yes", "--skip-preview"],
            folder,
            environment,
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_RUNS):
        for name, command in commands.items():
            begin = time.monotonic()
            _run(*command)
            seconds[name].append(time.monotonic() - begin)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    ours = next(iter(medians.values()))
    print("| command | median of 5, s | `make up` against it |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} | {ours / median:.2f} |")


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
