"""A bounded part of `make soak`: faults of each kind, and that the harness sees what is wrong."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.faults import check, soak
from tests.faults.kinds import KINDS
from tests.faults.proxy import Proxy
from tests.faults.stage import HISTORY, Stage
from tests.faults.trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

# Those of the engine are in `make soak` alone: they take half a minute each.
_SEEDS = {
    "kill-command": 11,
    "kill-tree": 13,  # in CREATE INDEX CONCURRENTLY without a name
    "interrupt-command": 16,
    "stop-and-kill": 18,
    "terminate-sessions": 14,
    "kill-backend": 23,
    "crash-server": 24,
    "restart-server": 3003,  # in REINDEX TABLE CONCURRENTLY, as a role that may not enter pg_toast
    "fail-over": 26,
    "fill-disk": 9,
    "cut-at-commit": 29,
    "close-half": 31,
    "stall": 36,
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The server, and clean runs of the history."""
    with Stage.make(HISTORY) as stage:
        yield stage


@pytest.mark.parametrize("kind", _SEEDS)
def test_one_more_run_makes_a_fault_good(stage: Stage, kind: str) -> None:
    """Catalog, rows and ledger are as after a clean run; no session and no process is left."""
    if KINDS[kind].needs == "disk" and not stage.server.disk.small:
        pytest.skip("no small disk can be mounted here")

    result = run_trial(stage, _SEEDS[kind], KINDS[kind])

    assert result.problems == [], soak.line(result)
    assert result.reruns == 1


def test_what_is_not_as_after_a_clean_run_is_seen(stage: Stage) -> None:
    """A missing row, an INVALID index, an object, a revision that ran twice or not to its end."""
    clean = stage.clean["up"].contents
    broken = {
        "DELETE FROM notes WHERE id = 3": "rows of public.notes",
        "UPDATE pg_index SET indisvalid = false WHERE indrelid = 'notes'::regclass": "INVALID",
        "CREATE TABLE other (id int)": "catalog of table public.other",
        "INSERT INTO alembic_version VALUES ('zzz')": "rows of public.alembic_version",
        "DELETE FROM schema_ledger.events WHERE revision = 'r09'": "ledger of",
        "UPDATE schema_ledger.events SET state = 'begun' WHERE revision = 'r16'": "is begun",
    }
    for statement, said in broken.items():
        name = f"broken {os.urandom(4).hex()}"
        stage.make_database(name, "down")
        stage.server.execute(statement, database=name)
        found = check.differences(clean, stage.read(name))
        stage.server.drop_database(name)
        assert any(said in line for line in found), (statement, found)
    assert check.differences(clean, clean) == []
    assert check.differences(clean, replace(clean, recorded=())) != []


def test_a_partition_says_nothing_to_either_end() -> None:
    """No reset, no end, no acknowledgement: what waits for an answer runs into its own limit."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1], Random(1))  # noqa: S311 - nothing secret
        client = socket.create_connection(("127.0.0.1", proxy.port))
        behind, _ = server.accept()
        client.sendall(b"one")
        assert behind.recv(9) == b"one"

        proxy.partition()
        client.sendall(b"two")
        for end in (client, behind):
            end.settimeout(0.3)
            with pytest.raises(TimeoutError):
                end.recv(9)
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3)

        proxy.heal()
        again = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        for end in (client, behind, again):
            end.close()
        proxy.close()
