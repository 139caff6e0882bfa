"""Another database than the stack's answers, on the real engine: nothing of it is touched."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from infra.servers.throwaway import throwaway
from tests.engine.existing import Server, Stack
from tests.schema.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_PASSWORD = "admin's-%-@-/-\"-+word"  # noqa: S105 - of throwaway servers
_CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
_VERIFIERS = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname ~ '^books_' AND rolcanlogin"
_CLIENT = "INSERT INTO app.clients (name) VALUES ('kept')"
_CLIENTS = "SELECT name FROM app.clients"


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """The server that the stack means."""
    with throwaway(password=_PASSWORD) as made:
        yield Server(throwaway=made)


@pytest.fixture(scope="module")
def other() -> Iterator[Server]:
    """A server with a database of the same name, by another stack, with rows in it."""
    with throwaway(password=_PASSWORD) as made:
        yield Server(throwaway=made)


@pytest.fixture(scope="module")
def proxy(own: Server) -> Iterator[Proxy]:
    """The way to one of them, as a tunnel on this machine is one."""
    made = Proxy(own.throwaway.host, own.throwaway.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def stack(scratch: Path, own: Server, other: Server, proxy: Proxy) -> Iterator[Stack]:
    """A stack that is up on its own server, while another one is up on the other."""
    made = []
    for name, server in (("other", other), ("own", own)):
        folder = scratch / f"{name}-{os.urandom(4).hex()}"
        folder.mkdir(mode=0o755)
        made.append(Stack(folder, database="books"))
        hosts = f"127.0.0.1:{proxy.port}" if name == "own" else ""
        made[-1].admin(server.url(hosts=hosts))
        made[-1].up()
    other.run("SET ROLE books_owner", _CLIENT, "SELECT 1", database="books")
    # As pg_upgrade and pg_dumpall leave them.
    for role, verifier in own.run(_VERIFIERS):
        other.run(f"ALTER ROLE {role} PASSWORD '{verifier}'", "SELECT 1")
    yield made[1]
    for each in made:
        shutil.rmtree(each.folder)


def _clusters(own: Server, other: Server) -> tuple[str, str]:
    return str(own.run(_CLUSTER)[0][0]), str(other.run(_CLUSTER)[0][0])


def _untouched(other: Server, before: set[tuple[object, ...]]) -> bool:
    return other.objects() == before and other.run(_CLIENTS, database="books") == [("kept",)]


def test_nothing_of_another_database_is_touched(
    stack: Stack, own: Server, other: Server, proxy: Proxy
) -> None:
    """Up and destroy name both; a refresh teaches the stack no other; the key means one."""
    before, (mine, foreign) = other.objects(), _clusters(own, other)
    proxy.target = (other.throwaway.host, other.throwaway.port)

    for refused in (stack.preview(check=False), stack.up(check=False), stack.destroy(check=False)):
        assert refused.status != 0
        for said in (mine, foreign, "'books'", f"127.0.0.1:{proxy.port}", f"{foreign}/books"):
            assert said in refused.text
        assert _untouched(other, before)

    stack.refresh(check=False)
    on = "--continue-on-error"
    for refused in (
        stack.up(check=False),
        stack.destroy(on, check=False),
        stack.destroy(check=False),
    ):
        assert refused.status != 0
        assert foreign in refused.text
        assert _untouched(other, before)

    proxy.target = (own.throwaway.host, own.throwaway.port)
    stack.refresh()
    stack.up()
    assert own.run(_CLIENTS, database="books") == []

    proxy.target = (other.throwaway.host, other.throwaway.port)
    stack.configure(movedTo=f"{mine}/books")
    assert stack.up(check=False).status != 0
    stack.configure(movedTo=f"{foreign}/books")
    stack.up()
    assert stack.outputs()["revision"]
    assert _untouched(other, before)
    stack.destroy()
    assert not {each for each in other.objects() if "books" in str(each[1])}
    assert own.run(_CLIENTS, database="books") == []


def test_a_new_empty_server_needs_no_key(
    stack: Stack, own: Server, other: Server, proxy: Proxy
) -> None:
    """The one before is lost: a refresh says so, and everything is made again."""
    own.run("DROP DATABASE books WITH (FORCE)", "SELECT 1")
    for (role,) in own.run("SELECT rolname FROM pg_roles WHERE rolname ~ '^books_'"):
        own.run(f"DROP ROLE {role}", "SELECT 1")
    proxy.target = (own.throwaway.host, own.throwaway.port)
    stack.configure(movedTo=None)
    stack.up()
    proxy.target = (other.throwaway.host, other.throwaway.port)

    stack.refresh()
    stack.up()

    assert other.run(_CLIENTS, database="books") == []
