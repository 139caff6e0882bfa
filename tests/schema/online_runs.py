"""An Alembic directory, brought to a database by plan and apply as a stack does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.schema import apply, history, live, plan
from infra.schema.apply import Terms
from infra.schema.invocation import Invocation
from infra.schema.model import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from infra.schema.apply import Outcome
    from infra.schema.running.progress import Progress
    from tests.migrations.place import Place
    from tests.schema.proxy import Proxy

__all__ = ["Way"]


class Way:
    """An Alembic directory, brought to a database by plan and apply as a stack does."""

    def __init__(
        self, folder: Path, place: Place, *, proxy: Proxy | None = None, **policy: Any
    ) -> None:
        """Choose; a proxy stands before the server."""
        self._proxy = proxy
        self.folder = folder
        self.place = place
        self.invocation = Invocation()
        self.told: list[Progress] = []
        self.policy = Policy(**policy)
        self.terms: dict[str, Any] = {"pause": 0.01}

    @property
    def url(self) -> str:
        """The database's URL."""
        way = replace(self.place, port=self._proxy.port) if self._proxy else self.place
        return f"{way.url}?sslmode=disable"

    def run(self, target: str = "heads", **policy: Any) -> Outcome:
        """Plan and apply."""
        files = history.read(self.folder, self.invocation)
        there = live.read(
            self.url, version_table=files.version_table, version_schema=files.version_schema
        )
        made = plan.make(files, there, replace(self.policy, target=target, **policy))
        terms = Terms(url=self.url, folder=self.folder, invocation=self.invocation, **self.terms)
        return apply.run(made, files, terms, progress=self.told.append)

    def events(self) -> list[tuple[str, str, str]]:
        """List the ledger: revision, direction, state."""
        sql = "SELECT revision, direction, state FROM schema_ledger.events ORDER BY id"
        return [tuple(row) for row in self.place.fetch(sql)]

    def ask(self, sql: str) -> Any:
        """Ask for the first column of the first row."""
        rows = self.place.fetch(sql)
        return rows[0][0] if rows else None
