"""The schema as a node of the graph: a thin shell over history, database and migrations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.schema import history, live, process
from infra.schema.errors import DatabaseMissingError, HistoryError, LiveError, MigrationError

__all__ = ["Schema", "SchemaProvider"]

# Given by the program, and found by `check` in the files.
_INPUTS = ("url", "migrations", "digest", "head")


class Schema(dynamic.Resource, module="groundwork", name="Schema"):
    """The schema of a database, at the head of an Alembic directory.

    Attributes:
        revision: What the database has, after the last look; empty where it has nothing.
        head: What the files have.
    """

    revision: pulumi.Output[str]
    head: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        url: pulumi.Input[str],
        migrations: Path,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare that the database at `url` (secret) has the head of `migrations`."""
        # Relative, so that the state means the same in every checkout.
        folder = os.path.relpath(migrations)
        inputs = {"url": url, "migrations": folder, "revision": None, "head": None}
        super().__init__(SchemaProvider(), name, inputs, opts)


class SchemaProvider(Provider):
    """Brings a database to the head of an Alembic directory. The database is the truth."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Read the files, so that a preview shows a new head and refuses a broken history."""
        folder = Path(news["migrations"])
        try:
            digest = history.digest(folder)
            same = olds.get("digest") == digest
            head = olds["head"] if same else history.head(folder)
        except HistoryError as exc:
            return dynamic.CheckResult(news, [dynamic.CheckFailure("migrations", str(exc))])
        inputs = {"url": news["url"], "migrations": news["migrations"]}
        return dynamic.CheckResult({**inputs, "digest": digest, "head": head}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare with the live database, whatever the state says of it."""
        if not known(news["url"]):
            return dynamic.DiffResult(changes=True)
        same = all(news[key] == olds.get(key) for key in ("url", "digest", "head"))
        try:
            at_head = _worded(live.revisions(news["url"])) == news["head"]
        except LiveError:
            at_head = False  # still to be made, or down: the server's own node says which
        return dynamic.DiffResult(changes=not (same and at_head))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Upgrade to head; a database that is there already loses nothing."""
        return dynamic.CreateResult("schema", _upgrade(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Upgrade to head."""
        return dynamic.UpdateResult(_upgrade(news))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Tell what the database has; without a database there is no schema."""
        try:
            revision = _worded(live.revisions(props["url"]))
        except DatabaseMissingError:
            return dynamic.ReadResult("", {})
        return dynamic.ReadResult(id_, {**props, "revision": revision}, _inputs(props))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Take the schema away from a database that stays; one that goes takes it along."""
        try:
            live.revisions(props["url"])
        except DatabaseMissingError:
            return
        _migrate(props, "downgrade")


def _inputs(props: dict[str, Any]) -> dict[str, Any]:
    return {key: props[key] for key in _INPUTS}


def _worded(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions)


def _upgrade(props: dict[str, Any]) -> dict[str, Any]:
    _migrate(props, "upgrade")
    return {**_inputs(props), "revision": _worded(live.revisions(props["url"]))}


def _migrate(props: dict[str, Any], command: process.Command) -> None:
    try:
        report = process.run(Path(props["migrations"]), command, url=props["url"])
    except process.ProcessError as exc:
        msg = (
            f"The {command} of the schema stopped: {exc} The revisions before the failing one "
            "stay applied, and that one was undone; mend it and run again."
        )
        raise MigrationError(msg) from exc
    for step in report.ran:
        print(f"{command} {step}")  # noqa: T201 - the engine shows it on the stack's row
