"""The schema node without the engine: its provider, a real database and an Alembic directory."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pulumi.output import UNKNOWN

from infra.errors import GroundworkError
from infra.schema.resource import SchemaProvider
from infra.settings import parse
from tests.dynamic_resource import CheckFailed, DynamicResource
from tests.engine import histories
from tests.engine.node import Database
from tests.engine.project import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.dynamic_resource import Step

__all__ = ["SchemaStack"]


class SchemaStack:
    """A stack of the schema node alone, with the face of one on the engine.

    Attributes:
        folder: Of the project.
        migrations: Its Alembic directory.
        database: The database.
        url: Of that database; None is still to be made.
        resource: The node.
        cluster: The cluster that the stack knows; "" for none.
        arguments: What follows each `-x`; None is still to be made.
        secret: Whether these are secret.
    """

    def __init__(self, folder: Path, *, url: str) -> None:
        """Take a folder with an Alembic directory in `migrations`, and a database."""
        self.folder, self.migrations = folder, folder / "migrations"
        self.url: str | None = url
        self.database = Database(url=url)
        self.resource = DynamicResource(provider=SchemaProvider())
        self.cluster = ""
        self.arguments: tuple[str, ...] | None = ()
        self.secret = False
        self._configured: dict[str, str] = {}

    def configure(self, **values: str | None) -> None:
        """Set keys of the configuration; None removes one."""
        self._configured |= {key: value for key, value in values.items() if value is not None}
        for key in [key for key, value in values.items() if value is None]:
            del self._configured[key]

    def up(self, *, check: bool = True) -> Outcome:
        """Check, compare and apply, as `pulumi up --skip-preview` does."""
        return self._run(lambda: self.resource.apply(self._plan(preview=False)), check=check)

    def preview(self, *, check: bool = True) -> Outcome:
        """Check and compare, as `pulumi preview` does."""
        return self._run(lambda: self._plan(preview=True), check=check)

    def refresh(self) -> Outcome:
        """Read, as `pulumi refresh` does."""
        return self._run(self.resource.refresh)

    def destroy(self) -> Outcome:
        """Delete, as `pulumi destroy` does."""
        return self._run(self.resource.destroy)

    def replace(self, *, deletion_first: bool) -> Outcome:
        """Replace it, as `pulumi up --replace URN` does."""
        inputs = self._inputs(preview=False)
        return self._run(lambda: self.resource.replace(inputs, deletion_first=deletion_first))

    def shown(self) -> dict[str, Any]:
        """Give the properties that a preview shows, and `op`."""
        steps: list[Step] = []
        self._run(lambda: steps.append(self._plan(preview=True)))
        return {**steps[0].inputs, "op": steps[0].operation}

    def is_settled(self) -> bool:
        """Tell whether a preview has nothing to do."""
        return bool(self.shown()["op"] == "same")

    def revision(self) -> str:
        """Give the output `revision`."""
        return str(self.resource.outputs["revision"])

    def heads(self) -> list[tuple[str]]:
        """Give the rows of Alembic's own table."""
        return self.database.run("SELECT version_num FROM alembic_version")

    def filed(self, name: str) -> str:
        """Give a file of the last review."""
        return (self.folder / ".groundwork/review/test" / name).read_text(encoding="utf-8")

    def facts(self) -> dict[str, Any]:
        """Give the last review as data."""
        facts: dict[str, Any] = json.loads(self.filed("review.json"))
        return facts

    def add(
        self, revision: str, parent: str, up: str, down: str = "pass", *, head: str = ""
    ) -> Path:
        """Write a revision file."""
        return histories.add(self.migrations, revision, parent, up, down, head=head)

    def add_fourth(self) -> None:
        """Give the files one more revision than the three of the tests."""
        self.add(
            "ddd4",
            "ccc3",
            "op.execute('CREATE TABLE two (id int)')",
            "op.execute('DROP TABLE two')",
        )

    def _plan(self, *, preview: bool) -> Step:
        return self.resource.plan(self._inputs(preview=preview))

    def _inputs(self, *, preview: bool) -> dict[str, Any]:
        options = parse(self._configured, root=self.folder).schema
        return {
            "url": UNKNOWN if self.url is None else self.url,
            "database": f"{self.cluster}/books" if self.cluster else "",
            "migrations": "migrations",
            "options": options.dump(),
            "stack": "groundwork/test",
            "binaries": "",
            "arguments": UNKNOWN if self.arguments is None else list(self.arguments),
            "arguments_secret": self.secret,
            "urn": "",
            "preview": preview,
            **dict.fromkeys(("revision", "plan", "approve", "drift")),
        }

    def _run(self, act: Callable[[], object], *, check: bool = True) -> Outcome:
        with self._standing_in_the_folder() as said:
            try:
                act()
            except (GroundworkError, CheckFailed) as exc:
                if check:
                    raise
                return Outcome(status=1, text=f"{said.getvalue()}\n{exc}")
        return Outcome(status=0, text=said.getvalue())

    @contextlib.contextmanager
    def _standing_in_the_folder(self) -> Iterator[io.StringIO]:
        """Be where the engine starts a provider; gives what is said meanwhile."""
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(io.StringIO()) as said,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "argv", sys.argv[:1])  # no engine to talk to
            yield said
