"""A server that is there already, on the real engine: found, guarded, taken over, moved."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.roles import role_names
from infra.servers import ports
from infra.servers.throwaway import throwaway
from tests.engine.existing import (
    Server,
    Stack,
    quoted,
    standby,
    trusting_binaries,
)
from tests.engine.programs import SERVER_WITH_A_ROLE
from tests.schema.proxy import Proxy
from tests.servers.front import Authority, Front
from tests.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_PASSWORD = "admin's-%-@-/-\"-+word"  # noqa: S105 - of throwaway servers
_NAME = 'its "Books"; 📚 + 1'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL 17 of somebody else."""
    with throwaway(password=_PASSWORD) as made:
        yield Server(throwaway=made)


@pytest.fixture
def make_stack(scratch: Path) -> Iterator[Callable[..., Stack]]:
    """Make stacks; nothing of theirs is left on the server, whatever they did."""
    made: list[Stack] = []

    def make(database: str, *, whole: bool = False) -> Stack:
        folder = scratch / f"existing-{os.urandom(4).hex()}"
        folder.mkdir(mode=0o755)
        made.append(Stack(folder, database=database, program="" if whole else SERVER_WITH_A_ROLE))
        return made[-1]

    yield make
    for stack in made:
        stack.destroy(check=False)
        shutil.rmtree(stack.folder)


def _role(database: str) -> str:
    return role_names(database).owner


# -- a server that answers late, or never, or no ------------------------------------------


def test_a_preview_goes_on_without_the_server_and_an_up_does_not(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """The first says so and shows what is to be made; the second is one message."""
    stack = make_stack("nobody")
    stack.admin(server.url(hosts=f"127.0.0.1:{ports.find_free()}"))

    preview = stack.preview()
    up = stack.up(check=False)

    assert "does not answer" in preview.text
    assert "This preview can't say what is there already" in preview.text
    assert "role create" in preview.text
    assert up.status != 0
    assert "Waited 3 s for it" in up.text
    assert "Traceback" not in up.text
    assert "::server" not in stack.state()


def test_an_up_waits_for_a_server_that_comes_late(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """Within waitSeconds; the outputs say where it is."""
    stack = make_stack("late")
    stack.configure(waitSeconds="60")
    proxy = Proxy(server.throwaway.host, server.throwaway.port)
    proxy.refuse = True
    stack.admin(server.url(hosts=f"127.0.0.1:{proxy.port}"))

    run = stack.start("up", "--yes", "--skip-preview")
    try:
        assert run.stdout is not None
        while "Waiting up to 60 s" not in (line := run.stdout.readline()):
            assert line, "it did not wait"
        proxy.refuse = False
        text, _ = run.communicate(timeout=120)
        assert run.returncode == 0, text
        assert stack.outputs()["port"] == proxy.port
        stack.destroy()
    finally:
        run.kill()
        run.wait()
        proxy.close()


def test_a_refusal_ends_the_preview_and_shows_no_secret(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """A wrong password, and a URL that can't be read."""
    stack = make_stack("refused")
    for url, said in (
        (server.url().replace("admin", "wr0ng-w0rd"), "refuses the login"),
        ("postgresql://postgres:wr0ng-w0rd@h/?sslmode=prefer", "sslmode=verify-full"),
    ):
        stack.admin(url)
        preview = stack.preview("--diff", check=False)

        assert preview.status != 0
        assert said in preview.text
        assert "wr0ng-w0rd" not in preview.text
        assert "Traceback" not in preview.text


# -- what is there already -----------------------------------------------------------------


def test_what_is_there_is_refused_and_taken_over_only_when_told(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """Refused in preview and up, imported in one run, kept at destroy, and never given up."""
    name = f"{_NAME} {os.urandom(2).hex()}"
    role = _role(name)
    server.run(f"CREATE ROLE {quoted(role)}", "SELECT 1")
    stack = make_stack(name)
    stack.admin(server.url())

    for refused in (stack.preview(check=False), stack.up(check=False)):
        assert refused.status != 0
        assert repr(role) in refused.text
        assert "groundwork:existingObjects adopt" in refused.text

    stack.configure(existingObjects="adopt")
    assert stack.steps()["role"] == "import"
    stack.up()
    stack.preview("--expect-no-changes")
    stack.configure(existingObjects="refuse")
    back = stack.preview(check=False)
    assert back.status != 0
    assert f"role {role}" in back.text

    stack.configure(existingObjects="adopt")
    stack.destroy()
    assert ("role", role) in server.objects()
    server.run(f"DROP ROLE {quoted(role)}", "SELECT 1")


def test_what_the_stack_made_is_its_own_until_the_state_is_lost(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """A second run refuses nothing; a stack that knows nothing any more does."""
    stack = make_stack("own")
    stack.admin(server.url())
    stack.up()

    stack.up("--expect-no-changes")
    stack.refresh("--expect-no-changes")
    for secret in stack.secrets():
        assert secret not in stack.state()

    # As a run leaves it that is killed before the state has what it made.
    urn = "urn:pulumi:test::groundwork::postgresql:index/role:Role::role"
    stack.pulumi("state", "delete", "--yes", urn)
    assert stack.steps()["role"] == "import"
    stack.up()
    stack.preview("--expect-no-changes")

    stack.configure(ownerRole="another", appRole="never made")
    renamed = stack.preview(check=False)
    assert renamed.status != 0
    assert "nothing is renamed, and this stack has the role 'own_owner'" in renamed.text
    assert "own_app" not in renamed.text
    stack.configure(ownerRole="own_owner", appRole="own_app")

    stack.forget()
    assert "'own_owner' exists" in stack.preview(check=False).text
    stack.configure(existingObjects="adopt")
    stack.up()
    server.run("DROP ROLE own_owner", "SELECT 1")


# -- another server ------------------------------------------------------------------------


def test_another_cluster_is_not_taken_for_the_same(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """An empty one asks for a refresh; one where the names are taken refuses them."""
    stack = make_stack("moved")
    stack.admin(server.url())
    stack.up()
    with throwaway(password=_PASSWORD) as made:
        other = Server(throwaway=made)
        stack.admin(other.url())

        empty = stack.preview(check=False)
        assert empty.status != 0
        assert "Another cluster than before" in empty.text
        assert "the role 'moved_owner'" in empty.text
        assert "pulumi refresh" in empty.text

        other.run("CREATE ROLE moved_owner", "CREATE DATABASE moved OWNER moved_owner", "SELECT 1")
        for kind in ("migrator", "readwrite", "readonly", "app", "reader"):
            other.run(f"CREATE ROLE moved_{kind}", "SELECT 1")
        taken = stack.preview(check=False)
        assert taken.status != 0
        assert "another cluster than before" in taken.text
        assert "The role 'moved_owner' exists" in taken.text
    stack.admin(server.url())


def test_a_failover_moves_the_admins_way_and_replaces_nothing(
    make_stack: Callable[..., Stack], scratch: Path
) -> None:
    """A real standby is promoted; the URLs name both servers before and after."""
    with throwaway(password=_PASSWORD) as made:
        primary = Server(throwaway=made)
        with standby(primary, scratch) as second:
            hosts = f"127.0.0.1:{second.throwaway.port},127.0.0.1:{made.port}"
            stack = make_stack("failover")
            stack.admin(primary.url(hosts=hosts))
            stack.up()
            assert stack.outputs()["port"] == made.port
            cluster = stack.outputs()["cluster"]

            primary.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT 1")
            primary.run("SELECT pg_reload_conf()")
            second.run("SELECT pg_promote()")

            steps = stack.steps()
            assert steps["server"] == "update"
            assert set(steps.values()) <= {"same", "update"}
            assert steps.get("role", "same") == "same"
            assert f"127.0.0.1:{second.throwaway.port} now" in stack.up().text
            outputs = stack.outputs()
            assert (outputs["port"], outputs["cluster"]) == (second.throwaway.port, cluster)
            assert outputs["addresses"] == hosts
            stack.destroy()


# -- the whole ------------------------------------------------------------------------------


def test_an_admin_without_superuser_gets_a_stack_up_and_takes_it_away_again(
    make_stack: Callable[..., Stack], scratch: Path
) -> None:
    """CREATEROLE and CREATEDB are enough, with odd names; nothing is left of it."""
    with (
        trusting_binaries(scratch) as binaries,
        throwaway(binaries=binaries, password=_PASSWORD) as made,
    ):
        server = Server(throwaway=made)
        admin = server.make_admin("the admin's")
        before = server.objects()
        stack = make_stack(_NAME, whole=True)
        stack.admin(admin)

        stack.preview()
        assert server.objects() == before
        stack.up()
        stack.up("--expect-no-changes")
        stack.refresh("--expect-no-changes")

        tables = stack.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace"
            " AND relkind = 'r'"
        )
        assert {name for (name,) in tables} == {*TABLES, "alembic_version"}
        assert stack.query("SELECT '[1,2]'::vector <-> '[1,3]'::vector") == [(1.0,)]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            stack.query("CREATE TABLE mine (id int)")
        for secret in stack.secrets():
            assert secret not in stack.state()

        stack.destroy()
        assert server.objects() == before


def test_a_database_that_is_there_is_brought_into_shape_and_kept(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """Its rows, its extension elsewhere and its roles stay, also after a destroy."""
    admin = server.make_admin("keeper")
    server.run(
        "CREATE ROLE kept_owner",
        "GRANT kept_owner TO keeper WITH ADMIN OPTION",
        "CREATE DATABASE kept OWNER kept_owner TEMPLATE template0",
        "SELECT 1",
    )
    server.run(
        "CREATE EXTENSION vector",
        "SET ROLE kept_owner",
        "CREATE TABLE public.old AS SELECT 1 AS id",
        "SELECT 1",
        database="kept",
    )
    stack = make_stack("kept", whole=True)
    stack.admin(admin)
    stack.configure(existingObjects="adopt")

    stack.up()
    stack.preview("--expect-no-changes")
    assert stack.query("SELECT '[1,2]'::vector <-> '[1,3]'::vector") == [(1.0,)]
    stack.destroy()

    assert server.run("SELECT id FROM public.old", database="kept") == [(1,)]
    assert ("role", "kept_owner") in server.objects()


def test_everything_goes_over_tls_with_the_clients_certificate(
    make_stack: Callable[..., Stack], server: Server
) -> None:
    """A server that lets nobody in without; its files are named from the project's folder."""
    stack = make_stack("sealed", whole=True)
    authority = Authority(stack.folder)
    front = Front(
        server.throwaway.host, server.throwaway.port, authority.context("localhost", clients=True)
    )
    try:
        tail = "sslmode=verify-full&sslrootcert=ca.pem&sslcert=client.pem&sslkey=client.pem"
        stack.admin(server.url(hosts=f"localhost:{front.port}", tail=tail))

        stack.up()
        stack.preview("--expect-no-changes")
        assert "sslmode=verify-full&sslrootcert=ca.pem" in stack.outputs()["url"]
        stack.destroy()
        assert ("database", "sealed") not in server.objects()
    finally:
        front.close()
