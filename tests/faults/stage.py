"""What all trials of a history share: a server, a wire before it, clean runs to compare with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from infra.servers.local.cluster import SUPERUSER
from tests.faults import check, processes
from tests.faults.bystander import Bystander
from tests.faults.proxy import Proxy
from tests.faults.server import MIGRATOR, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.check import Contents

__all__ = ["HISTORY", "Clean", "Direction", "Stage", "UncleanError"]

ROOT = Path(__file__).parents[2]
HISTORY = Path(__file__).with_name("history")
LIMIT_SECONDS = 300.0

Direction = Literal["up", "down"]
_ARGUMENTS: dict[Direction, tuple[str, ...]] = {
    "up": (),
    "down": ("--revision", "base", "--downgrade", "allow"),
}
_HEAD = "clean up"  # the database that downgrades begin from


class UncleanError(Exception):
    """The history does not run, or not twice to the same end, without any fault."""


@dataclass(frozen=True, kw_only=True)
class Clean:
    """A run without a fault.

    Attributes:
        contents: What it leaves.
        seconds: How long it takes.
        requests: How often it sends something.
        waits: How often it waits for a session that uses all tables.
    """

    contents: Contents
    seconds: float
    requests: int
    waits: int = 0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where trials happen.

    Attributes:
        folder: The Alembic directory.
        options: More options of the command line.
        user: The role that runs the migrations.
        server: The server.
        proxy: The wire before it.
        clean: A run without a fault, by direction; no "down" where a history can't go down.
        volatile: Columns whose values are others in each run.
    """

    folder: Path
    options: tuple[str, ...]
    user: str
    server: Server
    proxy: Proxy
    clean: dict[Direction, Clean]
    volatile: set[tuple[str, str]]

    @classmethod
    @contextmanager
    def make(
        cls, folder: Path, *, options: Sequence[str] = (), superuser: bool = False
    ) -> Iterator[Stage]:
        """Start a server, and run the history up and down, twice.

        Args:
            folder: The Alembic directory.
            options: More options for each run, as `python -m infra.schema upgrade` takes them.
            superuser: Whether migrations run as the superuser, which extensions may need.

        Raises:
            UncleanError: It does not come to head, or not twice to the same end.
        """
        with Server.make() as server:
            proxy = Proxy(server.port, Random(0))  # noqa: S311 - nothing secret
            try:
                stage = cls(
                    folder=folder.absolute(),
                    options=tuple(options),
                    user=SUPERUSER if superuser else MIGRATOR,
                    server=server,
                    proxy=proxy,
                    clean={},
                    volatile=set(),
                )
                stage.measure()
                yield stage
            finally:
                proxy.close()

    def measure(self) -> None:
        """Make the clean runs; the database of the first stays, for downgrades to begin from."""
        self._run_clean("up", _HEAD)  # renders the history, which is kept then
        self.server.drop_database(_HEAD)
        self.clean["up"] = self._agreed("up", _HEAD)
        try:
            self.clean["down"] = self._agreed("down", "down")
        except UncleanError as exc:
            print(f"No trials of downgrades: {exc}", flush=True)
        self.server.drop_database("down")

    def _agreed(self, direction: Direction, database: str) -> Clean:
        """Run twice, the second time beside a session that uses all tables, and compare."""
        first = self._run_clean(direction, database)
        second = self._run_clean(direction, "second", disturbed=True)
        self.server.drop_database("second")
        self.volatile.update(check.unlike(first.contents, second.contents))
        first = replace(first, contents=self.read(database), waits=second.waits)
        apart = check.differences(first.contents, second.contents)
        wrong = [line for line in apart if not line.startswith("rows of ")]
        wrong += [*first.contents.broken, *first.contents.ledger]
        if wrong:
            raise UncleanError("\n".join((f"without any fault, {direction}:", *wrong)))
        return first

    def _run_clean(self, direction: Direction, database: str, *, disturbed: bool = False) -> Clean:
        self.make_database(database, direction)
        self.proxy.reset()
        begin = time.monotonic()
        with tempfile.TemporaryFile() as output, ExitStack() as stack:
            run = subprocess.Popen(
                self.command(direction),
                cwd=ROOT,
                env=self.environment(self.url(database), "clean"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            waits = 0
            if disturbed:
                administrator = self.server.url(database, user=SUPERUSER)
                bystander = stack.enter_context(Bystander(administrator))
                while bystander.until_waited_for(self.proxy.ports, lambda: run.poll() is not None):
                    waits += 1
            status = run.wait(LIMIT_SECONDS)
            output.seek(0)
            said = output.read().decode(errors="replace")
        if status:
            raise UncleanError(f"without any fault, {direction}, it ends with {status}:\n{said}")
        return Clean(
            contents=self.read(database),
            seconds=time.monotonic() - begin,
            requests=self.proxy.requests,
            waits=waits,
        )

    def make_database(self, name: str, direction: Direction) -> None:
        """Make what a run begins from: an empty database, or one at head."""
        self.server.make_database(name, template=_HEAD if direction == "down" else "template0")

    def url(self, database: str) -> str:
        """Give the URL that a run gets: through the wire."""
        return self.server.url(database, user=self.user, port=self.proxy.port)

    def command(self, direction: Direction) -> list[str]:
        """Give the command line of a run."""
        upgrade = ["-m", "infra.schema", "upgrade", "--migrations", str(self.folder)]
        return [sys.executable, *upgrade, *_ARGUMENTS[direction], *self.options]

    def environment(self, url: str, mark: str) -> dict[str, str]:
        """Give the environment of a run."""
        return {**os.environ, "DATABASE_URL": url, processes.VARIABLE: mark}

    def read(self, database: str, server: Server | None = None) -> Contents:
        """Read what is in a database, past the wire."""
        url = (server or self.server).url(database, user=SUPERUSER)
        return check.read(url, without=frozenset(self.volatile))
