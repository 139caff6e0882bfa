"""An existing server: how it is found, what is asked of it, what it is refused for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import pytest

from infra.extensions import Extension
from infra.roles import role_names
from infra.servers import ports
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.remote import adminurl, facts
from infra.servers.remote.adoption import Known, refusals
from infra.servers.remote.changes import changes
from infra.servers.remote.facts import Facts, Wanted
from infra.servers.throwaway import throwaway
from tests.servers.front import Authority, Front
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import PostgresServer

_ADMIN = "CREATEROLE CREATEDB"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server with names of one test's own on it.

    Attributes:
        server: The server.
        tag: Odd, and in every name.
        wanted: What the test's stack would ask for.
    """

    server: PostgresServer
    tag: str
    wanted: Wanted

    def run(self, *statements: str, database: str = "postgres", user: str = "") -> None:
        """Run statements, as the superuser unless told otherwise."""

        async def run() -> None:
            url = self.server.url(user=user or self.server.user, database=database)
            connection = await asyncpg.connect(url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def admin(self, attributes: str = _ADMIN) -> str:
        """Make an admin who is no superuser; gives its name."""
        name = f"admin {self.tag}"
        password = self.server.password.replace("'", "''")
        self.run(f"CREATE ROLE {_quoted(name)} LOGIN PASSWORD '{password}' {attributes}")
        return name

    def look(self, user: str = "", options: str = "") -> Facts:
        """Ask it, as the superuser unless told otherwise."""
        url = self.server.url(user=user or self.server.user, database="postgres")
        return _look(url + options, self.wanted)

    def refused(self, user: str = "", *, adopt: bool = True, known: Known | None = None) -> str:
        """Give what stands against using it, as one text."""
        return "\n".join(refusals(self.look(user), self.wanted, known or Known(), adopt=adopt))


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """Names with quotes, spaces and an emoji; what was made under them goes afterwards."""
    tag = f'it\'s "{uuid.uuid4().hex[:6]}" 📚'
    names = role_names(tag)
    kinds = ("owner", "migrator", "readwrite", "readonly", "app")
    wanted = Wanted(
        roles={kind: getattr(names, kind) for kind in kinds},
        database=tag,
        extensions=(Extension(name="vector"),),
        passwords=("migrator",),
    )
    made = Place(server=postgres_server, tag=tag, wanted=wanted)
    yield made
    made.run(f"DROP DATABASE IF EXISTS {_quoted(tag)}")
    for name in (*wanted.roles.values(), f"stranger {tag}", f"admin {tag}"):
        made.run(
            f"DO $$BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(name)}) THEN"
            f" DROP OWNED BY {_quoted(name)} CASCADE; DROP ROLE {_quoted(name)}; END IF; END$$"
        )


@pytest.fixture(scope="module")
def authority(scratch: Path) -> Authority:
    """Of the certificates of this module."""
    return Authority(scratch)


@pytest.fixture
def front(authority: Authority, postgres_server: PostgresServer) -> Iterator[Callable[..., Front]]:
    """Put TLS before the server, under a name of one's choice."""
    made: list[Front] = []

    def make(name: str = "localhost", *, clients: bool = False) -> Front:
        context = authority.context(name, clients=clients)
        made.append(Front(postgres_server.host, postgres_server.port, context))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _look(url: str, wanted: Wanted, *, seconds: float = 2, said: list[str] | None = None) -> Facts:
    say = said.append if said is not None else (lambda _: None)
    return facts.look(adminurl.parse(url), wanted, root=Path("/"), seconds=seconds, say=say)


def _url(server: PostgresServer, hosts: str, tail: str) -> str:
    password = quote(server.password, safe="")
    return f"postgresql://{server.user}:{password}@{hosts}/postgres?{tail}"


_NOTHING = Wanted(roles={}, database="nothing of that name")


# -- how it is found ------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_the_server_is_asked_over_tls(
    mode: str,
    front: Callable[..., Front],
    authority: Authority,
    postgres_server: PostgresServer,
) -> None:
    """Each mode that promises TLS gets it, with the authority's file where it checks."""
    door = front()
    tail = f"sslmode={mode}" + ("" if mode == "require" else f"&sslrootcert={authority.file}")

    seen = _look(_url(postgres_server, f"localhost:{door.port}", tail), _NOTHING)

    assert (seen.host, seen.port, seen.major) == ("localhost", door.port, 17)
    assert seen.superuser
    assert door.sessions == 1


def test_a_name_that_the_certificate_lacks_is_refused_by_verify_full_alone(
    front: Callable[..., Front], authority: Authority, postgres_server: PostgresServer
) -> None:
    """verify-ca goes by the authority; verify-full says which name was wrong, at once."""
    hosts = f"127.0.0.1:{front('db.test').port}"
    trust = f"&sslrootcert={authority.file}"

    assert _look(_url(postgres_server, hosts, f"sslmode=verify-ca{trust}"), _NOTHING).superuser
    with pytest.raises(RefusedError, match=r"not trusted: .*127\.0\.0\.1"):
        _look(_url(postgres_server, hosts, f"sslmode=verify-full{trust}"), _NOTHING)


def test_a_certificate_of_a_strange_authority_is_refused(
    front: Callable[..., Front], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The message says what can be done."""
    url = _url(
        postgres_server,
        f"localhost:{front().port}",
        f"sslmode=verify-full&sslrootcert={Authority(tmp_path).file}",
    )

    with pytest.raises(RefusedError, match="sslrootcert"):
        _look(url, _NOTHING)


def test_the_clients_certificate_is_shown_where_it_is_given(
    front: Callable[..., Front], authority: Authority, postgres_server: PostgresServer
) -> None:
    """A server that asks for one lets nobody in without."""
    door = front(clients=True)
    tail = f"sslmode=verify-full&sslrootcert={authority.file}"
    pair = f"&sslcert={authority.client}&sslkey={authority.client}"
    url = _url(postgres_server, f"localhost:{door.port}", tail)

    assert _look(url + pair, _NOTHING).superuser
    with pytest.raises(ProbeError) as refused:
        _look(url, _NOTHING)
    assert postgres_server.password not in str(refused.value)


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(
    postgres_server: PostgresServer,
) -> None:
    """It says how to go without, and doesn't wait."""
    hosts = f"{postgres_server.host}:{postgres_server.port}"
    begin = time.monotonic()

    with pytest.raises(RefusedError, match="offers no TLS"):
        _look(_url(postgres_server, hosts, "sslmode=require"), _NOTHING, seconds=600)
    assert time.monotonic() - begin < 300


def test_of_several_hosts_the_one_that_takes_writes_is_chosen(
    postgres_server: PostgresServer,
) -> None:
    """One that takes none, one that is gone and one that works, in any order."""
    with throwaway(
        password=postgres_server.password, settings=("default_transaction_read_only=on",)
    ) as reading:
        gone = f"127.0.0.1:{ports.find_free()}"
        hosts = [f"127.0.0.1:{reading.port}", gone, f"127.0.0.1:{postgres_server.port}"]
        for order in (hosts, hosts[::-1]):
            seen = _look(_url(postgres_server, ",".join(order), "sslmode=disable"), _NOTHING)
            assert seen.port == postgres_server.port
        with pytest.raises(ProbeError) as none:
            _look(_url(postgres_server, ",".join(hosts[:2]), "sslmode=disable"), _NOTHING)
    assert "takes no writes: its default_transaction_read_only is on" in str(none.value)
    assert f"{gone}/postgres does not answer" in str(none.value)


def test_a_server_that_comes_up_late_is_waited_for(postgres_server: PostgresServer) -> None:
    """The waiting is told once, and ends when it answers."""
    port = ports.find_free()
    said: list[str] = []

    def come_up() -> None:
        wait_until(lambda: said)
        with socket.create_server(("127.0.0.1", port)) as listener:
            taken, _ = listener.accept()
            with (
                taken,
                socket.create_connection((postgres_server.host, postgres_server.port)) as on,
            ):
                ways = [
                    threading.Thread(target=_pass, args=way) for way in ((taken, on), (on, taken))
                ]
                for way in ways:
                    way.start()
                for way in ways:
                    way.join()

    late = threading.Thread(target=come_up, daemon=True)
    late.start()
    url = _url(postgres_server, f"127.0.0.1:{port}", "sslmode=disable")
    seen = _look(url, _NOTHING, seconds=20, said=said)
    late.join()

    assert seen.port == port
    assert len(said) == 1
    assert "Waiting up to 20 s" in said[0]


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def test_a_wrong_password_is_refused_at_once_and_not_shown(
    postgres_server: PostgresServer,
) -> None:
    """Waiting would not help."""
    url = f"postgresql://postgres:wr0ng-one@127.0.0.1:{postgres_server.port}/?sslmode=disable"
    begin = time.monotonic()

    with pytest.raises(RefusedError, match="refuses the login") as refused:
        _look(url, _NOTHING, seconds=600)
    assert "wr0ng-one" not in str(refused.value)
    assert time.monotonic() - begin < 300


def test_an_unknown_host_is_named() -> None:
    """After the wait, since a new server's name may take its time to spread."""
    with pytest.raises(ProbeError, match=r"db\.invalid.*Waited 0\.5 s") as unknown:
        _look("postgresql://u:pass-word@db.invalid/?sslmode=disable", _NOTHING, seconds=0.5)
    assert "pass-word" not in str(unknown.value)


@pytest.fixture
def speaker() -> Iterator[Callable[[bytes], int]]:
    """Listen on a port, and say the same to whoever comes and has spoken."""
    listeners: list[socket.socket] = []

    def listen(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.recv(4096)
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield listen
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_port_that_is_not_postgresqls_is_refused(speaker: Callable[[bytes], int]) -> None:
    """Whatever a web server answers, one message comes of it."""
    port = speaker(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with pytest.raises(ProbeError) as refused:
        _look(f"postgresql://u@127.0.0.1:{port}/?sslmode=disable", _NOTHING)
    assert f"127.0.0.1:{port}" in str(refused.value)
    assert "Check host and port" in str(refused.value)


def test_a_postgresql_before_14_is_refused(speaker: Callable[[bytes], int]) -> None:
    """By its own words at the start of a session, which is all that this one can say."""

    def parameter(name: str, value: str) -> bytes:
        body = name.encode() + b"\0" + value.encode() + b"\0"
        return b"S" + (len(body) + 4).to_bytes(4, "big") + body

    port = speaker(
        b"R\0\0\0\x08\0\0\0\0"
        + parameter("server_version", "12.22")
        + parameter("server_encoding", "UTF8")
        + parameter("client_encoding", "UTF8")
        + parameter("TimeZone", "UTC")
        + b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02"
        + b"Z\0\0\0\x05I"
    )

    with pytest.raises(RefusedError, match="PostgreSQL 12; 14 or later is needed"):
        _look(f"postgresql://u@127.0.0.1:{port}/?sslmode=disable", _NOTHING)


# -- what it is refused for -----------------------------------------------------------


def test_an_empty_server_is_fit_for_its_superuser(place: Place) -> None:
    """Nothing is there, everything is allowed, and the cluster has its name."""
    seen = place.look()

    assert place.refused(adopt=False) == ""
    assert (seen.roles, seen.database) == ((), None)
    assert [(each.name, each.allowed) for each in seen.available] == [("vector", True)]
    assert seen.cluster.isdecimal()
    assert Facts.of(seen.dump()) == seen


def test_what_exists_is_refused_by_name_unless_known_or_adopted(place: Place) -> None:
    """Role and database are named with whose they are and with both ways out."""
    owner = place.wanted.roles["owner"]
    place.run(
        f"CREATE ROLE {_quoted(owner)}",
        f"CREATE DATABASE {_quoted(place.tag)} OWNER {_quoted(owner)} TEMPLATE template0",
    )

    role, database = place.refused(adopt=False).split("\n")
    known = Known(roles={owner: "owner"}, database=place.tag)

    assert repr(owner) in role
    assert "groundwork:ownerRole" in role
    assert repr(place.tag) in database
    assert f"owned by {owner!r}" in database
    assert "groundwork:database" in database
    assert "groundwork:existingObjects adopt" in role
    assert place.refused(adopt=False, known=known) == ""
    assert place.refused(adopt=True) == ""
    other = Known(roles={owner: "app"}, database=place.tag)
    assert "is the stack's app" in place.refused(known=other)
    found = place.look().database
    assert found is not None
    assert (found.owner, found.encoding, found.refused) == (owner, "UTF8", "")


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("CREATE ROLE {app} LOGIN SUPERUSER", "it has 'SUPERUSER'"),
        ("CREATE ROLE {owner} LOGIN", "set groundwork:appRole"),
        ("CREATE ROLE {owner}; CREATE ROLE {stranger}; GRANT {stranger} TO {owner}", "a member of"),
        ("CREATE ROLE {owner}; CREATE ROLE {stranger}; GRANT {owner} TO {stranger}", "would gain"),
        ("CREATE ROLE {readwrite}; CREATE SCHEMA AUTHORIZATION {readwrite}", "it owns 'postgres'"),
        ("CREATE ROLE {owner}; CREATE SCHEMA AUTHORIZATION {owner}", "objects in 'postgres'"),
    ],
)
def test_a_role_that_can_not_serve_as_it_is_is_never_taken_over(
    place: Place, prepare: str, said: str
) -> None:
    """Each reason is named, with the role and what would help."""
    names = {kind: _quoted(name) for kind, name in place.wanted.roles.items()}
    stranger = _quoted(f"stranger {place.tag}")
    for statement in prepare.split(";"):
        place.run(statement.format(**names, stranger=stranger))

    refused = place.refused()

    assert said in refused
    kind = next(kind for kind in ("owner", "readwrite", "app") if f"{{{kind}}}" in prepare)
    assert repr(place.wanted.roles[kind]) in refused


def test_a_login_is_taken_over_with_all_that_it_has(place: Place) -> None:
    """Attributes, memberships, members and what it owns elsewhere are no hindrance."""
    app, stranger = place.wanted.roles["app"], _quoted(f"stranger {place.tag}")
    place.run(
        f"CREATE ROLE {_quoted(app)} LOGIN CREATEDB REPLICATION",
        f"CREATE ROLE {stranger}",
        f"GRANT {stranger} TO {_quoted(app)}",
        f"CREATE SCHEMA AUTHORIZATION {_quoted(app)}",
    )

    assert place.refused() == ""
    admin = place.admin()
    assert "administer" not in place.refused(admin)
    told = changes(place.look(), place.wanted, {f"role {app}"})
    assert told[0].endswith("attributes, password, memberships and privileges stay")
    assert f"  {app!r} becomes a member of {place.wanted.roles['readwrite']!r}" in told
    assert f"  {app!r} keeps REPLICATION, CREATEDB" in told


def test_a_migrator_is_taken_over_with_a_password_that_the_stack_knows(place: Place) -> None:
    """It logs in as it; who owns the tables can't be one, since the owner becomes its member."""
    migrator = place.wanted.roles["migrator"]
    place.run(f"CREATE ROLE {_quoted(migrator)} LOGIN PASSWORD 'x'")
    unknown = replace(place.wanted, passwords=())

    said = refusals(place.look(), unknown, Known(), adopt=True)
    place.run(f"CREATE DATABASE {_quoted(place.tag)} OWNER {_quoted(migrator)} TEMPLATE template0")

    assert "groundwork:migratorPassword" in "".join(said)
    assert f"groundwork:appRole {migrator}" in place.refused()


def test_the_roles_of_one_stack_may_be_in_each_other(place: Place) -> None:
    """What the stack itself makes of them is no hindrance to taking them over again."""
    roles = {kind: _quoted(name) for kind, name in place.wanted.roles.items()}
    place.run(*(f"CREATE ROLE {name}" for name in roles.values()))
    place.run(
        f"GRANT {roles['owner']} TO {roles['migrator']}",
        f"GRANT {roles['readwrite']} TO {roles['app']}",
    )

    assert place.refused() == ""


def test_an_admin_may_take_over_only_what_it_administers(place: Place) -> None:
    """A role that somebody else made is refused until the admin has the ADMIN option."""
    admin, owner = place.admin(), place.wanted.roles["owner"]
    place.run(f"CREATE ROLE {_quoted(owner)}")

    refused = place.refused(admin)
    place.run(f"GRANT {_quoted(owner)} TO {_quoted(admin)} WITH ADMIN OPTION")

    assert "may not administer it" in refused
    assert f"GRANT {_quoted(owner)} TO {_quoted(admin)} WITH ADMIN OPTION" in refused
    assert "administer" not in place.refused(admin)


def test_a_database_is_taken_over_from_any_owner_that_can_be_joined(place: Place) -> None:
    """The stack's owner becomes a member of it; its tables, owner and privileges stay."""
    owner, app = place.wanted.roles["owner"], place.wanted.roles["app"]
    place.run(
        f"CREATE ROLE {_quoted(app)} LOGIN",
        f"CREATE DATABASE {_quoted(place.tag)} OWNER {_quoted(app)} TEMPLATE template0",
    )
    place.run(
        f"SET ROLE {_quoted(app)}", "CREATE SCHEMA app", "CREATE TABLE app.t ()", database=place.tag
    )

    assert place.refused() == ""
    told = "\n".join(changes(place.look(), place.wanted, {f"database {place.tag}"}))
    assert f"{owner!r} becomes a member of {app!r}, so that migrations may change" in told
    assert "every role of the server keeps CONNECT, by PUBLIC" in told
    admin = place.admin()
    assert f"GRANT {_quoted(app)} TO {_quoted(admin)} WITH ADMIN OPTION" in place.refused(admin)
    place.run(f"CREATE ROLE {_quoted(owner)}", f"GRANT {_quoted(owner)} TO {_quoted(app)}")
    assert "REASSIGN OWNED BY" in place.refused()


def test_tables_that_no_migration_could_change_are_told_before_anything_runs(place: Place) -> None:
    """Refused where they are all that there is; else named, with what would bring them in reach."""
    app = place.wanted.roles["app"]
    place.run(
        f"CREATE ROLE {_quoted(app)} LOGIN",
        f"CREATE DATABASE {_quoted(place.tag)} TEMPLATE template0",
    )
    place.run("CREATE SCHEMA app", 'CREATE TABLE app."a b" ()', database=place.tag)

    assert 'ALTER TABLE "app"."a b" OWNER TO' in place.refused()
    place.run(
        "CREATE TABLE app.mine ()",
        f"ALTER TABLE app.mine OWNER TO {_quoted(app)}",
        database=place.tag,
    )
    assert place.refused() == ""
    told = "\n".join(changes(place.look(), place.wanted, {f"database {place.tag}"}))
    assert "of 'postgres' stay out of reach of migrations" in told
    assert 'ALTER TABLE "app"."a b" OWNER TO' in told


def test_types_and_functions_out_of_reach_are_told_with_what_hands_them_over(place: Place) -> None:
    """Each statement runs as it stands; afterwards none is told of, nor what belongs to a table."""
    app, owner = place.wanted.roles["app"], place.wanted.roles["owner"]
    place.run(
        f"CREATE ROLE {_quoted(app)} LOGIN",
        f"CREATE ROLE {_quoted(owner)}",
        f"CREATE DATABASE {_quoted(place.tag)} TEMPLATE template0 OWNER {_quoted(app)}",
    )
    place.run(
        f"CREATE SCHEMA app AUTHORIZATION {_quoted(app)}",
        "CREATE TABLE app.mine ()",
        f"ALTER TABLE app.mine OWNER TO {_quoted(app)}",
        "CREATE TYPE app.\"order state\" AS ENUM ('new')",
        "CREATE DOMAIN app.price AS numeric",
        "CREATE TYPE app.place AS (x int, y int)",
        "CREATE TYPE app.span AS RANGE (subtype = int)",
        "CREATE FUNCTION app.f(app.price, \"a b\" int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1'",
        database=place.tag,
    )
    adopted = {f"database {place.tag}"}

    assert place.refused() == ""
    told = "\n".join(changes(place.look(), place.wanted, adopted))
    line = next(line for line in told.splitlines() if "out of reach" in line)
    for name in ('"order state"', "price", "place", "span", "f(", "p("):
        assert f"app.{name}" in line or "more" in line
    for _ in range(3):
        rest = "\n".join(changes(place.look(), place.wanted, adopted))
        if "out of reach" not in rest:
            break
        statements = rest.partition("have this run: ")[2].splitlines()[0].split("; ")
        place.run(*(each for each in statements if "more" not in each), database=place.tag)
    assert "out of reach" not in "\n".join(changes(place.look(), place.wanted, adopted))


def test_a_database_of_a_superuser_takes_one_and_utf8_every_time(place: Place) -> None:
    """An admin that is none hears which statement gives it away."""
    place.run(
        f"CREATE DATABASE {_quoted(place.tag)} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
    )
    admin = place.admin()

    assert "its encoding is SQL_ASCII" in place.refused()
    assert "is owned by the superuser" not in place.refused()
    assert f"ALTER DATABASE {_quoted(place.tag)} OWNER TO {_quoted(admin)}" in place.refused(admin)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Extension(name="no such"), "has no extension 'no such'"),
        (Extension(name="vector", schema="other"), "is in the schema 'public', and not in 'other'"),
    ],
)
def test_an_extension_that_can_not_be_had_is_refused(
    place: Place, asked: Extension, said: str
) -> None:
    """Before anything runs, with the key to change."""
    place.run(f"CREATE DATABASE {_quoted(place.tag)} TEMPLATE template0")
    place.run("CREATE EXTENSION vector", database=place.tag)
    other = replace(place, wanted=replace(place.wanted, extensions=(asked,)))

    assert said in other.refused()
    assert "groundwork:extensions" in other.refused()


def test_an_admin_without_rights_hears_which_are_missing(place: Place) -> None:
    """CREATEROLE and CREATEDB, each where it is needed."""
    admin = place.admin("NOCREATEROLE NOCREATEDB")

    refused = place.refused(admin)

    assert "has no CREATEROLE" in refused
    assert "has no CREATEDB" in refused


def test_the_extension_is_refused_to_an_admin_who_can_not_install_it(place: Place) -> None:
    """Until a superuser has installed it, wherever; then its schema is known."""
    admin, owner = place.admin(), place.wanted.roles["owner"]
    assert "have CREATE EXTENSION vector run" in place.refused(admin)

    place.run(
        f"CREATE ROLE {_quoted(owner)}",
        f"GRANT {_quoted(owner)} TO {_quoted(admin)} WITH ADMIN OPTION",
        f"CREATE DATABASE {_quoted(place.tag)} OWNER {_quoted(owner)} TEMPLATE template0",
    )
    place.run("CREATE EXTENSION vector", database=place.tag)

    assert place.refused(admin) == ""
    found = place.look(admin).database
    assert found is not None
    assert [(each.name, each.schema) for each in found.installed] == [("vector", "public")]
    place.run(
        "CREATE SCHEMA theirs", "ALTER EXTENSION vector SET SCHEMA theirs", database=place.tag
    )
    assert "GRANT USAGE ON SCHEMA" in place.refused(admin)
    assert place.refused() == ""


def test_a_missing_extension_is_told(place: Place) -> None:
    """By its absence from what the server offers."""
    seen = replace(place.look(), available=())

    (said,) = refusals(seen, place.wanted, Known(), adopt=False)

    assert "no extension 'vector'" in said
    assert "groundwork:extensions" in said
    none = replace(place.wanted, extensions=())
    assert refusals(seen, none, Known(), adopt=False) == []


def test_the_admin_is_none_of_the_stacks_roles(place: Place) -> None:
    """It would lose its own login."""
    admin = place.admin()
    wanted = replace(place.wanted, roles={**place.wanted.roles, "owner": admin})

    said = "\n".join(
        refusals(replace(place, wanted=wanted).look(admin), wanted, Known(), adopt=True)
    )

    assert "is the admin itself" in said


def test_an_auditor_takes_an_admin_who_may_lend_it_what_it_reads(place: Place) -> None:
    """A superuser may; an admin without the option hears of both ways out."""
    wanted = replace(place.wanted, roles={**place.wanted.roles, "auditor": f"eye {place.tag}"})
    other = replace(place, wanted=wanted)

    assert other.refused() == ""
    admin = place.admin()
    assert "GRANT pg_read_all_data TO" in other.refused(admin)
    place.run(f"GRANT pg_read_all_data TO {_quoted(admin)} WITH ADMIN OPTION")
    assert "pg_read_all_data" not in other.refused(admin)
