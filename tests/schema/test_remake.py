"""A live database remade on a throwaway server: alike in everything but its rows."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import apply, history, live, plan
from infra.schema.errors import RehearsalError
from infra.schema.model import Live, Policy
from infra.schema.rehearsing import dumping, remake, surroundings
from infra.servers import ports
from infra.servers.local.binaries import Binaries
from infra.servers.throwaway import throwaway
from tests.migrations.place import MIGRATIONS, Place, quoted
from tests.schema.applying import database, revision, script
from tests.schema.remaking import NOTHING, admin, at, copy, stack, zoo
from tests.servers.front import Authority, Front

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import History
    from infra.servers.throwaway import Throwaway
    from tests.conftest import PostgresServer

pytestmark = pytest.mark.long  # two servers each

_WRITES = re.compile(
    r"(?:statement|execute [^:]*): \W*(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|CREATE|ALTER|DROP"
    r"|GRANT|REVOKE|COMMENT|VACUUM|ANALYZE|REINDEX|REFRESH|CLUSTER|SELECT .*nextval)",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def files() -> History:
    """The project's own migrations."""
    return history.read(MIGRATIONS)


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """An empty live database, for its superuser."""
    with database(postgres_server) as made:
        yield made


def test_a_stack_s_database_is_remade_as_it_is(
    postgres_server: PostgresServer, target: Throwaway, files: History
) -> None:
    """Roles, their settings, the extension's schema, privileges, revision: nothing is missing."""
    with stack(postgres_server) as place:
        url = f"{place.url}?sslmode=disable"
        made = plan.make(files, live.read_for(files, url), Policy())
        apply.run(made, files, apply.Terms(url=url, folder=MIGRATIONS))
        there = live.read_for(files, url)
        remade = copy(target, place, files)

        here = live.read_for(files, remade.url)
        assert remade.notes == ()
        assert remade.base == "the live schema, without its rows"
        assert here.catalog == there.catalog
        assert (here.heads, here.role, here.search_path) == (
            there.heads,
            there.role,
            there.search_path,
        )
        # What is made later is as it would be there, too.
        new = (
            "CREATE TABLE more (id int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        )
        rights = "SELECT relacl::text FROM pg_class WHERE relname = 'more' UNION ALL"
        rights += " SELECT proacl::text FROM pg_proc WHERE proname = 'f'"
        for each in (place, at(remade.url)):
            each.execute(new)
        assert at(remade.url).fetch(rights) == place.fetch(rights)
        settings = "SHOW lock_timeout"
        assert at(remade.url).value(settings) == place.value(settings) == "7s"
        acl = "SELECT datacl::text FROM pg_database WHERE datname = current_database()"
        assert at(remade.url).value(acl) == place.value(acl)


def test_one_of_everything_is_remade(postgres_server: PostgresServer, target: Throwaway) -> None:
    """Every kind of object comes along as it was defined, and no row does."""
    with zoo(postgres_server) as place:
        remade = copy(target, place)

        assert remade.notes == ()
        assert at(remade.url).value("SELECT count(*) FROM quick") == 0
        # Beyond what a catalog holds: the test's own list of all that there is.
        assert at(remade.admin).catalog() == place.catalog()


def test_materialized_views_are_filled_where_the_live_ones_are(
    target: Throwaway, place: Place
) -> None:
    """One without its rows could not be refreshed CONCURRENTLY, nor read."""
    place.execute(
        "CREATE MATERIALIZED VIEW first AS SELECT 1 AS id",
        "CREATE VIEW between AS SELECT * FROM first",
        "CREATE MATERIALIZED VIEW second AS SELECT * FROM between",
        "CREATE UNIQUE INDEX ON second (id)",
        "CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS id WITH NO DATA",
        "CREATE TABLE counted AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW odd AS SELECT 1 / count(*) AS share FROM counted",
    )
    remade = copy(target, place)

    there = at(remade.admin)
    there.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY second")
    filled = "SELECT matviewname::text FROM pg_matviews WHERE ispopulated ORDER BY 1"
    assert there.fetch(filled) == [("first",), ("second",)]
    assert remade.notes == ("not remade: rows of materialized view public.odd: division by zero",)


def test_drift_and_other_owners_are_remade(
    postgres_server: PostgresServer, target: Throwaway, files: History
) -> None:
    """What somebody else made by hand among the tables is there, and is theirs."""
    with stack(postgres_server) as place:
        boss = admin(place, postgres_server)
        boss.execute("CREATE TABLE app.by_hand (id int)")
        boss.execute("GRANT SELECT ON app.by_hand TO PUBLIC")
        remade = copy(target, place, files)

        owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'by_hand'"
        assert remade.notes == ()
        assert at(remade.admin).value(owner) == postgres_server.user


def test_other_people_s_schemas_are_left_out(
    postgres_server: PostgresServer, target: Throwaway, files: History
) -> None:
    """A schema that isn't the project's is there by its name; what needs its tables is noted."""
    with stack(postgres_server) as place:
        boss = admin(place, postgres_server)
        boss.execute(
            'CREATE SCHEMA "the\\irs 1"',
            'CREATE TABLE "the\\irs 1".secret (id int PRIMARY KEY)',
            'CREATE TABLE app.link (id int REFERENCES "the\\irs 1".secret)',
            "GRANT SELECT ON app.link TO PUBLIC",
        )
        remade = copy(target, place, files)

        names = at(remade.admin).fetch("SELECT nspname::text FROM pg_namespace ORDER BY 1")
        tables = at(remade.admin).fetch("SELECT tablename::text FROM pg_tables ORDER BY 1")
        assert "the\\irs 1" in [name for (name,) in names]
        assert "secret" not in [name for (name,) in tables]
        assert any(
            "link_id_fkey" in note and note.startswith("not remade") for note in remade.notes
        )


def test_a_table_that_may_not_be_read_is_noted(
    postgres_server: PostgresServer, target: Throwaway, files: History
) -> None:
    """The role can't lock it, as pg_dump must: it is left out, and the others are there."""
    with stack(postgres_server) as place:
        place.execute("CREATE TABLE app.mine (id int)")
        admin(place, postgres_server).execute('CREATE TABLE app."not $mine" (id int)')
        remade = copy(target, place, files)

        tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'app'"
        assert [name for (name,) in at(remade.admin).fetch(tables)] == ["mine"]
        assert any("not $mine: " in note and "may not read it" in note for note in remade.notes)


def test_the_live_server_is_only_read(
    postgres_server: PostgresServer,
    target: Throwaway,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its log shows no statement that changes or copies; no password is on any command line."""
    seen: list[tuple[str, ...]] = []
    run = asyncio.create_subprocess_exec

    async def watched(*command: str, **options: Any) -> Any:
        seen.append(command)
        return await run(*command, **options)

    monkeypatch.setattr("asyncio.create_subprocess_exec", watched)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = set(scratch.iterdir())
    with zoo(postgres_server) as place:
        place.execute(f"ALTER DATABASE {quoted(place.database)} SET log_statement = 'all'")
        log = Path(place.value("SHOW data_directory")) / "server.log"
        begin = log.stat().st_size
        copy(target, place, generate=5)
        said = log.read_bytes()[begin:].decode()

    assert "REPEATABLE READ, READ ONLY" in said  # pg_dump's
    assert "LOCK TABLE" in said
    assert not _WRITES.findall(said)
    assert {Path(command[0]).name for command in seen} == {"pg_dump", "pg_restore"}
    for secret in (postgres_server.password, target.password):
        assert not any(secret in word for command in seen for word in command)
    assert set(scratch.iterdir()) == before


def test_pg_dump_goes_where_asyncpg_went(
    postgres_server: PostgresServer, target: Throwaway, place: Place, tmp_path: Path
) -> None:
    """Through TLS with a client's certificate, past a host that is down."""
    place.execute("CREATE TABLE t (id int)")
    authority = Authority(tmp_path)
    context = authority.context("localhost", clients=True)
    front = Front(postgres_server.host, postgres_server.port, context)
    try:
        login = place.url.partition("@")[0]
        hosts = f"localhost:{ports.find_free()},localhost:{front.port}"
        options = f"sslmode=verify-full&sslrootcert={authority.file}&sslcert={authority.client}"
        url = f"{login}@{hosts}/{place.url.rpartition('/')[2]}?{options}&sslkey={authority.client}"
        remade = copy(target, place, url=url)
        assert front.sessions >= 3  # reading, reading for the copy, and pg_dump
    finally:
        front.close()
    assert remade.notes == ()
    assert at(remade.url).fetch("SELECT FROM t") == []


def test_a_database_that_pg_dump_can_t_read_is_made_from_its_files(
    target: Throwaway, place: Place, tmp_path: Path
) -> None:
    """Without pg_dump the revisions up to the live head run instead, and a note says why."""
    revisions = (
        revision("a1", script("CREATE TABLE one (id int)")),
        revision("b2", script("CREATE TABLE two (id int)"), "a1"),
    )
    files = replace(NOTHING, revisions=revisions, heads=("b2",))
    first = plan.make(replace(files, heads=("a1",)), Live(), Policy())
    apply.run(first, files, apply.Terms(url=f"{place.url}?sslmode=disable", folder=tmp_path))
    without = replace(target, programs=Binaries(folder=tmp_path))
    remade = copy(without, place, files)

    tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    assert [name for (name,) in at(remade.url).fetch(tables)] == ["alembic_version", "one"]
    assert remade.base == "the schema that the files make up to the live revision, without rows"
    assert remade.notes[0].endswith("has no pg_dump. The files made it.")

    with pytest.raises(RehearsalError, match="have no revision a1") as caught:
        copy(without, place, replace(files, revisions=(), heads=()))
    assert "as it was" in str(caught.value)


def test_a_table_that_somebody_holds_is_not_waited_for(
    target: Throwaway, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind another's lock pg_dump gives up; with nothing to run, the files make nothing."""
    monkeypatch.setattr(dumping, "_LOCK_SECONDS", 1)
    place.execute("CREATE TABLE held (id int)")

    async def behind() -> Any:
        holder = await surroundings.connect(_as_server(place, target), place.database)
        try:
            await holder.execute("BEGIN; LOCK TABLE held")
            return await asyncio.to_thread(copy, target, place)
        finally:
            await holder.close()

    remade = asyncio.run(behind())
    assert "lock timeout" in remade.notes[0] or "canceling statement" in remade.notes[0]
    assert any("table public.held" in note for note in remade.notes)


def _as_server(place: Place, server: Throwaway) -> Throwaway:
    return replace(
        server, host=place.host, port=place.port, user=place.user, password=place.password
    )


def test_settings_of_the_database_do_not_stand_in_the_way(target: Throwaway, place: Place) -> None:
    """One that is read-only, for a role with no rights, is remade with all of its settings."""
    name = quoted(place.database)
    place.execute(
        "CREATE TABLE t (id int)",
        'CREATE SCHEMA "sp ace"',
        "DROP ROLE IF EXISTS nobody_much",
        "CREATE ROLE nobody_much",
        "GRANT SELECT ON t TO nobody_much",
        f"ALTER DATABASE {name} SET search_path = '', \"sp ace\", public",
        f"ALTER DATABASE {name} SET custom.word = 'back\\slash and ''quote'",
        f"ALTER DATABASE {name} SET role = nobody_much",
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
    )
    try:
        url = f"{place.url}?sslmode=disable&options=-c%20work_mem%3D9MB"
        remade = copy(target, place, url=url, generate=3)
        settings = (
            "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase"
        )
        settings += " WHERE datname = current_database()"
        assert remade.notes == ()
        assert at(remade.admin).fetch(settings) == place.fetch(settings)
        assert remade.generated == {"public.t": 3}
    finally:
        main = replace(place, database="postgres")
        main.execute(f"DROP DATABASE {name} WITH (FORCE)", "DROP ROLE nobody_much")
        main.execute(f"CREATE DATABASE {name}")  # for the fixture to drop


def test_an_extension_of_another_version_is_noted(target: Throwaway, place: Place) -> None:
    """What this machine has is taken, and named."""
    place.execute("CREATE EXTENSION vector")
    place.execute("UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'vector'")
    place.execute(
        "INSERT INTO pg_extension SELECT 9999999, 'post\"gis', extowner, extnamespace,"
        " false, '3', NULL, NULL FROM pg_extension WHERE extname = 'vector'"
    )
    notes = copy(target, place).notes
    assert any(each.startswith("not remade: extension vector 0.1: here it is 0.") for each in notes)
    assert 'not remade: extension post"gis: PostgreSQL on this machine lacks it' in notes


@pytest.mark.parametrize(
    "options",
    [
        "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'",
        "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C'",
    ],
)
def test_encoding_and_locale_are_the_same(target: Throwaway, place: Place, options: str) -> None:
    """Text sorts and is stored as there."""
    name = f"{place.database} too"
    place.execute(f"CREATE DATABASE {quoted(name)} TEMPLATE template0 {options}")
    try:
        other = replace(place, database=name)
        other.execute('CREATE TABLE "grün" (id text)')
        remade = copy(target, other)
        query = (
            "SELECT encoding, datlocprovider, datcollate, datctype, datlocale FROM pg_database"
            " WHERE datname = current_database()"
        )
        assert remade.notes == ()
        assert at(remade.url).fetch(query) == other.fetch(query)
    finally:
        place.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")


def test_a_locale_that_is_not_here_is_noted(
    target: Throwaway, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the database sorts by C.UTF-8."""
    _seeing(
        monkeypatch, lambda found: {**found.database, "datcollate": "xx_YY", "datlocprovider": "c"}
    )
    (note,) = copy(target, place).notes
    assert note.startswith("not remade: locale xx_YY: ")
    assert note.endswith("locale C.UTF-8 instead")


@pytest.mark.long
def test_an_ordinary_role_named_as_our_superuser_stays_ordinary(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a managed server `postgres` is none; the throwaway server's superuser gives way."""
    read = surroundings.read

    async def demoted(connection: Any) -> Any:
        found = await read(connection)
        return replace(found, roles=[{**role, "rolsuper": False} for role in found.roles])

    monkeypatch.setattr(surroundings, "read", demoted)
    with throwaway() as target, stack(postgres_server) as place:
        remade = copy(target, place)
        who = "SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres'"
        assert at(remade.admin).value(who) is False
        assert at(remade.admin).value("SHOW is_superuser") == "on"


def test_the_database_postgres_itself_can_be_remade(target: Throwaway, place: Place) -> None:
    """The one of that name on the throwaway server gives way."""
    remade = copy(target, replace(place, database="postgres"))
    assert at(remade.url).value("SELECT current_database()::text") == "postgres"
    assert remade.notes == ()


def test_without_a_live_database_there_is_an_empty_one(target: Throwaway) -> None:
    """It has pgvector where no revision makes it, and the version table's schema."""
    made = remake.empty(target, replace(NOTHING, version_schema="o dd"))
    query = "SELECT to_regtype('vector') IS NOT NULL, to_regnamespace('\"o dd\"') IS NOT NULL"
    assert [tuple(row) for row in at(made.url).fetch(query)] == [(True, True)]
    assert (made.base, made.rows, made.notes) == ("nothing", {}, ())


def _seeing(monkeypatch: pytest.MonkeyPatch, database: Any) -> None:
    read = surroundings.read

    async def changed(connection: Any) -> Any:
        found = await read(connection)
        return replace(found, database=database(found))

    monkeypatch.setattr(surroundings, "read", changed)
