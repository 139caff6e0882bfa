"""Drives one stack of the test program through the real engine's command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import toolchain
from tests.plugins.process import clean_environment
from tests.plugins.run import Run, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.plugins.declaration import Declared

__all__ = ["EngineStack"]

PROGRAM = Path(__file__).parent / "program"

_ROOT = Path(__file__).parents[2]

_LIMIT_SECONDS = 300
"""For one run of the engine, on a machine that has other things to do."""

_TRIVIAL = ("same", "read", "refresh")


class EngineStack:
    """A project in a folder of its own, with a file backend beside it."""

    def __init__(
        self, folder: Path, *, path: list[Path], package: str, environment: Mapping[str, str]
    ) -> None:
        """Makes the project and its stack.

        Args:
            folder: Where to put them; must not exist.
            path: Folders that go first on PATH: of the plugin, the engine, the Python.
            package: Whose resources the program declares, such as 'postgresql'.
            environment: How the provider reaches the server.
        """
        self.folder = folder
        shutil.copytree(PROGRAM, folder)
        self._environment = {
            **clean_environment(),
            **toolchain.environment(),
            **environment,
            "CONFORMANCE_PACKAGE": package,
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "PYTHONPATH": str(_ROOT),  # of what the program shares with the driver
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "conformance",
            "PULUMI_DEBUG_COMMANDS": "true",  # which `--event-log` belongs to
            "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "true",
        }
        self._runs = 0
        (folder / "state").mkdir()
        self._pulumi("stack", "init")

    def declare(self, **resources: Declared) -> None:
        """Sets what the program declares.

        Args:
            resources: By logical name and in order.
        """
        (self.folder / "resources.json").write_text(json.dumps(resources), encoding="utf-8")

    def up(self, *flags: str, **resources: Declared) -> Run:
        """Deploys, after declaring the resources where some are given."""
        if resources:
            self.declare(**resources)
        return self._operation("up", "--yes", "--skip-preview", *flags)

    def preview(self, *flags: str) -> Run:
        """What an update would do."""
        return self._operation("preview", *flags)

    def drift(self) -> Run:
        """What a refresh would find, without taking it into the state."""
        return self._operation("refresh", "--preview-only")

    def destroy(self) -> Run:
        """Removes every resource."""
        return self._operation("destroy", "--yes", "--skip-preview")

    def adopt(self, **resources: tuple[str, str]) -> Run:
        """Imports objects.

        Args:
            resources: Type token and id, by the logical name.
        """
        wanted = [
            {"type": token, "name": name, "id": identity}
            for name, (token, identity) in resources.items()
        ]
        listing = self.folder / "import.json"
        listing.write_text(json.dumps({"resources": wanted}), encoding="utf-8")
        flags = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
        return self._operation("import", "--file", str(listing), *flags)

    def assert_settled(self) -> None:
        """Fails unless an update would change nothing."""
        run = self.preview("--expect-no-changes")
        assert run.steps == {}, run.output

    def exported(self) -> str:
        """The state as text, secrets encrypted."""
        # What an export shows, without another run of the engine.
        file = self.folder / "state/.pulumi/stacks/conformance/test.json"
        return file.read_text(encoding="utf-8")

    def outputs(self) -> dict[str, dict[str, Any]]:
        """The outputs of each resource, its id under `id`, by logical name."""
        latest = json.loads(self.exported())["checkpoint"]["latest"]
        return {
            resource["urn"].rpartition("::")[2]: {
                **resource.get("outputs", {}),
                "id": resource.get("id"),
            }
            for resource in latest.get("resources", [])
        }

    def _operation(self, *arguments: str) -> Run:
        self._runs += 1
        log = self.folder / f"events-{self._runs}.json"
        output = self._pulumi(*arguments, "--event-log", str(log))
        return Run(output=output, steps=_steps(log))

    def _pulumi(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--stack=test", "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        if done.returncode:
            raise RunError(f"pulumi {' '.join(arguments)}\n{done.stdout}")
        return done.stdout


def _steps(log: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        # A refresh decides what has changed after it has read, so its outcome says more.
        about = event.get("resOutputsEvent") or event.get("resourcePreEvent")
        if not about:
            continue
        step = about["metadata"]
        name, operation = step["urn"].rpartition("::")[2], step["op"]
        ignored = operation in _TRIVIAL or step["type"].startswith("pulumi:")
        if not ignored and operation not in found.setdefault(name, []):
            found[name].append(operation)
    return {name: operations for name, operations in found.items() if operations}
