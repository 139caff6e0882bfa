"""One trial: a run, a fault at a random moment of it, one more run, and what must hold then."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import IO, TYPE_CHECKING, Literal

from infra.servers.local.cluster import SUPERUSER
from tests.faults import check, engine, processes
from tests.faults.bystander import Bystander
from tests.faults.kinds import KINDS, Kind
from tests.faults.proxy import Hold, Proxy
from tests.faults.server import PASSWORD, Server, standby
from tests.faults.stage import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.stage import Direction, Stage

__all__ = ["Result", "Running", "run_trial"]

_FREE_SECONDS = 10.0  # within which the lock is free and no process is left
_WHOLE_SECONDS = 90.0  # within which a run ends by itself whatever happened
_STEP_SECONDS = 0.02
_RERUNS = 2
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY ($1::int[])"
_LEFT = """
SELECT format('%s %s, %s', application_name, state, left(query, 60)) FROM pg_stat_activity
WHERE datname = $1 AND pid <> pg_backend_pid()
"""
# What is said of a revision, when something else went wrong.
_BLAME = ("Fix the revision", "Mend the revision")

Moment = Literal["time", "request", "wait", "worker"]


@dataclass(kw_only=True)
class Result:
    """What came of a trial.

    Attributes:
        seed: What all its choices were drawn from.
        kind: The fault.
        direction: Whether the run went up or down.
        moment: When the fault was to strike.
        struck: Whether it did, before the run was over.
        status: How the run ended.
        reruns: How many more runs it took; 0 where it never converged.
        free: Seconds from the end of the run until the server had no session of it any more.
        seconds: How long the trial took.
        problems: What did not hold.
        said: What the runs printed.
    """

    seed: int
    kind: Kind
    direction: Direction
    moment: str = ""
    struck: bool = False
    status: int | None = None
    reruns: int = 0
    free: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class Running:
    """A run, with all that a fault may strike.

    Attributes:
        rng: For what is drawn.
        stage: What trials share.
        server: The server that it works on; another one after a failover.
        proxy: The wire to that.
        database: Its database.
        mark: What its processes have in their environment.
        process: The process of the command line.
    """

    def __init__(self, stage: Stage, rng: Random, database: str, direction: Direction) -> None:
        """Know the stage; nothing runs yet."""
        self.rng = rng
        self.stage = stage
        self.server = stage.server
        self.proxy = stage.proxy
        self.database = database
        self.direction = direction
        self.mark = f"{database}-{time.monotonic_ns()}"
        self.url = stage.url(database)
        self.hold: Hold | None = None
        self._standby: tuple[Server, Proxy] | None = None
        self.process: subprocess.Popen[bytes]

    def follow(self, other: Server, proxy: Proxy) -> None:
        """Have a standby that can be promoted, as the second host of the URL."""
        self._standby = (other, proxy)
        here = f"127.0.0.1:{self.proxy.port}"
        self.url = self.url.replace(here, f"{here},127.0.0.1:{proxy.port}")

    def start(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a run of the command line."""
        return subprocess.Popen(
            self.stage.command(self.direction),
            cwd=ROOT,
            env=self.stage.environment(self.url, self.mark),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        return self.process.poll() is not None

    def send(self, what: signal.Signals, whom: Literal["command", "worker", "tree"]) -> None:
        """Send a signal to processes of the run."""
        if whom == "command":
            self.process.send_signal(what)
        elif whom == "worker":
            processes.send(processes.find_worker(self.mark), what)
        else:
            processes.send(list(processes.find(self.mark)), what)

    def backends(self) -> list[int]:
        """Give the server's processes that work for the run."""
        rows = self.server.fetch(
            "SELECT pid FROM pg_stat_activity WHERE client_port = ANY ($1::int[])", self.proxy.ports
        )
        return [row[0] for row in rows]

    def release(self) -> None:
        """Let what was kept back for the fault go on."""
        if self.hold:
            self.hold.done.set()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until the run has ended."""
        self.until(lambda: self.ended, seconds)

    def until(self, true: Callable[[], object], seconds: float) -> bool:
        """Wait for something, up to some seconds; whether it came."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(_STEP_SECONDS)
        return True

    def promote(self) -> None:
        """Make the standby the server that it works on."""
        if self._standby is not None:
            self.server, self.proxy = self._standby
            self.server.execute("SELECT pg_promote(true)")


def run_trial(stage: Stage, seed: int, kind: Kind | None = None) -> Result:
    """Try one fault; all that is random comes from the seed, but for what clocks decide."""
    rng = Random(seed)  # noqa: S311 - nothing secret
    possible = [each for each in KINDS.values() if each.needs != "disk" or stage.server.disk.small]
    drawn = rng.choices(possible, [each.weight for each in possible])[0]
    kind = kind or drawn
    directions: list[Direction] = ["up", "up", "up", "down"]
    direction = rng.choice(directions)
    if direction not in stage.clean or kind.needs == "engine":
        direction = "up"
    result = Result(seed=seed, kind=kind, direction=direction)
    begin = time.monotonic()
    if kind.needs == "engine":
        engine.run(stage, rng, result)
    else:
        _Trial(stage, rng, result).run()
    result.seconds = time.monotonic() - begin
    return result


class _Trial:
    """A trial on the command line."""

    def __init__(self, stage: Stage, rng: Random, result: Result) -> None:
        self._stage = stage
        self._rng = rng
        self._result = result
        self._clean = stage.clean[result.direction]
        self._database = f"trial {result.seed}"
        self._run = Running(stage, rng, self._database, result.direction)

    def run(self) -> None:
        stage, result = self._stage, self._result
        stage.make_database(self._database, result.direction)
        stage.proxy.reset()
        try:
            with ExitStack() as stack:
                if result.kind.needs == "standby":
                    other = stack.enter_context(standby(stage.server))
                    proxy = Proxy(other.port, self._rng)
                    stack.callback(proxy.close)
                    self._run.follow(other, proxy)
                with tempfile.TemporaryFile() as output:
                    self._run.process = self._run.start(output)
                    self._strike()
                    self._end()
                    result.said.append(_text(output))
                self._judge_end()
                self._rerun()
        finally:
            processes.send(list(processes.find(self._run.mark)), signal.SIGKILL)
            if not stage.server.running:
                stage.server.start()
            stage.proxy.reset()
            stage.server.drop_database(self._database)

    # -- the moment ---------------------------------------------------------------------

    def _strike(self) -> None:
        """Wait for the moment, and let the fault happen, unless the run has ended before."""
        run, result = self._run, self._result
        moments: list[Moment] = ["time", "request", "request", "request"]
        if self._clean.waits:
            moments += ["wait", "wait"]
        moment = self._rng.choice(moments)
        if result.kind.needs == "worker":
            moment = "worker"
        with ExitStack() as stack:
            reached = {
                "time": self._at_time,
                "request": self._at_request,
                "wait": self._at_wait,
                "worker": self._at_worker,
            }[moment](stack)
            if reached and result.kind.strike:
                result.kind.strike(run)
                result.struck = True
            run.release()

    def _at_time(self, _stack: ExitStack) -> bool:
        seconds = self._rng.uniform(0, self._clean.seconds)
        self._result.moment = f"after {seconds:.2f} s"
        time.sleep(seconds)
        return not self._run.ended

    def _at_request(self, _stack: ExitStack) -> bool:
        run = self._run
        number = self._rng.randint(1, self._clean.requests)
        phase = self._rng.choice(("before", "during", "after"))
        later = self._rng.choice((0.0, self._rng.uniform(0, 0.1))) if phase == "during" else 0.0
        hold = Hold(number=number, phase=phase)  # type: ignore[arg-type]  # one of those
        run.hold = run.proxy.hold = hold
        self._result.moment = f"{phase} request {number} of {self._clean.requests}"
        run.until(lambda: hold.reached.is_set() or run.ended, _WHOLE_SECONDS)
        time.sleep(later)
        return hold.reached.is_set() and not run.ended

    def _at_wait(self, stack: ExitStack) -> bool:
        """While a statement waits for a session that uses all tables."""
        run = self._run
        number = self._rng.randint(1, self._clean.waits)
        self._result.moment = f"while it waits for another session, time {number}"
        administrator = run.server.url(self._database, user=SUPERUSER)
        bystander = stack.enter_context(Bystander(administrator))
        return all(
            bystander.until_waited_for(run.proxy.ports, lambda: run.ended) for _ in range(number)
        )

    def _at_worker(self, _stack: ExitStack) -> bool:
        run = self._run
        seconds = self._rng.uniform(0, 1)
        self._result.moment = f"{seconds:.2f} s after it has started the process"
        run.until(lambda: processes.find_worker(run.mark) or run.ended, _WHOLE_SECONDS)
        time.sleep(seconds)
        return bool(processes.find_worker(run.mark)) and not run.ended

    # -- the end of the run -------------------------------------------------------------

    def _end(self) -> None:
        """Wait for the end of the run, and end it where it does not come."""
        run, result = self._run, self._result
        if not run.until(lambda: run.ended, _WHOLE_SECONDS):
            result.problems.append(f"the run did not end within {_WHOLE_SECONDS:.0f} s")
            processes.send(list(processes.find(run.mark)), signal.SIGKILL)
            run.process.wait()
        result.status = run.process.returncode
        run.proxy.delay = (0.0, 0.0)

    def _judge_end(self) -> None:
        """Look at what the run printed, and whether a process of it is left."""
        run, result = self._run, self._result
        result.problems += _unfit(result.said[-1])
        if not run.until(lambda: not processes.find(run.mark), _FREE_SECONDS):
            left = ", ".join(processes.find(run.mark).values())
            result.problems.append(f"left after {_FREE_SECONDS:.0f} s: {left}")

    # -- one more run -------------------------------------------------------------------

    def _rerun(self) -> None:
        """Run again, at once or when the server is done with the first run; then compare."""
        run, result = self._run, self._result
        free = threading.Thread(target=self._measure_free, args=(list(run.proxy.ports),))
        free.start()
        if self._rng.random() < 0.5:
            free.join()
        for number in range(1, _RERUNS + 1):
            status = self._again()
            free.join()
            wrong = [f"run {number + 1} ended with {status}"] if status else []
            found = self._stage.read(self._database, run.server)
            wrong += check.differences(self._clean.contents, found)
            wrong += [f"a session is left: {row[0]}" for row in self._left()]
            if not wrong:
                result.reruns = number
                return
            if number == 1:
                result.problems += wrong

    def _again(self) -> int:
        run, result = self._run, self._result
        with tempfile.TemporaryFile() as output:
            again = run.start(output)
            try:
                again.wait(_WHOLE_SECONDS)
            except subprocess.TimeoutExpired:
                processes.send(list(processes.find(run.mark)), signal.SIGKILL)
                again.wait()
            result.said.append(_text(output))
            return again.returncode

    def _measure_free(self, ports: list[int]) -> None:
        """See how long the server keeps sessions of the first run."""
        run, result = self._run, self._result
        begin = time.monotonic()

        def free() -> bool:
            return not run.server.fetch(_SESSIONS, ports)[0][0]

        if not run.until(free, 6 * _FREE_SECONDS):
            result.problems.append("a session of the run is left")
        result.free = time.monotonic() - begin
        if result.free > _FREE_SECONDS:
            result.problems.append(f"its sessions were there for {result.free:.0f} s after it")

    def _left(self) -> list[tuple[str]]:
        """List sessions in its database once the run has hung up."""
        left: list[tuple[str]] = []

        def none() -> bool:
            left[:] = self._run.server.fetch(_LEFT, self._database)
            return not left

        self._run.until(none, _FREE_SECONDS)
        return left


def _unfit(said: str) -> list[str]:
    """List what a message may not say."""
    problems = [f"it blames the revision: {line}" for line in _BLAME if line in said]
    if "Traceback (most recent call last)" in said:
        problems.append("it prints a traceback")
    if PASSWORD in said:
        problems.append("it prints the password")
    return problems


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
