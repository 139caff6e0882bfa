# ruff: noqa: S608 - all SQL is put together from constants of this file
"""Those who use a database at head: its owner, the application, a reader, an auditor.

The database is as an administrator prepares it and the owner's migrations leave it: the tables are
in schema `app`, the extension in `ext`, and two clients have rows in every table.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .place import Place

__all__ = [
    "ADA",
    "BOB",
    "CLIENT_TABLES",
    "NOBODY",
    "TASKS",
    "VECTOR",
    "People",
    "as_client",
    "ask",
    "row_of",
]

ADA = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
BOB = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
NOBODY = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"

# A pending task each: what may be deleted.
TASKS = {ADA: "aaaaaaaa-0000-4000-8000-000000000001", BOB: "bbbbbbbb-0000-4000-8000-000000000001"}

VECTOR = "('[' || repeat('0.5,', 1535) || '0.5]')::vector"

# The columns of a row by table, with {client}, {task} and {id} (a fresh uuid) to be filled in.
CLIENT_TABLES = {
    "clients": ("id, name", "'{client}', 'New'"),
    "client_profile_entries": ("client_id, entry_type, author", "'{client}', 'note', 'ai'"),
    "tasks": ("id, client_id, task_type, agent_type", "'{id}', '{client}', 'return', 'preparer'"),
    "document_embeddings": (
        "client_id, document_type, file_path, chunk_index, content, embedding",
        f"'{{client}}', 'w2', 'a.pdf', 0, 'text', {VECTOR}",
    ),
    "agent_logs": (
        "client_id, task_id, agent, level, message",
        "'{client}', '{task}', 'preparer', 'info', 'done'",
    ),
    "escalations": ("task_id, reason", "'{task}', 'unclear'"),
    "feedback_entries": ("task_id, feedback_type, reviewer", "'{task}', 'explicit', 'Eve'"),
    "task_artifacts": ("task_id, artifact_type, file_path", "'{task}', 'pdf', 'a.pdf'"),
}


def row_of(table: str, client: str) -> str:
    """Return the INSERT of one more row of `client` into `table`."""
    columns, values = CLIENT_TABLES[table]
    filled = values.format(client=client, task=TASKS.get(client, client), id=uuid.uuid4())
    return f"INSERT INTO {table} ({columns}) VALUES ({filled})"


@dataclass(frozen=True, kw_only=True)
class People:
    """One database, as each of its users reaches it.

    Attributes:
        admin: A superuser, in a session that finds the tables.
        owner: Logs in as the migrator and acts as the owner of the tables.
        application: May read and write all tables.
        reader: May read all tables.
        auditor: Is a member of pg_read_all_data.
    """

    admin: Place
    owner: Place
    application: Place
    reader: Place
    auditor: Place

    def by_name(self, name: str) -> Place:
        """Return the login that an attribute holds."""
        place: Place = getattr(self, name)
        return place


def as_client(client: str | None) -> str:
    """Return the statement with which a session says for which client it works."""
    return "RESET app.client_id" if client is None else f"SET app.client_id = '{client}'"


def ask(place: Place, *statements: str) -> list[Any]:
    """Run statements in one session; return the rows of the last."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(place.url, ssl=False)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return list(await connection.fetch(statements[-1]))
        finally:
            await connection.close()

    return asyncio.run(run())


def _seed(owner: Place) -> None:
    """Give both clients their pending task and a row in every table."""
    for client, task in TASKS.items():
        name = {ADA: "Ada", BOB: "Bob"}[client]
        owner.execute(
            f"INSERT INTO clients (id, name) VALUES ('{client}', '{name}')",
            "INSERT INTO tasks (id, client_id, task_type, agent_type)"
            f" VALUES ('{task}', '{client}', 'return', 'preparer')",
            *(
                row_of(table, client)
                for table in CLIENT_TABLES
                if table not in {"clients", "tasks"}
            ),
        )


def _prepare(admin: Place, roles: dict[str, str], password: str) -> People:
    """Make roles and schemas, migrate, and fill the database of `admin`."""
    owner, logins = roles["owner"], [roles[name] for name in ("application", "reader", "auditor")]
    admin.execute(
        f"CREATE ROLE {owner} NOLOGIN",
        f"CREATE ROLE {roles['migrator']} LOGIN PASSWORD '{password}' IN ROLE {owner}",
        f"ALTER ROLE {roles['migrator']} SET role = {owner}",
        *(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'" for name in logins),
        *(f"ALTER ROLE {name} SET search_path = app, ext" for name in [roles["migrator"], *logins]),
        f"GRANT pg_read_all_data TO {roles['auditor']}",
        f"ALTER DATABASE {admin.database} OWNER TO {owner}",
        f"ALTER DATABASE {admin.database} SET search_path = app, ext",
        f"CREATE SCHEMA app AUTHORIZATION {owner}",
        "CREATE SCHEMA ext",
        "CREATE EXTENSION vector SCHEMA ext",
        "GRANT USAGE ON SCHEMA ext TO PUBLIC",
        f"GRANT USAGE ON SCHEMA app TO {', '.join(logins)}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA app"
        f" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {roles['application']}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA app"
        f" GRANT SELECT ON TABLES TO {roles['reader']}",
        # As careless as an administrator may be: erase_client must not be open for all that.
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA app"
        f" GRANT EXECUTE ON FUNCTIONS TO {roles['application']} WITH GRANT OPTION",
    )
    people = People(
        admin=admin,
        owner=admin.as_user(roles["migrator"], password),
        **{
            name: admin.as_user(roles[name], password)
            for name in ("application", "reader", "auditor")
        },
    )
    people.owner.alembic("upgrade", "head")
    _seed(people.owner)
    return people


@pytest.fixture(scope="session")
def people_template(maintenance: Place) -> Iterator[People]:
    """A filled database at head and its roles, of which each test gets a copy."""
    tag = uuid.uuid4().hex
    names = ("owner", "migrator", "application", "reader", "auditor")
    roles = {name: f"{name}_{tag}" for name in names}
    database = f"m_people_{tag}"
    maintenance.execute(f"CREATE DATABASE {database} TEMPLATE template0 STRATEGY file_copy")
    yield _prepare(replace(maintenance, database=database), roles, "of a throwaway %@/ role")
    maintenance.execute(f"DROP DATABASE {database} WITH (FORCE)")
    maintenance.execute(*(f"DROP ROLE {roles[name]}" for name in reversed(names)))


@contextmanager
def _copied(template: People) -> Iterator[People]:
    """Give a copy of the template for a while. Owner and settings aren't copied by themselves."""
    name = f"m_people_{uuid.uuid4().hex}"
    owner = template.owner.user.replace("migrator", "owner")
    # From another database than the one that is copied, which nobody may be connected to.
    replace(template.admin, database="postgres").execute(
        f"CREATE DATABASE {name} OWNER {owner}"
        f" TEMPLATE {template.admin.database} STRATEGY file_copy",
        f"ALTER DATABASE {name} SET search_path = app, ext",
    )
    logins = ("admin", "owner", "application", "reader", "auditor")
    yield People(**{who: replace(template.by_name(who), database=name) for who in logins})
    replace(template.admin, database="postgres").execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def people(people_template: People) -> Iterator[People]:
    """A filled database at head, for all who use it."""
    with _copied(people_template) as copy:
        yield copy


@pytest.fixture(scope="module")
def refusing(people_template: People) -> Iterator[People]:
    """The same, shared by the tests of a module that change nothing: they read or are refused."""
    with _copied(people_template) as copy:
        yield copy
