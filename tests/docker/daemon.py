"""The Docker Engine of this machine, through its command line, and what a test run makes there."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LABEL", "Docker", "connect", "run_of"]

LABEL = "groundwork.tests"
"""The label of all that tests make; its value tells of the process that made it."""

_KINDS = ("container", "network", "volume")  # in the order in which they can be removed
_ASK_SECONDS = 15  # a daemon that is busy removing containers still answers within this


def connect() -> Docker:
    """Give the daemon that the command line reaches.

    Raises:
        ToolchainError: There is no command line, or no daemon answers it.
    """
    if shutil.which("docker") is None:
        raise ToolchainError("no docker command on PATH")
    docker = Docker(run=run_of(os.getpid()))
    try:
        asked = docker(
            "version", "--format", "{{.Server.Version}}", check=False, timeout=_ASK_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ToolchainError(f"no Docker daemon answered within {_ASK_SECONDS} s") from None
    if asked.returncode:
        said = (asked.stderr.strip() or "it says nothing").splitlines()[-1]
        raise ToolchainError(f"no Docker daemon answers: {said}")
    return docker


@dataclass(frozen=True, kw_only=True)
class Docker:
    """Calls `docker`, and knows what of all that is in the daemon belongs to this process.

    Attributes:
        run: names this process among all that use the daemon, as `run_of` does.
    """

    run: str
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def __call__(
        self,
        *arguments: str,
        check: bool = True,
        timeout: float = 60,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of Docker's and give its output.

        Args:
            arguments: the words after `docker`.
            check: whether a failure is an error; its text then holds what docker said.
            timeout: seconds after which the command is killed.
            stdin: what the command reads.
            env: its whole environment; this process's by default.

        Raises:
            ToolchainError: It failed, and `check` is set.
            subprocess.TimeoutExpired: It took too long.
        """
        done = subprocess.run(
            ["docker", *arguments],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            input=stdin,
            timeout=timeout,
            env=env,
        )
        if check and done.returncode:
            raise ToolchainError(f"`docker {arguments[0]}` failed: {done.stderr.strip()}")
        return done

    @property
    def label(self) -> str:
        """The label, as `--label` takes it, by which this run's things are found again."""
        return f"{LABEL}={self.run}"

    @property
    def prefix(self) -> str:
        """How the name of each thing that this run makes begins."""
        return f"{LABEL}-{self.run}-"

    def name(self, word: str = "thing") -> str:
        """Make up a name that nobody else has; what bears it goes away with this run.

        For what others than a test make on its behalf, a stack of Pulumi's for one.
        """
        return f"{self.prefix}{word}-{next(self._numbers)}"

    def start(self, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container in the background and give its name.

        Args:
            image: what to run.
            command: its arguments.
            options: more options of `docker run`.
        """
        name = self.name("container")
        own = ("--detach", "--name", name, "--label", self.label)
        self("run", *own, *options, image, *command)
        return name

    def volume(self) -> str:
        """Make an empty volume and give its name."""
        name = self.name("volume")
        self("volume", "create", "--label", self.label, name)
        return name

    def logs(self, container: str) -> str:
        """Give all that a container has written to stdout and stderr."""
        done = self("logs", container)
        return done.stdout + done.stderr

    def ended(self, container: str, *, seconds: float = 30) -> int:
        """Wait for a container's end and give its exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        return int(self("wait", container, timeout=seconds).stdout)

    def ready(self, container: str, *, seconds: float = 60) -> None:
        """Wait until PostgreSQL in a container answers over TCP.

        Raises:
            ToolchainError: It ended, or still doesn't answer; with what it wrote.
        """
        deadline = time.monotonic() + seconds
        # With a user, which nobody looks at: else it asks for the name of its own account.
        asked = ("pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres")
        while self("exec", container, *asked, check=False).returncode:
            state = self("inspect", "--format", "{{.State.Status}}", container).stdout.strip()
            if state != "running" or time.monotonic() > deadline:
                raise ToolchainError(
                    f"no PostgreSQL in {container} ({state}):\n{self.logs(container)}"
                )
            time.sleep(0.1)

    def port(self, container: str) -> int:
        """Give the port of this machine that leads to PostgreSQL in a container."""
        return int(self("port", container, "5432/tcp").stdout.splitlines()[0].rsplit(":", 1)[1])

    def pretend_major(self, volume: str, image: str, major: int) -> None:
        """Fill an empty volume with what PostgreSQL looks at first in a cluster of `major`."""
        script = (
            'cd "$PGDATA" && printf "%s\\n" "$0" > PG_VERSION && : > postgresql.conf'
            " && chown postgres . * && chmod 700 ."
        )
        mount = ("--volume", f"{volume}:/var/lib/postgresql/data")
        self("run", "--rm", "--label", self.label, *mount, image, "sh", "-c", script, str(major))

    def sweep(self) -> None:
        """Remove all that this run made, and what runs left that were killed."""
        for kind in _KINDS:
            gone = [each for each, run in self._things(kind) if run == self.run or not _alive(run)]
            if gone:
                force = () if kind == "network" else ("--force",)
                volumes = ("--volumes",) if kind == "container" else ()
                self(kind, "rm", *force, *volumes, *gone, check=False, timeout=120)

    def _things(self, kind: str) -> Iterator[tuple[str, str]]:
        """Give name and run of each thing that any run of tests made, by its label or name."""
        listing = ("--all",) if kind == "container" else ()
        word = "Names" if kind == "container" else "Name"
        form = f'{{{{.{word}}}}}\t{{{{.Label "{LABEL}"}}}}'
        for line in self(kind, "ls", *listing, "--format", form).stdout.splitlines():
            name, _, run = line.partition("\t")
            if name.startswith(f"{LABEL}-"):
                run = "-".join(name.removeprefix(f"{LABEL}-").split("-")[:3])
            if run:
                yield name, run


def run_of(pid: int) -> str:
    """Name a process for good: where it runs, its number there, and when it began.

    A number alone can be another process by now, or one of another container or machine that
    uses the same daemon.
    """
    return f"{_place()}-{pid}-{_born(pid)}"


def _alive(run: str) -> bool:
    """Tell whether a run goes on; of those that can't be seen from here it is taken for granted."""
    place, _, process = run.partition("-")
    pid, _, began = process.partition("-")
    return place != _place() or not pid.isdigit() or _born(int(pid)) == began


def _place() -> str:
    try:
        numbers = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # a system without /proc
        numbers = 0
    return hashlib.sha256(f"{platform.node()} {numbers}".encode()).hexdigest()[:8]


def _born(pid: int) -> str:
    """Tell when a process began, in the kernel's count; a word where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "gone" if Path("/proc/self/stat").exists() else "0"
    return stat.rpartition(")")[2].split()[19]
