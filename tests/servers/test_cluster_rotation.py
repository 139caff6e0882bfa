"""Another password for a role of a server that runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.servers import ports, rotation
from infra.servers.local.service import Service, Wanted, login
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.session import PasswordError
from tests.servers.running import PASSWORD, ask, query

if TYPE_CHECKING:
    from infra.servers.local.binaries import Binaries
    from infra.servers.local.cluster import Cluster

_NEW = "second-password-of-32-characters"


@pytest.fixture
def port(made: Cluster, binaries: Binaries) -> int:
    """The port of a server that logs everything it is told."""
    loud = {"log_statement": "all", "log_min_duration_statement": "0", "log_connections": "on"}
    service = Service(cluster=made, binaries=binaries, say=print)
    return service.make(Wanted(port=0, password=PASSWORD, parameters=loud))[0]


def test_sessions_go_on_and_the_former_password_is_refused(port: int) -> None:
    """Who is in stays in; who comes needs the new one."""

    async def rotate() -> int:
        async with login(port, PASSWORD).session() as session:
            await session.execute("CREATE TEMPORARY TABLE mine AS SELECT 42 AS answer")
            changed = await asyncio.to_thread(
                rotation.change_password, login(port, _NEW), former=PASSWORD
            )
            assert changed
            return int(await session.fetchval("SELECT answer FROM mine"))

    assert asyncio.run(rotate()) == 42
    assert ask(port, _NEW).version.startswith("17.")
    with pytest.raises(RefusedError):
        ask(port, PASSWORD)


def test_nothing_of_a_password_is_in_the_servers_log(port: int, cluster: Cluster) -> None:
    """Not even what PostgreSQL keeps of it, where all statements are logged."""
    rotation.change_password(login(port, _NEW), former=PASSWORD)
    query(port, "SELECT 'a word in the log'", password=_NEW)

    log = (cluster.data / "server.log").read_text()
    assert "a word in the log" in log
    assert "ALTER ROLE" not in log
    assert "SCRAM-SHA-256$" not in log
    assert _NEW not in log


def test_it_can_be_done_again(port: int) -> None:
    """A run that was killed after it, and did not note it, changes nothing the next time."""
    assert rotation.change_password(login(port, _NEW), former=PASSWORD)
    stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'"
    before = query(port, stored, password=_NEW)

    assert not rotation.change_password(login(port, _NEW), former=PASSWORD)

    assert query(port, stored, password=_NEW) == before


def test_a_role_that_is_no_superuser_changes_its_own(port: int) -> None:
    """Its name may hold anything."""
    name = 'O\'Hara "the" \\ admin'
    query(port, f"""CREATE ROLE "{name.replace('"', '""')}" LOGIN PASSWORD '{PASSWORD}'""")
    admin = replace(login(port, _NEW), user=name)

    assert rotation.change_password(admin, former=PASSWORD)

    assert not rotation.change_password(admin, former="whatever")


def test_without_a_password_that_fits_nothing_is_changed(port: int) -> None:
    """The failure is one that the caller can tell from others."""
    with pytest.raises(PasswordError, match="password authentication failed"):
        rotation.change_password(login(port, _NEW), former="wrong")

    ask(port, PASSWORD)


def test_a_server_without_room_is_not_taken_for_one_with_another_password(port: int) -> None:
    """All sessions are taken, the superuser's own too: nothing is stopped for that."""
    query(port, "ALTER SYSTEM SET superuser_reserved_connections = 0")

    async def crowd() -> None:
        taken: list[asyncpg.Connection] = []
        try:
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(login_url))
            with pytest.raises(ProbeError, match="too many clients") as failure:
                await asyncio.to_thread(
                    rotation.change_password, login(port, _NEW), former=PASSWORD
                )
            assert not isinstance(failure.value, PasswordError)
        finally:
            for each in taken:
                await each.close()

    login_url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"
    asyncio.run(crowd())


def test_nobody_who_answers_is_told() -> None:
    """There is no server."""
    with pytest.raises(ProbeError, match="does not answer"):
        rotation.change_password(login(ports.find_free(), _NEW), former=PASSWORD)


def test_a_service_rotates_and_falls_back_to_the_data_directory(
    made: Cluster, binaries: Binaries
) -> None:
    """In place where the former password is known, by a restart where it was lost."""
    said: list[str] = []
    service = Service(cluster=made, binaries=binaries, say=said.append)
    first = Wanted(port=0, password=PASSWORD)
    port, _ = service.make(first)
    pid = made.postmaster.pid()

    service.bring(Wanted(port=port, password=_NEW), former=first)
    assert said == ["the superuser has another password; no session was ended"]
    assert made.postmaster.pid() == pid

    service.bring(Wanted(port=port, password="third"))  # noqa: S106 - of a throwaway cluster
    assert made.postmaster.pid() != pid
    ask(port, "third")
