"""Whether the server that answers is the one that a stack knows."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from infra.database.identity import DatabaseIdentityProvider
from infra.identity import NO_LEDGER, Identity, WrongDatabaseError, refuse_other
from infra.roles import role_names
from infra.schema import ledger
from infra.servers.existing import ExistingProvider
from infra.servers.remote.facts import Database, Facts, Role, Wanted
from tests.engine.node import Database as Place
from tests.engine.node import make_database

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

_ROLES = {"owner": "books_owner"}
_TABLES = Database(owner="books_owner", encoding="UTF8", tables=3)
_OWNER = Role(
    name="books_owner",
    login=False,
    attributes=(),
    administered=True,
    admins=(),
    owns=(),
    groups=(),
    members=(),
)


def _seen(cluster: str, database: Database | None = _TABLES) -> Facts:
    return Facts(
        host="db",
        port=5432,
        version="17.4",
        major=17,
        cluster=cluster,
        user="admin",
        superuser=True,
        creates_roles=True,
        creates_databases=True,
        reads_all=True,
        available=(),
        roles=(_OWNER,),
        database=database,
    )


def _inputs(seen: Facts, **more: Any) -> dict[str, Any]:
    return {
        "url": "postgresql://admin:x@db/postgres",
        "sslmode": "",
        "roles": _ROLES,
        "database": "books",
        "adopt": False,
        "wanted": Wanted(roles=_ROLES, database="books").dump(),
        "environment": "prod",
        "moved_to": "",
        "seen": seen.dump(),
        **more,
    }


def _before(**more: Any) -> dict[str, Any]:
    """The state that a former `up` has left, without what a later version keeps."""
    known = {"host": "db", "port": 5432.0, "cluster": "1", "adopted": [], "roles": _ROLES}
    return {**_inputs(_seen("1")), **known, **more}


def _check(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = ExistingProvider().check(olds, news).inputs
    return inputs


def test_another_database_with_tables_is_refused_and_both_are_named() -> None:
    """Also by the state of an earlier version, which keeps the cluster under another name."""
    with pytest.raises(WrongDatabaseError) as caught:
        _check(_before(), _inputs(_seen("2")))

    for said in ("'books' of the cluster 1 at db:5432", "'books' of the cluster 2", "3 tables"):
        assert said in str(caught.value)
    assert "groundwork:movedTo to 2/books" in str(caught.value)


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("moved_to", ["", "1/books", "3/books", "2/other"])
def test_only_the_key_that_names_it_lets_it_pass(environment: str, moved_to: str) -> None:
    """In every environment but `preview`; what it names is the stack's own from then on."""
    news = _inputs(_seen("2"), environment=environment, moved_to=moved_to)
    with pytest.raises(WrongDatabaseError):
        _check(_before(), news)


def test_an_unreadable_database_holds_something() -> None:
    """What the admin may not look into is not taken for empty."""
    closed = Database(owner="x", encoding="UTF8", refused="permission denied")
    with pytest.raises(WrongDatabaseError, match="can't look into"):
        _check(_before(), _inputs(_seen("2", closed)))


def test_the_same_cluster_and_one_that_tells_nothing_pass() -> None:
    """A promoted standby and a restored backup have the same identifier."""
    assert _check(_before(), _inputs(_seen("1")))["confirmed"]["cluster"] == "1"
    # Where the admin may no longer ask for anything, what was known stays known.
    assert _check(_before(), _inputs(_seen("")))["confirmed"]["cluster"] == "1"
    unknown = _before(cluster="")
    assert _check(unknown, _inputs(_seen("2")))["confirmed"]["cluster"] == "2"


def test_a_refresh_learns_no_other_cluster() -> None:
    """What `read` found is not what an `up` has confirmed."""
    first = _check(_before(), _inputs(_seen("1")))
    refreshed = {**first, "cluster": "2", "roles": {}, "database": "", "adopted": []}

    with pytest.raises(WrongDatabaseError):
        _check(refreshed, _inputs(_seen("2")))
    moved = _check(refreshed, _inputs(_seen("2"), moved_to="2/books"))
    assert (moved["confirmed"]["cluster"], moved["adopted"]) == ("2", [])


def test_an_adopted_database_stays_adopted_after_a_move() -> None:
    """What the stack must not drop on one cluster it must not drop on the next."""
    before = _before(adopted=["database books"])

    moved = _check(before, _inputs(_seen("2"), moved_to="2/books", adopt=True))

    assert moved["adopted"] == ["database books"]


def test_a_destroy_stops_at_another_server_before_anything_else(
    postgres_server: PostgresServer,
) -> None:
    """The resource that goes first asks who answers, by the state alone."""
    props: dict[str, Any] = {
        "admin": {
            "host": postgres_server.host,
            "port": float(postgres_server.port),
            "user": postgres_server.user,
            "password": postgres_server.password,
            "maintenance": "postgres",
            "sslmode": "disable",
            "sslrootcert": "",
            "sslcert": "",
            "sslkey": "",
        },
        "database": "postgres",
        "roles": [postgres_server.user],
        "cluster": "1",
        "environment": "prod",
    }
    provider = DatabaseIdentityProvider()
    provider.read("identity", props)

    with pytest.raises(WrongDatabaseError) as caught:
        provider.delete("identity", props)

    found = re.search(r"of the cluster (\d{5,}) at", str(caught.value))
    assert found
    assert f"roles '{postgres_server.user}'" in str(caught.value)
    provider.delete("identity", {**props, "cluster": found[1]})
    provider.delete("identity", {**props, "environment": "preview"})
    provider.delete("identity", {**props, "cluster": ""})
    nothing = {**props, "database": "no such database", "roles": ["no such role"]}
    provider.delete("identity", nothing)


def test_what_is_empty_may_be_another() -> None:
    """A recreated server is made again without a key."""
    known, found = Identity(cluster="1", database="a"), Identity(cluster="2", database="a")

    refuse_other(known, found, holds="", kept="")
    with pytest.raises(WrongDatabaseError):
        refuse_other(known, found, holds="1 table", kept="")


def test_a_ledger_tells_databases_apart_where_the_cluster_may_not_be_asked_for() -> None:
    """As on services that take the function away; a database without a ledger is another one."""
    mine, other = replace(_TABLES, ledger="ledger-1f"), replace(_TABLES, ledger="ledger-2f")
    none = replace(_TABLES, ledger=NO_LEDGER)

    first = _check({}, _inputs(replace(_seen("", None), roles=())))
    assert first["confirmed"]["cluster"] == NO_LEDGER
    second = _check({**_before(), **first}, _inputs(_seen("", mine)))
    assert second["confirmed"]["cluster"] == "ledger-1f"
    state = {**_before(), **second}
    assert _check(state, _inputs(_seen("", mine)))["confirmed"] == second["confirmed"]
    for wrong, said in ((other, "with the ledger-2f"), (none, "without a ledger")):
        with pytest.raises(WrongDatabaseError, match=said):
            _check(state, _inputs(_seen("", wrong)))
    moved = _check(state, _inputs(_seen("", other), moved_to="ledger-2f/books"))
    assert moved["confirmed"]["cluster"] == "ledger-2f"
    # Dropped, and made again by this very `up`.
    assert _check(state, _inputs(_seen("", None)))["confirmed"]["cluster"] == NO_LEDGER


def test_a_destroy_goes_by_the_ledger_where_the_cluster_may_not_be_asked_for(
    postgres_server: PostgresServer,
) -> None:
    """The function is closed in these two databases, as services close it everywhere."""
    closed = "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"
    urls = [make_database(postgres_server, f"told {os.urandom(4).hex()}") for _ in range(2)]
    role = f"told_{os.urandom(4).hex()}"
    password = postgres_server.password.replace("'", "''")
    Place(url=urls[0]).run(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'", "SELECT 1")
    for url in urls:
        Place(url=url).run(
            closed,
            ledger.CREATE,
            "INSERT INTO schema_ledger.events (version_table, run, revision, direction, state,"
            " message, file, sha256, needs, heads_before, heads_after, downgrade, started_at,"
            " stack, commit, plan) VALUES ('v', gen_random_uuid(), 'a', 'up', 'done', '', '', '',"
            " '{}', '{}', '{}', '{}', now(), '', '', '')",
            f"GRANT USAGE ON SCHEMA schema_ledger TO {role}",
            f"GRANT SELECT ON schema_ledger.events TO {role}",
            "SELECT 1",
        )
    names = [unquote(urlsplit(url).path[1:]) for url in urls]
    props: dict[str, Any] = {
        "admin": {
            **dict.fromkeys(("sslrootcert", "sslcert", "sslkey"), ""),
            "host": postgres_server.host,
            "port": float(postgres_server.port),
            "user": role,
            "password": postgres_server.password,
            "maintenance": names[0],
            "sslmode": "disable",
        },
        "database": names[0],
        "roles": [],
        "cluster": "",
        "environment": "prod",
    }
    provider = DatabaseIdentityProvider()
    state = dict(provider.create(props).outs or {})
    assert state["known"].startswith("ledger-")

    provider.delete("identity", state)
    with pytest.raises(WrongDatabaseError, match=state["known"]):
        provider.delete("identity", {**state, "database": names[1]})


def test_what_an_earlier_version_adopted_stays_in_its_shape() -> None:
    """Only what is adopted from now on is left untouched, and remembered as such."""
    before = _before(adopted=["role books_owner", "database books"])
    before.pop("untouched", None)

    names = {kind: name for kind, name in asdict(role_names("books")).items() if name}
    wanted = Wanted(roles=names, database="books").dump()
    news = _inputs(_seen("1"), adopt=True, wanted=wanted)

    kept = _check(before, news)
    new = _check({}, news)
    again = _check({**_inputs(_seen("1")), **new}, news)

    assert (kept["adopted"], kept["untouched"]) == (["database books", "role books_owner"], [])
    assert new["untouched"] == ["database books", "role books_owner"]
    assert again["untouched"] == new["untouched"]
