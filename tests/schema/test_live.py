"""Reading a database: what it has, with which rights, and what is said where that fails."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from infra.schema import ledger, live
from infra.schema.errors import DatabaseMissingError, LiveError
from infra.schema.ledger import Run
from infra.schema.model import Catalog, Part, Script, Step
from tests.migrations.place import Place, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.schema.model import Live
    from tests.conftest import PostgresServer

_VERSIONS = "CREATE TABLE {} (version_num varchar(32) PRIMARY KEY)"
_SECRET = "se%cr@et"  # noqa: S105 - looked for in messages
_ESCAPED = "se%25cr%40et"


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A database of the test's own, reached as the superuser."""
    server = postgres_server
    login = {"host": server.host, "port": server.port, "user": server.user}
    main = Place(**login, password=server.password, database="postgres")  # type: ignore[arg-type] # as their names say
    name = f"live {os.urandom(4).hex()}"
    main.execute(f"CREATE DATABASE {quoted(name)} STRATEGY file_copy")
    yield replace(main, database=name)
    main.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")


@pytest.fixture
def reader(place: Place) -> Iterator[Place]:
    """The same database, reached by a role that may connect and nothing else."""
    name = f"reader {os.urandom(4).hex()}"
    place.execute(
        f"CREATE ROLE {quoted(name)} LOGIN PASSWORD 'reader'",
        f"ALTER ROLE {quoted(name)} SET default_transaction_read_only = on",
    )
    yield place.as_user(name, "reader")
    place.execute(f"DROP OWNED BY {quoted(name)}", f"DROP ROLE {quoted(name)}")


def _read(place: Place, **options: Any) -> Live:
    return live.read(f"{place.url}?sslmode=disable", **options)


def _remember(place: Place, *events: str) -> None:
    place.execute(ledger.CREATE, *events)


_RUN = Run(
    key="public.alembic_version", id="0" * 31 + "1", stack="dev", commit="abc", plan="digest"
)
_UNDO = Script(parts=(Part(statements=('DROP TABLE "it\'s" -- 🐘',)),))


def _step(revision: str, *, direction: Any = "up", needs: tuple[str, ...] = ()) -> Step:
    return Step(
        revision=revision,
        direction=direction,
        message='it\'s "new" 🐘',
        script=_UNDO if direction == "down" else Script(),
        before=needs,
        after=(revision,),
        file=f"{revision}.py",
        sha256="f" * 64,
        needs=needs,
        undo=_UNDO,
    )


def test_an_empty_database_has_nothing(place: Place) -> None:
    """It says who and where it is, and that there is no version table."""
    found = _read(place)

    assert (found.heads, found.versioned, found.applied, found.recorded) == ((), False, {}, None)
    assert found.server // 10000 == 17
    assert found.cluster == str(place.value("SELECT system_identifier FROM pg_control_system()"))
    assert (found.database, found.schema, found.role) == (place.database, "public", place.user)
    assert found.catalog is not None
    assert "schema public" in found.catalog.objects


def test_heads_are_the_sorted_rows_of_the_version_table(place: Place) -> None:
    """In the order of their characters, whatever the database's own order is."""
    place.execute(_VERSIONS.format("alembic_version"))
    assert (_read(place).versioned, _read(place).heads) == (True, ())
    place.execute("INSERT INTO alembic_version VALUES ('b'), ('B'), ('a''c')")

    assert _read(place).heads == ("B", "a'c", "b")
    assert live.read(place.url, catalog=False).heads == ("B", "a'c", "b")


def test_names_may_be_odd(place: Place) -> None:
    """A version table of any name, in a schema of any name."""
    schema, table = 'o."d" 🐘', "we'ird %s"
    place.execute(
        f"CREATE SCHEMA {quoted(schema)}",
        _VERSIONS.format(f"{quoted(schema)}.{quoted(table)}"),
        f"INSERT INTO {quoted(schema)}.{quoted(table)} VALUES ('a')",  # noqa: S608 - names of the test
    )
    key = place.value(ledger.KEY, schema, table)
    _remember(place, ledger.event(replace(_RUN, key=key), _step("a")))
    found = _read(place, version_table=table, version_schema=schema)

    assert (found.heads, [*found.applied]) == (("a",), ["a"])
    assert found.schema == "public"
    assert found.catalog is not None
    assert not any("we'ird" in name for name in found.catalog.objects)


def test_a_version_table_further_down_the_search_path_is_somebody_elses(place: Place) -> None:
    """The first schema of the path counts, as for Alembic when it makes the table."""
    place.execute(
        "CREATE SCHEMA mine",
        _VERSIONS.format("public.alembic_version"),
        "INSERT INTO public.alembic_version VALUES ('theirs')",
        f"ALTER DATABASE {quoted(place.database)} SET search_path = missing, mine, public",
    )
    found = _read(place)

    assert (found.schema, found.versioned, found.heads) == ("mine", False, ())


def test_a_search_path_that_leads_nowhere_is_no_failure(place: Place) -> None:
    """There is no schema, so there is nothing in it."""
    place.execute(f"ALTER DATABASE {quoted(place.database)} SET search_path = missing")
    found = _read(place)

    assert (found.schema, found.versioned, found.heads) == ("", False, ())


def test_a_table_that_is_not_alembics_is_not_read(place: Place) -> None:
    """It is named, with what to do."""
    place.execute("CREATE TABLE alembic_version (id integer)")

    with pytest.raises(LiveError, match=r'"public"\."alembic_version".* no column version_num'):
        _read(place)


def test_the_last_event_of_each_revision_says_whether_it_is_there(place: Place) -> None:
    """Applied, stamped, or interrupted in either direction: there; taken back: not."""
    _remember(
        place,
        ledger.event(_RUN, _step("applied", needs=("a", "b"))),
        ledger.event(_RUN, _step("stamped"), direction="stamp"),
        ledger.event(_RUN, _step("gone")),
        ledger.event(_RUN, _step("gone", direction="down")),
        ledger.event(_RUN, _step("back")),
        ledger.event(_RUN, _step("back", direction="down")),
        ledger.event(_RUN, _step("back")),
        ledger.event(_RUN, _step("half up"), state="begun"),
        ledger.event(_RUN, _step("half down")),
        ledger.event(_RUN, _step("half down", direction="down"), state="begun"),
        ledger.event(replace(_RUN, key="public.other"), _step("of others")),
    )
    found = _read(place).applied

    assert {name: entry.finished for name, entry in found.items()} == {
        "applied": True,
        "stamped": True,
        "back": True,
        "half up": False,
        "half down": False,
    }
    entry = found["applied"]
    assert (entry.message, entry.sha256, entry.needs) == (_step("x").message, "f" * 64, ("a", "b"))
    assert (entry.downgrade, entry.commit, entry.stack) == (_UNDO, "abc", "dev")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.at)


def test_a_recorded_catalog_comes_back_as_it_was(place: Place) -> None:
    """With the heads that it was recorded at; without a catalog asked for, it isn't fetched."""
    place.execute('CREATE TABLE "it\'s 🐘" ("a\\b" text DEFAULT E\'\\t"\')')
    catalog = _read(place).catalog
    assert catalog is not None
    _remember(place, ledger.record(_RUN.key, ("a", "b"), catalog))
    found = _read(place)

    assert (found.recorded, found.recorded_heads) == (catalog, ("a", "b"))
    assert found.catalog == catalog
    less = _read(place, catalog=False)
    assert (less.recorded, less.recorded_heads, less.catalog) == (None, (), None)


def test_a_recorded_catalog_of_another_format_is_given_as_it_is(place: Place) -> None:
    """Whether it can be compared is not for the reader to say."""
    _remember(place, ledger.record(_RUN.key, (), Catalog(format=0, objects={"x": "y"})))

    assert _read(place).recorded == Catalog(format=0, objects={"x": "y"})


def test_read_rights_are_enough_and_a_missing_one_is_named(place: Place, reader: Place) -> None:
    """What the message says to run is what is needed, and no more."""
    place.execute(
        "CREATE SCHEMA app",
        _VERSIONS.format("app.alembic_version"),
        "INSERT INTO app.alembic_version VALUES ('a')",
        "CREATE TABLE app.t (id integer)",
        "CREATE FUNCTION app.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    )
    run = replace(_RUN, key="app.alembic_version")
    _remember(
        place,
        ledger.event(run, _step("a")),
        ledger.record(run.key, (), Catalog(format=1, objects={})),
    )
    with pytest.raises(LiveError, match="may not read what it must") as caught:
        _read(reader, version_schema="app")
    grants = re.findall(r"GRANT [^;]+;", str(caught.value))
    place.execute(*grants)
    found = _read(reader, version_schema="app")

    assert len(grants) == 5
    assert (found.heads, [*found.applied], found.role) == (("a",), ["a"], reader.user)
    assert found.catalog == _read(place, version_schema="app").catalog
    assert found.catalog is not None
    assert "table app.t" in found.catalog.objects


def test_a_server_that_hides_its_identity_is_read_without(place: Place, reader: Place) -> None:
    """Managed servers may not let everybody ask for it."""
    place.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")

    assert _read(reader).cluster == ""
    assert _read(place).cluster != ""


def test_a_read_leaves_nothing_behind(place: Place) -> None:
    """The connection is closed; where it is the caller's, so is the transaction."""
    _read(place)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"

    assert _eventually(lambda: place.value(others, place.database) == 0)


def _eventually(true: Callable[[], bool]) -> bool:
    for _ in range(100):
        if true():
            return True
        threading.Event().wait(0.05)
    return False


def test_a_callers_transaction_is_read_in_and_kept(place: Place) -> None:
    """It sees what that has not committed yet, and neither ends nor breaks it."""

    async def work() -> None:
        connection = await asyncpg.connect(place.url)
        try:
            async with connection.transaction():
                await connection.execute(_VERSIONS.format("alembic_version"))
                await connection.execute("INSERT INTO alembic_version VALUES ('new')")
                found = await live.read_on(connection)
                assert found.heads == ("new",)
                await connection.execute("CREATE TABLE kept (id integer)")
            outside = await live.read_on(connection)
            assert not connection.is_in_transaction()
            assert outside.catalog is not None
            assert "table public.kept" in outside.catalog.objects
        finally:
            await connection.close()

    asyncio.run(work())


def test_a_locked_version_table_is_not_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the lock_timeout it is said that somebody holds it."""
    monkeypatch.setattr(live, "_BEGIN", live._BEGIN.replace("'5s'", "'50ms'"))  # noqa: SLF001 - waits 5 s otherwise
    place.execute(_VERSIONS.format("alembic_version"))

    async def work() -> None:
        connection = await asyncpg.connect(place.url)
        try:
            await connection.execute("BEGIN; LOCK TABLE alembic_version")
            with pytest.raises(LiveError, match="another session has locked"):
                await asyncio.to_thread(_read, place)
        finally:
            await connection.close()

    asyncio.run(work())


def test_a_schema_that_is_being_changed_is_read_all_the_same(place: Place) -> None:
    """PostgreSQL can't word what goes away meanwhile; the next try finds it gone."""
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            place.execute(
                "CREATE TABLE t (id serial PRIMARY KEY, a text CHECK (a IN ('x', 'y')));"
                "CREATE VIEW v AS SELECT a FROM t; CREATE INDEX ON t (a)",
                "DROP TABLE t CASCADE",
            )

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(15):
            assert _read(place).catalog is not None
    finally:
        done.set()
        changer.join()


# What a server of PostgreSQL's protocol says, message by message.
def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _error(sqlstate: str, text: str) -> bytes:
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": text}
    body = b"".join(f"{key}{value}".encode() + b"\0" for key, value in fields.items())
    return _message(b"E", body + b"\0")


def _welcome(version: str) -> bytes:
    return b"".join(
        (
            _message(b"R", struct.pack("!i", 0)),
            _message(b"S", f"server_version\0{version}\0".encode()),
            _message(b"S", b"client_encoding\0UTF8\0"),
            _message(b"K", struct.pack("!ii", 1, 1)),
            _message(b"Z", b"I"),
        )
    )


@contextmanager
def _answering(answer: bytes, *, stay: bool = False) -> Iterator[int]:
    """Listen, and answer whatever is said with the same bytes; hang up then, or stay silent."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(answer)
                done.wait(30 if stay else 0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak as PostgreSQL does"),
        (b"", "does not speak as PostgreSQL does"),
        (_welcome("12.22"), "is PostgreSQL 12; 14 or later is needed"),
        (_welcome("9.6.24"), "is PostgreSQL 9; 14 or later is needed"),
        (_error("57P03", "the database system is starting up"), "is not ready: the database"),
        (_error("53300", "sorry, too many clients already"), "has no connection left: sorry"),
        (_error("28000", "no pg_hba.conf entry"), "refuses the login: no pg_hba.conf entry"),
    ],
)
def test_what_answers_is_told(answer: bytes, said: str) -> None:
    """No PostgreSQL, one that is too old, one that is not ready."""
    with (
        _answering(answer) as port,
        pytest.raises(LiveError, match=re.escape(said)) as caught,
    ):
        live.read(f"postgresql://u:{_ESCAPED}@127.0.0.1:{port}/d?sslmode=disable")

    _clear(caught.value)


def test_silence_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a login and after one: whoever accepts and says nothing more is given up."""
    monkeypatch.setattr(live, "_SECONDS", 1.0)
    monkeypatch.setattr(live, "_CLOSE_SECONDS", 0.2)
    for answer in (b"", _welcome("17.4")):
        with (
            _answering(answer, stay=True) as port,
            pytest.raises(LiveError, match="has not answered within 1 s") as caught,
        ):
            live.read(f"postgresql://u:{_ESCAPED}@127.0.0.1:{port}/d?sslmode=disable")
        _clear(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:{secret}@127.0.0.1:1/d", "does not answer: Connection refused"),
        ("postgresql://u:{secret}@localhost:1/d", "does not answer: Connection refused"),
        ("postgresql://u:{secret}@127.0.0.1:1,127.0.0.1:2/d", "Connection refused"),
        ("postgresql://u:{secret}@no.such.host.invalid/d", "Nobody knows the host of no.such"),
        ("postgresql://u:{secret}@/d?host=/nowhere", "A file is missing on the way to /nowhere/d"),
        ("postgresql://u:{secret}@h:port/d", "can't be read"),
        ("postgresql://u:{secret}@" + "h" * 70 + ".x/d", "can't be read"),
        ("postgresql://u:{secret}@[::1/d", "can't be read"),
        ("postgresql://u:12/cr@et@h/d", "can't be read"),
        ("postgresql://u:12?cr@et@h/d", "can't be read"),
        ("postgresql://u:12#cr@et@h/d", "can't be read"),
        ("postgresql://u:cr@et@h/d", "can't be read"),
        ("postgresql://u:{secret}@127.0.0.1/d?sslmode=maybe", "can't be used: `sslmode`"),
        ("postgresql://u:{secret}@127.0.0.1/d?sslmode=verify-full&sslrootcert=/no", "a TLS option"),
        ("mysql://u:{secret}@127.0.0.1/d", "can't be read"),
        ("", "can't be read"),
    ],
)
def test_a_server_that_is_not_reached_is_told(url: str, said: str) -> None:
    """One message each, with the place and the reason."""
    with pytest.raises(LiveError, match=re.escape(said)) as caught:
        live.read(url.format(secret=_ESCAPED))

    _clear(caught.value)


def test_a_login_that_is_refused_is_told(place: Place, reader: Place) -> None:
    """Password, database, its connections, the right to connect, TLS."""
    base = f"{reader.host}:{reader.port}/{place.database.replace(' ', '%20')}"
    login = f"postgresql://{reader.user.replace(' ', '%20')}"
    right = f"{login}:reader@{base}?sslmode=disable"
    name, role = quoted(place.database), quoted(reader.user)
    cases = {
        "password authentication failed": ("SELECT 1", f"{login}:{_ESCAPED}@{base}", "SELECT 1"),
        "offers no TLS": ("SELECT 1", f"{login}:reader@{base}?sslmode=require", "SELECT 1"),
        "has no connection left: too many": (
            f"ALTER ROLE {role} CONNECTION LIMIT 0",
            right,
            f"ALTER ROLE {role} CONNECTION LIMIT -1",
        ),
        "GRANT CONNECT": (
            f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
            right,
            f"GRANT CONNECT ON DATABASE {name} TO PUBLIC",
        ),
    }
    for said, (before, url, after) in cases.items():
        place.execute(before)
        with pytest.raises(LiveError, match=re.escape(said)) as caught:
            live.read(url)
        _clear(caught.value)
        assert not isinstance(caught.value, DatabaseMissingError)
        place.execute(after)
    assert live.read(right, catalog=False).heads == ()
    with pytest.raises(DatabaseMissingError, match='"live nowhere" does not exist'):
        live.read(right.replace(place.database.replace(" ", "%20"), "live%20nowhere"))


def test_options_of_libpq_are_understood(place: Place) -> None:
    """A URL that psql takes is taken here, and one for SQLAlchemy too."""
    tail = "sslmode=disable&connect_timeout=5&keepalives=1&application_name=x"

    assert (
        live.read(f"{place.url}?{tail}&options=-c%20search_path%3Dpublic", catalog=False).heads
        == ()
    )
    assert (
        live.read(place.url.replace("postgresql:", "postgresql+asyncpg:"), catalog=False).heads
        == ()
    )


def _clear(error: LiveError) -> None:
    """Check what holds for every message."""
    text = str(error)
    assert "Nothing was changed" in text
    assert "\n" not in text
    assert "cr@et" not in text
    assert "cr%40et" not in text
