"""What is missing on a server of what a state has: found, and made again, on a real one."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from infra.database import lost_objects, recorded_grants
from infra.database.recorded_grants import Own
from infra.schema import ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer


class Place:
    """A database with two roles, as a state has them; what was made goes at the end.

    Attributes:
        objects: What the state has.
        owner: The owner's name.
        readers: The group's name.
        database: The database's name.
    """

    def __init__(self, server: PostgresServer) -> None:
        """Make it, with names that need quotes."""
        tag = f'the "{uuid.uuid4().hex[:6]}" 📚'
        self._server = server
        self.owner, self.readers, self.database = f"owner {tag}", f"readers {tag}", f"data {tag}"
        inside = {"database": self.database}
        future = {**inside, "owner": self.owner}
        self.objects: list[dict[str, Any]] = [
            {"kind": "Role", "name": self.owner, "connectionLimit": -1.0, "inherit": True},
            {"kind": "Role", "name": self.readers, "login": True, "password": "it's"},
            {"kind": "Database", "name": self.database, "owner": self.owner},
            {"kind": "Schema", "name": "app", "owner": self.owner, **inside},
            {"kind": "Extension", "name": "vector", "schema": "app", **inside},
            self._grant("database", "public", []),
            self._grant("database", self.readers, ["CONNECT"]),
            self._grant("schema", self.readers, ["USAGE"], schema="app"),
            self._default("table", self.readers, ["SELECT"], schema="app", **future),
            self._default("sequence", self.readers, ["SELECT", "USAGE"], schema="app", **future),
            self._default("function", "public", [], **future),
        ]
        del self.objects[-1]["privileges"]  # as the genuine plugin may leave an empty list out
        self.restore()

    def _grant(self, kind: str, role: str, privileges: list[str], **more: str) -> dict[str, Any]:
        place = {"database": self.database, "objectType": kind}
        return {"kind": "Grant", "role": role, "privileges": privileges, **place, **more}

    def _default(self, kind: str, role: str, privileges: list[str], **more: str) -> dict[str, Any]:
        held = {"role": role, "privileges": privileges}
        return {"kind": "DefaultPrivileges", "objectType": kind, **held, **more}

    @property
    def _admin(self) -> dict[str, Any]:
        server = self._server
        login = {"host": server.host, "port": server.port, "user": server.user}
        tls = {"sslmode": "disable", "sslrootcert": "", "sslcert": "", "sslkey": ""}
        return {**login, **tls, "password": server.password, "maintenance": "postgres"}

    def find(self) -> list[str]:
        """Name what is missing."""
        return asyncio.run(lost_objects.find(self._admin, self.objects))

    def restore(self) -> None:
        """Make it again."""
        asyncio.run(lost_objects.restore(self._admin, self.objects))

    def run(self, *statements: str, database: str = "") -> list[tuple[Any, ...]]:
        """Run statements, in the place's database unless told otherwise; gives the last's rows."""

        async def run(connection: Any) -> list[tuple[Any, ...]]:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(statements[-1])]

        rows: list[tuple[Any, ...]] = self.session(run, database)
        return rows

    def session(self, work: Any, database: str = "") -> Any:
        """Do something in a session of the superuser."""

        async def do() -> Any:
            url = self._server.url(user=self._server.user, database=database or self.database)
            connection = await asyncpg.connect(url)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(do())

    def named(self, sql: str) -> str:
        """Put the names, quoted, into SQL with {owner}, {readers} and {database}."""
        names = {"owner": self.owner, "readers": self.readers, "database": self.database}
        names["stranger"] = "pg_monitor"
        return sql.format(
            **{key: '"' + name.replace('"', '""') + '"' for key, name in names.items()}
        )

    def drop(self) -> None:
        """Leave nothing."""
        self.run(
            self.named("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            self.named("DROP ROLE IF EXISTS {readers}"),
            self.named("DROP ROLE IF EXISTS {owner}"),
            "SELECT 1",
            database="postgres",
        )


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """One of those."""
    made = Place(postgres_server)
    yield made
    made.drop()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("REVOKE CONNECT ON DATABASE {database} FROM {readers}", "may do in database"),
        ("GRANT CONNECT ON DATABASE {database} TO PUBLIC", "what 'public' may do in database"),
        ("GRANT CREATE ON SCHEMA app TO {readers}", "may do in schema 'app'"),
        ("DROP EXTENSION vector", "the extension 'vector'"),
        ("DROP SCHEMA app CASCADE", "the schema 'app'"),
        (
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA app REVOKE SELECT ON TABLES"
                " FROM {readers}"
            ),
            "each new table",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
            "what 'public' may do with each new function",
        ),
    ],
)
def test_what_was_changed_is_named_and_put_right(place: Place, sql: str, said: str) -> None:
    """One by one; before and after, nothing is missing."""
    assert place.find() == []
    place.run(place.named(sql), "SELECT 1")

    assert any(said in each for each in place.find())
    place.restore()

    assert place.find() == []


def test_a_dropped_database_is_made_with_all_inside(place: Place) -> None:
    """Its owner, schema, extension and privileges."""
    place.run(place.named("DROP DATABASE {database}"), "SELECT 1", database="postgres")
    assert place.find() == [f"the database {place.database!r}"]

    place.restore()

    assert place.find() == []
    owner = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'app'"
    assert place.run(owner) == [(place.owner,)]


def test_a_dropped_role_has_its_privileges_on_objects_again(place: Place) -> None:
    """From the ledger; on identity columns and Alembic's table by default privileges."""
    place.run(
        place.named("SET ROLE {owner}"),
        "CREATE TABLE app.shown (id int GENERATED ALWAYS AS IDENTITY, note text)",
        "CREATE TABLE app.hidden (id int)",
        place.named("REVOKE ALL ON app.hidden FROM {readers}"),
        place.named("GRANT UPDATE (note) ON app.shown TO {readers} WITH GRANT OPTION"),
        "CREATE TABLE app.alembic_version"
        " (version_num text CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        "RESET ROLE",
        ledger.CREATE,
        "SELECT 1",
    )
    recorded = {
        place.named("grant app.shown to {readers}"): "SELECT",
        place.named("grant app.shown.note to {readers}"): "UPDATE WITH GRANT OPTION",
        place.named("grant app.hidden to {readers}"): "nothing",
        "grant app.shown to somebody_else": "SELECT",
    }

    async def record(connection: Any) -> None:
        import json

        await connection.execute(
            "INSERT INTO schema_ledger.catalogs (version_table, heads, format, objects)"
            " VALUES ('app.alembic_version', '{}', 1, $1::jsonb)",
            json.dumps(recorded),
        )

    place.session(record)
    may = place.named(
        "SELECT has_table_privilege(r, 'app.shown', 'SELECT'),"
        " has_column_privilege(r, 'app.shown', 'note', 'UPDATE WITH GRANT OPTION'),"
        " has_table_privilege(r, 'app.hidden', 'SELECT'),"
        " has_sequence_privilege(r, 'app.shown_id_seq', 'USAGE'),"
        " has_table_privilege(r, 'app.alembic_version', 'SELECT')"
        " FROM (SELECT oid FROM pg_roles WHERE rolname LIKE 'readers %') each (r)"
    )
    before = place.run(may)
    place.run(
        place.named("DROP OWNED BY {readers}"), place.named("DROP ROLE {readers}"), "SELECT 1"
    )
    assert f"the role {place.readers!r}" in place.find()

    place.restore()

    assert place.run(may) == before == [(True, True, False, True, True)]
    assert place.find() == []


def test_no_group_writes_alembics_table(place: Place) -> None:
    """As a former version let it; reading stays, and so does what somebody else was given."""
    place.run(
        "CREATE TABLE app.versions (version_num text CONSTRAINT versions_pkc PRIMARY KEY)",
        place.named("GRANT SELECT, INSERT, UPDATE, DELETE ON app.versions TO {readers}"),
        place.named("GRANT INSERT ON app.versions TO {stranger}"),
        "SELECT 1",
    )
    assert "may do with app.versions" in place.find()[0]

    place.restore()

    assert place.find() == []
    held = "SELECT DISTINCT privilege_type FROM pg_class, aclexplode(relacl) WHERE grantee <>"
    held += " relowner AND relname = 'versions' AND grantee::regrole::text LIKE '%readers%'"
    assert place.run(held) == [("SELECT",)]
    assert place.run(held.replace("readers", "pg_monitor")) == [("INSERT",)]


_OWN = Own(
    owner="o", groups={"g": {"table": ["SELECT", "INSERT"], "function": ["EXECUTE"]}}, logins=["l"]
)


@pytest.mark.parametrize(
    ("name", "now", "own"),
    [
        ("grant app.t to g", "INSERT, SELECT", True),
        ("grant app.t to g", "SELECT", False),
        ("grant app.t to g", None, False),
        ("grant function app.f(integer) to g", "EXECUTE", True),
        ("grant schema app to g", "USAGE", True),
        ("grant schema app to g", "CREATE, USAGE", False),
        ("grant app.t to l", None, True),
        ("grant app.t to l", "SELECT", False),
        ("grant app.t to stranger", "SELECT", False),
        ("grant schema public to PUBLIC", None, True),
        ("grant app.t to PUBLIC", None, False),
        ("default privileges in app on tables to g", "INSERT, SELECT", True),
        ("default privileges on functions to o", "EXECUTE", True),
        ("default privileges in app on tables to l", None, True),
        ("table app.t", "anything", False),
    ],
)
def test_what_the_program_does_itself_is_told_from_what_others_do(
    name: str,
    now: str | None,
    own: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Exactly what it gives a group, and what it takes from a login."""
    assert _OWN.made(name, now) is own


def test_what_the_program_changed_itself_is_recorded(place: Place) -> None:
    """And nothing else."""
    place.run(
        ledger.CREATE,
        place.named("SET ROLE {owner}"),
        "CREATE TABLE app.alembic_version (version_num text)",
        "CREATE TABLE app.strange (id int)",
        place.named("GRANT DELETE ON app.strange TO {readers}"),
        "CREATE TABLE app.kept (id int)",
        "RESET ROLE",
        "INSERT INTO schema_ledger.catalogs (version_table, heads, format, objects)"
        " VALUES ('app.alembic_version', '{}', 1, '{}')",
        # As a run has noted it that came before.
        place.named(
            "UPDATE schema_ledger.catalogs SET unaccepted = jsonb_build_object('grant app.kept to"
            " {readers}', '{{}}'::jsonb, 'grant app.strange to {readers}', '{{}}'::jsonb)"
        ),
        "SELECT 1",
    )
    own = Own(owner=place.owner, groups={place.readers: {"table": ["SELECT"]}}, logins=[])

    number = place.session(lambda connection: recorded_grants.absorb(connection, own))

    ((objects,),) = place.run(
        "SELECT array_agg(k) FROM schema_ledger.catalogs, jsonb_object_keys(objects) k"
    )
    assert place.named("grant app.kept to {readers}") in objects
    assert place.named("default privileges in app on tables to {readers}") in objects
    assert place.named("grant app.strange to {readers}") not in objects
    assert "table app.kept" not in objects
    noted = "SELECT array_agg(k) FROM schema_ledger.catalogs, jsonb_object_keys(unaccepted) k"
    assert place.run(noted) == [([place.named("grant app.strange to {readers}")],)]
    assert number == len(objects)
