"""An existing server of an older major version, where this machine has one."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.servers import ports, probe
from infra.servers.local.account import server_account
from infra.servers.remote import adminurl, facts
from infra.servers.remote.adoption import Known, refusals
from infra.servers.remote.facts import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEBIAN = Path("/usr/lib/postgresql")
_PASSWORD = "older-one"  # noqa: S105 - of a server of this test alone


@pytest.fixture(scope="module")
def older(scratch: Path) -> Iterator[tuple[int, int]]:
    """A PostgreSQL 14 or 15; gives its major version and its port."""
    found = [major for major in (15, 14) if (_DEBIAN / str(major) / "bin/initdb").exists()]
    if not found:
        pytest.skip("this machine has no PostgreSQL 14 or 15 of Debian")
    programs, data = _DEBIAN / str(found[0]) / "bin", scratch / f"older-{os.urandom(4).hex()}"
    data.mkdir(mode=0o700)
    account = server_account(scratch / "nothing")
    account.own(data)
    password = scratch / f"{data.name}.txt"
    password.write_text(_PASSWORD)
    port = ports.find_free()
    make = ("-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync")
    subprocess.run(
        account.command(str(programs / "initdb"), "-D", str(data), *make),
        cwd="/",
        check=True,
        capture_output=True,
    )
    settings = (f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
    words = [word for each in settings for word in ("-c", each)]
    server = subprocess.Popen(
        account.command(str(programs / "postgres"), "-D", str(data), *words),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        probe.wait(host="127.0.0.1", port=port, user="postgres", password=_PASSWORD, seconds=30)
        yield found[0], port
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(data)


def test_it_is_asked_in_its_own_terms(older: tuple[int, int]) -> None:
    """There CREATEROLE administers every plain role, and a membership always lends its rights."""
    major, port = older

    async def prepare() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user="postgres", password=_PASSWORD, database="postgres"
        )
        await connection.execute(
            f"CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD '{_PASSWORD}';"
            "CREATE ROLE an_owner; CREATE ROLE an_app; CREATE ROLE stranger;"
            "GRANT an_owner TO stranger"
        )
        await connection.close()

    asyncio.run(prepare())
    wanted = Wanted(
        roles={"owner": "an_owner", "app": "an_app", "auditor": "an_auditor"}, database="none"
    )
    url = f"postgresql://admin:{_PASSWORD}@127.0.0.1:{port}/postgres?sslmode=disable"

    seen = facts.look(adminurl.parse(url), wanted, root=Path("/"), seconds=5, say=lambda _: None)
    said = "\n".join(refusals(seen, wanted, Known(), adopt=True))

    assert (seen.major, seen.superuser, seen.creates_roles) == (major, False, True)
    assert [(role.name, role.administered) for role in seen.roles] == [
        ("an_app", True),
        ("an_owner", True),
    ]
    assert "'stranger' would gain its rights" in said
    assert "may not administer" not in said
    assert "pg_read_all_data" not in said
