"""Lint with a server: types, extensions, owners, and who reaches a new table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from infra.schema.errors import LiveError
from infra.schema.model import Live, Revision, Script
from tests.migrations.place import MIGRATIONS, Place, quoted
from tests.schema.applying import database, script
from tests.schema.linted import chain, found, look, rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.model import History
    from infra.schema.review import Finding
    from tests.conftest import PostgresServer

pytestmark = pytest.mark.long  # a database each

_SERVER = ("type-missing", "extension-missing", "extension-version-missing", "owner-unknown")
_PASSWORD = "pass"  # noqa: S105 - of a role on a throwaway server


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """An empty database."""
    with database(postgres_server) as made:
        yield made


def _of_server(files: History, place: Place) -> list[tuple[str, str]]:
    findings = found(look(files, place=place), *_SERVER)
    return [(each.rule, each.revision) for each in findings]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("CREATE TABLE t (a ltree)", "ltree"),
        ("SELECT 'a'::ltree[]", "ltree"),
        ('ALTER TABLE t ADD a "Odd ""💥 Type" NOT NULL', '"Odd ""💥 Type"'),
        ("CREATE FUNCTION f(a nowhere.thing) RETURNS int LANGUAGE sql AS 'SELECT 1'", "nowhere"),
        ("CREATE TABLE t (a int); CREATE TABLE u (a vector(3))", "vector"),
        ("CREATE DOMAIN d AS hstore", "hstore"),
    ],
)
def test_a_type_that_nobody_has_is_an_error(place: Place, sql: str, name: str) -> None:
    """In a column, a cast, an argument, a domain."""
    [finding] = found(look(chain(sql), place=place), "type-missing")

    assert (finding.level, name in finding.message) == ("error", True)


@pytest.mark.parametrize(
    "sql",
    [
        'CREATE TABLE t (a serial, b "char", c timestamptz[], d interval day, e regclass, f xml)',
        'CREATE TYPE "Odd 💥" AS ENUM (\'a\'); CREATE TABLE t (a "Odd 💥"[])',
        "CREATE TYPE r AS RANGE (subtype = float8); CREATE TABLE t (a r, b r_multirange)",
        "CREATE TABLE t (a int); CREATE TABLE u (a t); CREATE VIEW v AS SELECT 1; SELECT NULL::v",
        "CREATE TYPE a AS (b int); ALTER TYPE a RENAME TO c; CREATE TABLE t (a c)",
        "CREATE EXTENSION vector; CREATE TABLE t (a vector(3))",
        "DO $$ BEGIN CREATE TYPE Mood AS ENUM ('a'); END $$; CREATE TABLE t (a mood)",
        "DROP TYPE IF EXISTS gone; COMMENT ON TYPE gone IS 'x'",
        "CREATE TABLE t (a int) WITH (autovacuum_enabled = off, fillfactor = 70)",
        "CREATE AGGREGATE agg (int) (sfunc = int4pl, stype = int4)",
        "SET search_path TO far; CREATE TABLE t (a farthing)",
        "CREATE TABLE t (a far.farthing, b public.here)",
        "CREATE SCHEMA s CREATE TABLE t (a int); CREATE TABLE u (a s.t)",
        "CREATE FUNCTION f(VARIADIC anyarray) RETURNS trigger LANGUAGE plpgsql AS ''",
    ],
)
def test_a_type_that_is_there_or_made_passes(place: Place, sql: str) -> None:
    """PostgreSQL's own, the database's, those of earlier statements, and what may be made."""
    place.execute(
        "CREATE SCHEMA far; CREATE TYPE far.farthing AS (a int)", "CREATE DOMAIN here AS int"
    )

    assert _of_server(chain(sql), place) == []


def test_a_type_of_an_earlier_revision_passes_and_of_a_later_one_does_not(place: Place) -> None:
    """The order of the plan counts."""
    files = chain(
        "CREATE TABLE t (a mood)", "CREATE TYPE mood AS ENUM ('a')", "CREATE TABLE u (a mood)"
    )

    assert _of_server(files, place) == [("type-missing", "r1")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE EXTENSION nonesuch", ["extension-missing"]),
        ('CREATE EXTENSION IF NOT EXISTS "none-such" CASCADE', ["extension-missing"]),
        ("CREATE EXTENSION vector VERSION '99.9'", ["extension-version-missing"]),
        (
            "CREATE EXTENSION vector; ALTER EXTENSION vector UPDATE TO '99'",
            ["extension-version-missing"],
        ),
        ("CREATE EXTENSION plpgsql VERSION '1.0'; ALTER EXTENSION plpgsql UPDATE", []),
        ("CREATE EXTENSION IF NOT EXISTS plpgsql VERSION '99'", []),
        ("CREATE EXTENSION IF NOT EXISTS vector", []),
    ],
)
def test_extensions_are_those_of_the_server(place: Place, sql: str, expected: list[str]) -> None:
    """By name and version; what is installed already is not asked for again."""
    assert [rule for rule, _ in _of_server(chain(sql), place)] == expected


def test_without_a_database_nothing_of_a_server_is_told() -> None:
    """It is still to be made."""
    assert rules(look(chain("CREATE TABLE t (a ltree); CREATE EXTENSION hstore"))) == []


def test_what_a_live_revision_may_make_is_not_missed(place: Place) -> None:
    """Types after a revision whose SQL nobody knows."""
    assert _of_server(chain(Script(live="it reflects"), "CREATE TABLE t (a mood)"), place) == []


def test_our_own_history_has_no_error_on_an_empty_database(place: Place) -> None:
    """The extension is asked for and there."""
    findings = look(history.read(MIGRATIONS), place=place, folder=MIGRATIONS)

    assert [each for each in findings if each.level == "error"] == []


def test_a_database_that_is_gone_is_one_message(place: Place) -> None:
    """As a look words it."""
    lost = Place(
        host=place.host, port=1, user=place.user, password=place.password, database=place.database
    )

    with pytest.raises(LiveError, match="Nothing was changed"):
        look_lost(lost)


def look_lost(lost: Place) -> tuple[Finding, ...]:
    """Lint with a server that went away after it was read."""
    from infra.schema import lint, plan
    from infra.schema.model import Policy
    from infra.schema.options import parse
    from tests.schema.linted import NOWHERE, url_of

    files = chain("CREATE TABLE t (a int)")
    made = plan.make(files, Live(), Policy())
    return lint.lint(made, files, Live(), options=parse({}), folder=NOWHERE, url=url_of(lost))


class _Roles:
    """Three roles of a database: who migrates, who uses it, and a stranger."""

    def __init__(self, place: Place) -> None:
        tail = os.urandom(4).hex()
        self.migrator, self.group, self.app, self.stranger = (
            f'{name} "💥" {tail}' for name in ("Migrator", "group", "App", "stranger")
        )
        every = (self.migrator, self.group, self.app, self.stranger)
        self.names = {
            "m": quoted(self.migrator),
            "g": quoted(self.group),
            "a": quoted(self.app),
            "s": quoted(self.stranger),
        }
        self._place = place
        place.execute(
            *(f"CREATE ROLE {quoted(role)} LOGIN PASSWORD '{_PASSWORD}'" for role in every),
            self.sql("GRANT {g} TO {a}; GRANT CREATE ON SCHEMA public TO {m}; GRANT {s} TO {m}"),
        )

    def sql(self, text: str) -> str:
        """Write names in."""
        return text.format(**self.names)

    @property
    def place(self) -> Place:
        """The database as the migrator reaches it."""
        return self._place.as_user(self.migrator, _PASSWORD)

    def stranded(self, *ups: str, roles: tuple[str, ...]) -> list[str]:
        """List the revisions with tables out of reach."""
        files = chain(*map(self.sql, ups))
        findings = found(look(files, place=self.place, roles=roles), "table-out-of-reach")
        assert all(each.level == "warning" for each in findings)
        return [each.revision for each in findings]

    def drop(self) -> None:
        """Let them go."""
        for name in self.names.values():
            self._place.execute(f"DROP OWNED BY {name}")
        for name in self.names.values():
            self._place.execute(f"DROP ROLE {name}")


@pytest.fixture
def roles(place: Place) -> Iterator[_Roles]:
    """Roles with odd names, for this test alone."""
    made = _Roles(place)
    yield made
    made.drop()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a int)",
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; GRANT SELECT ON u TO {s}",
        "CREATE TABLE t (a int); GRANT ALL ON ALL TABLES IN SCHEMA far TO {a}",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {a}; CREATE TABLE t (a int)",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA far GRANT ALL ON TABLES TO {a}; CREATE TABLE t (a int)",
        "SET LOCAL ROLE {s}; CREATE TABLE t (a int)",
    ],
)
def test_a_table_that_no_declared_role_reaches_is_a_warning(roles: _Roles, sql: str) -> None:
    """The migrator's own, where it is not declared, without a right for the app."""
    assert roles.stranded(sql, roles=(roles.app,)) == ["r1"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a int); GRANT SELECT (a) ON t TO {a}",
        "CREATE TABLE t (a int); GRANT SELECT ON public.t TO {g}",
        "CREATE TABLE t (a int); GRANT SELECT ON t TO PUBLIC",
        "CREATE TABLE t (); ALTER TABLE t RENAME TO u; GRANT SELECT ON u TO {a}",
        "CREATE TABLE t (a int); GRANT ALL ON ALL TABLES IN SCHEMA public TO {a}",
        "CREATE TABLE t (a int); ALTER TABLE t OWNER TO {g}",
        "SET ROLE {g}; CREATE TABLE t (a int)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {a}; CREATE TABLE t (a int)",
        "CREATE TABLE t (a int); REASSIGN OWNED BY {m} TO {a}",
        "GRANT {s} TO {a}; SET ROLE {s}; CREATE TABLE t (a int)",
        "CREATE TABLE t (a int); DO $$ BEGIN EXECUTE 'GRANT ...'; END $$",
        "CREATE TEMP TABLE t (a int)",
        "CREATE TABLE t (a int); DROP TABLE t",
        "CREATE VIEW v AS SELECT 1",
    ],
)
def test_a_table_that_a_declared_role_reaches_passes(roles: _Roles, sql: str) -> None:
    """By a right, by membership, by ownership, by default; and what is gone, or nobody else's."""
    assert roles.stranded(sql, roles=(roles.app,)) == []


def test_a_grant_of_a_later_revision_counts(roles: _Roles) -> None:
    """What counts is how it is at the end of the plan."""
    ups = ("CREATE TABLE t (a int)", "CREATE TABLE u (a int)", "GRANT SELECT ON t TO {a}")

    assert roles.stranded(*ups, roles=(roles.app,)) == ["r2"]


def test_default_privileges_of_the_database_count(roles: _Roles, place: Place) -> None:
    """Those of the acting role, for that schema or for all."""
    right = "GRANT SELECT ON TABLES TO {g}"
    place.execute(roles.sql(f"ALTER DEFAULT PRIVILEGES FOR ROLE {{m}} IN SCHEMA public {right}"))

    assert roles.stranded("CREATE TABLE t (a int)", roles=(roles.app,)) == []
    assert roles.stranded("CREATE TABLE far.t (a int)", roles=(roles.app,)) == ["r1"]
    assert roles.stranded("SET ROLE {s}; CREATE TABLE t (a int)", roles=(roles.app,)) == ["r1"]


def test_who_makes_it_owns_it_where_that_role_is_declared(roles: _Roles) -> None:
    """Nothing is out of reach of its owner."""
    assert roles.stranded("CREATE TABLE t (a int)", roles=(roles.migrator, roles.app)) == []


def test_without_declared_roles_the_acting_one_counts(roles: _Roles, place: Place) -> None:
    """So a table is out of reach only where it is given away."""
    place.execute("CREATE ROLE away")
    away = "CREATE TABLE u (a int); ALTER TABLE u OWNER TO away"
    try:
        assert roles.stranded("CREATE TABLE t (a int)", away, roles=()) == ["r2"]
    finally:
        place.execute("DROP ROLE away")


def test_a_superuser_reaches_everything(place: Place) -> None:
    """Where it is among the declared roles."""
    files = chain("CREATE TABLE t (a int)")

    assert found(look(files, place=place, roles=(place.user,)), "table-out-of-reach") == []


def test_tables_of_partitions_are_reached_through_their_parent(roles: _Roles) -> None:
    """One finding, not one for each."""
    up = "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE p PARTITION OF t DEFAULT"

    assert roles.stranded(up, roles=(roles.app,)) == ["r1"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE t OWNER TO nobody_has_it", 1),
        ("SET ROLE nobody_has_it", 1),
        ("ALTER FUNCTION f() OWNER TO nobody_has_it", 1),
        ("CREATE SCHEMA AUTHORIZATION nobody_has_it", 1),
        ("CREATE ROLE nobody_has_it; ALTER TABLE t OWNER TO nobody_has_it", 0),
        ("DO $$ BEGIN CREATE ROLE nobody_has_it; END $$; SET ROLE nobody_has_it", 0),
        ("ALTER TABLE t OWNER TO CURRENT_USER; RESET ROLE; SET ROLE NONE; RESET ALL", 0),
        ("CREATE SCHEMA s; SET SESSION AUTHORIZATION DEFAULT", 0),
    ],
)
def test_an_owner_that_the_server_lacks_is_an_error(place: Place, sql: str, expected: int) -> None:
    """Unless the revision makes it."""
    findings = found(look(chain(sql), place=place), "owner-unknown")

    assert [each.level for each in findings] == ["error"] * expected


def test_a_suppression_of_what_the_server_lacks_counts(place: Place) -> None:
    """Like any other."""
    files = chain(
        Revision(
            id="",
            parents=(),
            upgrade=script("CREATE EXTENSION nonesuch"),
            ignores={"extension-missing": "installed on Friday", "type-missing": "not needed"},
        )
    )

    findings = look(files, place=place)

    assert [each.suppressed for each in found(findings, "extension-missing")] == [
        "installed on Friday"
    ]
    assert "type-missing" in found(findings, "unused-suppression")[0].message


def test_a_check_of_the_database_proves_not_null_once_it_is_validated(place: Place) -> None:
    """It may have been validated by an earlier `up`; one that is NOT VALID proves nothing."""
    place.execute(
        'CREATE TABLE t (id int, "Odd 💥" text, b int)',
        'ALTER TABLE t ADD CONSTRAINT "c c" CHECK ("Odd 💥" IS NOT NULL)',
        "ALTER TABLE t ADD CONSTRAINT d CHECK (b IS NOT NULL) NOT VALID",
    )
    odd, other = 'ALTER TABLE t ALTER "Odd 💥" SET NOT NULL', "ALTER TABLE t ALTER b SET NOT NULL"
    validate = "ALTER TABLE t VALIDATE CONSTRAINT d"
    slow = [("error", "adding-not-nullable-field")]

    assert rules(look(chain(odd), place=place)) == []
    assert rules(look(chain(other), place=place)) == slow
    assert rules(look(chain(validate, other), place=place)) == []
