"""Databases for the tests of the schema: one migrated template a worker, a clone for each test."""

from __future__ import annotations

import sys
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from .people import people, people_template, refusing
from .place import MIGRATIONS, Place, quoted
from .workshop import workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import PostgresServer

__all__ = ["people", "people_template", "refusing", "workshop"]  # fixtures

# Where Alembic puts it too (prepend_sys_path): the modules beside env.py are in no package.
sys.path.append(str(MIGRATIONS))


@pytest.fixture(scope="session", autouse=True)
def no_database_url() -> Iterator[None]:
    """Whatever database the user of the tests works on stays out of them.

    For the whole session, since fixtures that outlive a test are made before those of a test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        yield


@pytest.fixture(scope="session")
def maintenance(postgres_server: PostgresServer) -> Place:
    """The database from which others are made."""
    return Place.main(postgres_server)


@pytest.fixture
def make_database(maintenance: Place) -> Iterator[Callable[..., Place]]:
    """Make databases by name and template; they go with the test."""
    names: list[str] = []

    def make(name: str = "", *, template: str = "template0") -> Place:
        names.append(name or f"m_{uuid.uuid4().hex}")
        maintenance.execute(
            f"CREATE DATABASE {quoted(names[-1])} TEMPLATE {quoted(template)} STRATEGY file_copy"
        )
        return replace(maintenance, database=names[-1])

    yield make
    for name in names:
        maintenance.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")


@pytest.fixture
def empty(make_database: Callable[..., Place]) -> Place:
    """A database without anything, for its superuser."""
    return make_database()


@pytest.fixture(scope="session")
def template(maintenance: Place) -> Iterator[str]:
    """The name of a database at head, which nobody is connected to."""
    name = f"m_template_{uuid.uuid4().hex}"
    maintenance.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    replace(maintenance, database=name).alembic("upgrade", "head")
    yield name
    maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def migrated(template: str, make_database: Callable[..., Place]) -> Place:
    """A database at head, for its superuser."""
    return make_database(template=template)


@pytest.fixture
def prepared(empty: Place, maintenance: Place) -> Iterator[Place]:
    """A database as an administrator prepares it, for the migrator.

    The migrator is no superuser, logs in with `role` set to an owner who can't log in, finds
    schema `app` first and the extension in schema `ext`.
    """
    tag = uuid.uuid4().hex
    owner, migrator, password = f"owner_{tag}", f"migrator_{tag}", "of a throwaway %@/ role"
    maintenance.execute(
        f"CREATE ROLE {owner} NOLOGIN",
        f"CREATE ROLE {migrator} LOGIN PASSWORD '{password}' IN ROLE {owner}",
        f"ALTER ROLE {migrator} SET role = {owner}",
        f"ALTER ROLE {migrator} SET search_path = app, ext",
        f"ALTER DATABASE {empty.database} OWNER TO {owner}",
    )
    empty.execute(
        f"CREATE SCHEMA app AUTHORIZATION {owner}",
        "CREATE SCHEMA ext",
        "CREATE EXTENSION vector SCHEMA ext",
        f"GRANT USAGE ON SCHEMA ext TO {owner}",
    )
    yield empty.as_user(migrator, password)
    maintenance.execute(
        f"DROP DATABASE {empty.database} WITH (FORCE)",  # roles that own something can't go
        f"DROP ROLE {migrator}",
        f"DROP ROLE {owner}",
    )
