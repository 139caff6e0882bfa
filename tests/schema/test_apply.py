"""Applying rendered revisions: one transaction each, with ledger and version, on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema.errors import MigrationError, MovedError, StoppedError
from infra.schema.model import History, Plan
from infra.schema.progress import line
from tests.schema.applying import Lab, database, revision, script, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own."""
    with database(postgres_server) as place:
        yield place


def _lab(place: Place, *revisions: object, **more: object) -> Lab:
    return Lab(
        place,
        History(revisions=revisions, heads=(), digest="", **more),  # type: ignore[arg-type]  # as the names say
    )


def test_revisions_run_in_order_with_ledger_and_version(place: Place) -> None:
    """Each leaves its row in the ledger, and the version table is where Alembic would have it."""
    lab = _lab(
        place,
        revision(
            "aaaa", script("CREATE TABLE one (id int)"), message='it\'s "one" 🐘', file="a.py"
        ),
        revision("bbbb", script("ALTER TABLE one ADD note text"), "aaaa"),
    )

    outcome = lab.up("aaaa", "bbbb")

    assert outcome.applied == ("aaaa", "bbbb")
    assert outcome.heads == lab.heads() == ("bbbb",)
    assert lab.events() == [("aaaa", "up", "done"), ("bbbb", "up", "done")]
    assert lab.ask("SELECT message FROM schema_ledger.events WHERE revision = 'aaaa'") == (
        'it\'s "one" 🐘'
    )
    assert [line(told) for told in lab.told][0] == '1/2 aaaa it\'s "one" 🐘'
    assert lab.ask("SELECT heads FROM schema_ledger.catalogs") == ["bbbb"]
