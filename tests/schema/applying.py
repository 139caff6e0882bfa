"""What the tests of applying share: a database, revisions by hand, a look at what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import apply, live
from infra.schema.apply import Outcome, Terms
from infra.schema.graph import Present
from infra.schema.model import Direction, History, Part, Plan, Revision, Script, Step
from tests.migrations.place import Place, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.running.progress import Progress
    from infra.schema.running.watch import Watch
    from tests.conftest import PostgresServer

__all__ = ["Lab", "autocommit", "database", "process", "revision", "script", "together"]

_ROOT = Path(__file__).parents[2]


@contextmanager
def database(server: PostgresServer, *, name: str = "") -> Iterator[Place]:
    """Make a database, reached as the superuser, and drop it at the end."""
    main = Place.main(server)
    name = name or f"apply {os.urandom(4).hex()}"
    main.execute(f"CREATE DATABASE {quoted(name)} STRATEGY file_copy")
    try:
        yield replace(main, database=name)
    finally:
        main.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")


def together(*statements: str) -> Part:
    """Statements in one transaction."""
    return Part(statements=statements)


def autocommit(*statements: str) -> Part:
    """Statements that commit one by one."""
    return Part(statements=statements, autocommit=True)


def script(*parts: Part | str) -> Script:
    """Make a script of parts; a text is a part of its own."""
    return Script(parts=tuple(part if isinstance(part, Part) else together(part) for part in parts))


def revision(id_: str, up: Script, *parents: str, **more: Any) -> Revision:
    """Make a revision; its downgrade does nothing unless one is given."""
    return Revision(id=id_, parents=parents, upgrade=up, **more)


@dataclass
class Lab:
    """A database and the files of a history, with what was told on the way.

    Attributes:
        place: The database.
        history: The files.
        folder: The Alembic directory.
        told: All progress.
        options: For Terms.
    """

    place: Place
    history: History
    folder: Path = Path("/nowhere")
    told: list[Progress] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The database's URL."""
        return f"{self.place.url}?sslmode=disable"

    def plan(self, *ids: str, direction: Direction = "up") -> Plan:
        """Plan revisions in this order, from what the database has."""
        needs = {each.id: each.needs for each in self.history.revisions}
        there = self.there()
        present = Present(there, needs)
        before = present.heads
        steps = [self._step(present, id_, direction) for id_ in ids]
        return Plan(steps=tuple(steps), before=before, after=present.heads)

    def _step(self, present: Present, id_: str, direction: Direction) -> Step:
        found = self.history.by_id[id_]
        before = present.heads
        (present.add if direction == "up" else present.remove)(id_)
        return Step(
            revision=id_,
            direction=direction,
            message=found.message,
            script=found.upgrade if direction == "up" else found.downgrade,
            before=before,
            after=present.heads,
            file=found.file,
            sha256=found.sha256,
            needs=found.needs,
            undo=found.downgrade,
            lock_timeout=found.lock_timeout,
            statement_timeout=found.statement_timeout,
        )

    def there(self) -> set[str]:
        """List the revisions that the database has."""
        found: set[str] = set()
        waiting = list(self.heads())
        while waiting:
            id_ = waiting.pop()
            found.add(id_)
            waiting += self.history.by_id[id_].needs
        return found

    def up(self, *ids: str, **options: Any) -> Outcome:
        """Run revisions."""
        return self.run(self.plan(*ids), **options)

    def run(
        self,
        plan: Plan,
        *,
        cancelled: Any = lambda: False,
        watch: Watch | None = None,
        **options: Any,
    ) -> Outcome:
        """Run a plan."""
        terms = Terms(
            **{"url": self.url, "folder": self.folder, "pause": 0.01, **self.options, **options}
        )
        told = self.told.append
        return apply.run(plan, self.history, terms, progress=told, cancelled=cancelled, watch=watch)

    def heads(self) -> tuple[str, ...]:
        """Read the version table."""
        return live.read(
            self.url,
            version_table=self.history.version_table,
            version_schema=self.history.version_schema,
            catalog=False,
        ).heads

    def ask(self, sql: str) -> Any:
        """Ask for the first column of the first row."""
        rows = self.place.fetch(sql)
        return rows[0][0] if rows else None

    def events(self) -> list[tuple[str, str, str]]:
        """List the ledger: revision, direction, state."""
        sql = "SELECT revision, direction, state FROM schema_ledger.events ORDER BY id"
        return [tuple(row) for row in self.place.fetch(sql)]


@contextmanager
def process(lab: Lab, plan: Plan, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a plan in a process of its own, which prints its progress; it is killed at the end."""
    task = {
        "plan": asdict(plan),
        "history": lab.history.dump(),
        "url": lab.url,
        "folder": str(lab.folder),
        "stack": "dev",
        "options": {"pause": 0.01, **lab.options, **options},
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.schema.runner"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    ) as run:
        assert run.stdin is not None
        run.stdin.write(json.dumps(task, default=asdict))
        run.stdin.close()
        run.stdin = None  # told all of it
        try:
            yield run
        finally:
            run.kill()
