"""Trials on the engine: `make up` of a stack with the history, and the engine struck in it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import yaml

from tests.engine.node import PROGRAM
from tests.engine.test_make import Checkout
from tests.faults import check, processes
from tests.faults.proxy import Hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.faults.stage import Stage
    from tests.faults.trial import Result

__all__ = ["run"]

# What `make up` prints at its end.
_OUTPUTS = """
for name in ("version", "endpoint", "database", "data_dir"):
    pulumi.export(name, "")
"""
_UP = ("-m", "toolchain", "up", "--stack", "dev")
_FREE_SECONDS = 10.0
_LIMIT_SECONDS = 120.0
_STEP_SECONDS = 0.05
_OPTION = re.compile(r"--([a-z-]+)")
_ENGINE = re.compile(r"\S*/pulumi up ")
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY ($1::int[])"


def run(stage: Stage, rng: Random, result: Result) -> None:
    """Strike the engine while the schema node runs, then `pulumi up` once more."""
    database = f"trial {result.seed}"
    stage.make_database(database, "up")
    stage.proxy.reset()
    folder = Path(tempfile.mkdtemp(prefix="groundwork-faults-stack-"))
    folder.chmod(0o755)
    trial = _Trial(stage, rng, result, folder, database)
    try:
        trial.run()
    finally:
        processes.send(list(processes.find(trial.mark)), signal.SIGKILL)
        stage.proxy.reset()
        stage.server.drop_database(database)
        shutil.rmtree(folder, ignore_errors=True)


class _Trial:
    """A trial with a stack of its own.

    Attributes:
        mark: What all processes of the run have in their environment.
    """

    def __init__(
        self, stage: Stage, rng: Random, result: Result, folder: Path, database: str
    ) -> None:
        self.mark = f"engine-{result.seed}-{time.monotonic_ns()}"
        self._stage = stage
        self._rng = rng
        self._result = result
        self._database = database
        self._checkout = Checkout(folder)
        self._environment = {**self._checkout.environment, processes.VARIABLE: self.mark}
        (folder / "__main__.py").write_text(PROGRAM + _OUTPUTS)
        shutil.rmtree(folder / "migrations")
        shutil.copytree(stage.folder, folder / "migrations")
        configuration = {"node:url": stage.url(database), **_configured(stage.options)}
        (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": configuration}))

    def _start(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *_UP],
            cwd=self._checkout.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self) -> None:
        result, proxy = self._result, self._stage.proxy
        hold = Hold(
            number=self._rng.randint(1, self._stage.clean["up"].requests),
            phase="during",
        )
        proxy.hold = hold
        result.moment = f"about request {hold.number}"
        with tempfile.TemporaryFile() as output:
            make = self._start(output)
            self._until(lambda: hold.reached.is_set() or make.poll() is not None, _LIMIT_SECONDS)
            time.sleep(self._rng.uniform(0, 0.1))
            if make.poll() is None:
                result.struck = True
                self._strike()
            result.status = make.wait(_LIMIT_SECONDS)
            begin = time.monotonic()
            output.seek(0)
            result.said.append(output.read().decode(errors="replace"))
        if not self._until(lambda: not processes.find(self.mark), _FREE_SECONDS):
            left = ", ".join(processes.find(self.mark).values())
            result.problems.append(f"left after {_FREE_SECONDS:.0f} s: {left}")
        ports = list(proxy.ports)
        if not self._until(lambda: not self._sessions(ports), 6 * _FREE_SECONDS):
            result.problems.append("a session of the run is left")
        result.free = time.monotonic() - begin
        if result.free > _FREE_SECONDS:
            result.problems.append(f"its sessions were there for {result.free:.0f} s after it")
        self._rerun()

    def _strike(self) -> None:
        name = self._result.kind.name
        all_ = processes.find(self.mark)
        engines = [pid for pid, said in all_.items() if _ENGINE.match(said)]
        if name == "kill-engine-tree":
            processes.send(list(all_), signal.SIGKILL)
        else:
            what = signal.SIGINT if name == "interrupt-engine" else signal.SIGKILL
            processes.send(engines, what)

    def _rerun(self) -> None:
        result = self._result
        for number in (1, 2):
            with tempfile.TemporaryFile() as output:
                status = self._start(output).wait(_LIMIT_SECONDS)
                output.seek(0)
                result.said.append(output.read().decode(errors="replace"))
            wrong = [f"up {number + 1} ended with {status}"] if status else []
            state = json.loads(self._checkout.state().read_text())["checkpoint"]["latest"] or {}
            wrong += [
                f"an operation is pending: {each['resource']['urn']}"
                for each in state.get("pending_operations") or ()
            ]
            found = self._stage.read(self._database)
            wrong += check.differences(self._stage.clean["up"].contents, found)
            if not wrong:
                result.reruns = number
                return
            if number == 1:
                result.problems += wrong

    def _sessions(self, ports: list[int]) -> int:
        return int(self._stage.server.fetch(_SESSIONS, ports)[0][0])

    @staticmethod
    def _until(true: Callable[[], object], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(_STEP_SECONDS)
        return True


def _configured(options: tuple[str, ...]) -> dict[str, str]:
    """Give options of the command line, each with its value, as keys of a stack."""
    found: dict[str, str] = {}
    for name, value in zip(options[::2], options[1::2], strict=True):
        spelled = _OPTION.fullmatch(name)
        if spelled:
            found[f"groundwork:{spelled[1].replace('-', '_')}"] = value
    return found
