"""Who may do what, as docs/access.md says it and as a server answers it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from infra.schema.statements.sql import identifier
from tests.engine.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LATER", "ROLES", "acts", "ask", "documented", "missing_cells"]

ROLES = ("migrator", "app", "reader", "auditor")

_NO_ROWS = "P0004"  # of ASSERT
# What refuses: PostgreSQL's privileges, the triggers of tables that only grow, row security.
_REFUSALS = ("42501", "23001", _NO_ROWS)
_HEADING = "| object | verb |"

LATER = (
    "CREATE TABLE later (id serial PRIMARY KEY, note text)",
    "CREATE VIEW later_view AS SELECT note FROM later",
    "CREATE FUNCTION later_function() RETURNS int LANGUAGE sql RETURN 1",
)
"""What a later migration makes; it says nothing of privileges."""

_NOBODY = "00000000-0000-0000-0000-000000000001"


def _on_table(name: str, column: str, key: str = "int") -> list[tuple[str, str]]:
    """Give each verb of a table; none needs a row, a privilege is asked for before rows are."""
    return [
        ("SELECT", f"SELECT count(*) FROM {name}"),  # noqa: S608 - constants of this file, here and below
        ("INSERT", f"INSERT INTO {name} ({column}) SELECT '' WHERE false"),
        ("UPDATE", f"UPDATE {name} SET {column} = {column} WHERE false"),  # noqa: S608 - as above
        ("DELETE", f"DELETE FROM {name} WHERE false"),  # noqa: S608 - as above
        ("TRUNCATE", f"TRUNCATE {name} CASCADE"),
        ("REFERENCES", f"CREATE TABLE app.refers (other {key} REFERENCES {name})"),
        ("CREATE INDEX", f"CREATE INDEX ON {name} ({column})"),
        ("ALTER", f"ALTER TABLE {name} ADD COLUMN another int"),
        ("DROP", f"DROP TABLE {name} CASCADE"),
    ]


def _some(verbs: str, table: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(verb, statement) for verb, statement in table if verb in verbs.split()]


_PLACES = {
    "database": [
        ("CONNECT", "SELECT 1"),
        ("CREATE", "CREATE SCHEMA another"),
        ("TEMPORARY", "CREATE TEMPORARY TABLE t (id int)"),
    ],
    "database `postgres`": [("CONNECT", "SELECT 1")],
    "database `template1`": [("CONNECT", "SELECT 1")],
    **{
        f"schema `{schema}`": [
            # Only who has USAGE is told that there is no such function.
            ("USAGE", f"SELECT {schema}.nothing_of_this_name()"),
            ("CREATE", f"CREATE TABLE {schema}.made (id int)"),
            ("DROP", f"DROP SCHEMA {schema} CASCADE"),
        ]
        for schema in ("app", "ext", "public")
    },
    "extension `vector`": [
        ("USAGE", "SELECT '[1,2]'::ext.vector"),
        ("DROP", "DROP EXTENSION vector CASCADE"),
    ],
}
_ELSEWHERE = {"database `postgres`": "postgres", "database `template1`": "template1"}
_TABLES = {
    "table of a migration": _on_table("app.skill_files", "name", "uuid"),
    "table of clients": [
        (
            "SELECT every row",
            "DO 'BEGIN ASSERT EXISTS (SELECT FROM app.clients); END'",
        ),
    ],
    "append-only log": [
        ("INSERT", "INSERT INTO app.agent_logs (agent, level, message) VALUES ('a', 'info', 'm')"),
        *_some("UPDATE DELETE", _on_table("app.agent_logs", "message")),
    ],
    "table of a later migration": _on_table("app.later", "note"),
}
_OTHERS = {
    "view of a later migration": [("SELECT", "SELECT * FROM app.later_view")],
    "sequence": [
        ("USAGE", "SELECT nextval('app.later_id_seq')"),
        ("SELECT", "SELECT last_value FROM app.later_id_seq"),
        ("UPDATE", "SELECT setval('app.later_id_seq', 7)"),
    ],
    "function": [
        ("EXECUTE", "SELECT app.later_function()"),
        ("DROP", "DROP FUNCTION app.later_function()"),
    ],
    "function `erase_client`": [("EXECUTE", f"SELECT app.erase_client('{_NOBODY}', '')")],
    "`alembic_version`": _some(
        "SELECT INSERT UPDATE DELETE DROP", _on_table("app.alembic_version", "version_num")
    ),
    "`schema_ledger`": _some(
        "SELECT UPDATE DELETE DROP", _on_table("schema_ledger.events", "message")
    ),
}
_SERVER = {
    "server": [
        ("CREATE ROLE", "CREATE ROLE another"),
        ("CREATE DATABASE", "CREATE DATABASE another"),
        ("ALTER SYSTEM", "ALTER SYSTEM SET work_mem = '5MB'"),
    ],
}


def acts(owner: str, readwrite: str, readonly: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Give every cell's statement and the database where it runs, by object and verb.

    Args:
        owner: Name of that role, and so on.
        readwrite: As above.
        readonly: As above.

    Returns:
        The database is "" for the stack's.
    """
    roles = {"owner": owner, "readwrite": readwrite, "readonly": readonly}
    switches = {
        f"role {kind}": [("SET ROLE", f"SET LOCAL ROLE {identifier(name)}")]
        for kind, name in roles.items()
    }
    things = {**_PLACES, **_TABLES, **_OTHERS, **switches, **_SERVER}
    return {
        (thing, verb): (statement, _ELSEWHERE.get(thing, ""))
        for thing, verbs in things.items()
        for verb, statement in verbs
    }


def documented() -> dict[tuple[str, str], dict[str, str]]:
    """Read the table of docs/access.md: by object and verb, what each role finds.

    An object stands in its first row alone.
    """
    lines = iter((ROOT / "docs/access.md").read_text(encoding="utf-8").splitlines())
    heading = next(line for line in lines if line.startswith(_HEADING))
    roles = _cells(heading)[2:]
    next(lines)
    table: dict[tuple[str, str], dict[str, str]] = {}
    thing = ""
    for line in lines:
        if not line.startswith("|"):
            break
        first, verb, *cells = _cells(line)
        thing = first or thing
        assert (thing, verb) not in table, f"{thing}, {verb} stands there twice"
        table[thing, verb] = dict(zip(roles, cells, strict=True))
    return table


def missing_cells(table: Mapping[tuple[str, str], Mapping[str, str]]) -> list[str]:
    """Name every cell that is neither yes nor no."""
    return [
        f"{thing}, {verb}, {role}: {cells.get(role, '')!r}"
        for (thing, verb), cells in table.items()
        for role in ROLES
        if cells.get(role) not in ("yes", "no")
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def ask(url: str, acts: Mapping[tuple[str, str], tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Try everything as the role of a URL, and undo it: yes, no, or what went wrong otherwise."""
    return asyncio.run(_ask(url, acts))


async def _ask(
    url: str, acts: Mapping[tuple[str, str], tuple[str, str]]
) -> dict[tuple[str, str], str]:
    answers: dict[tuple[str, str], str] = {}
    sessions = {"": await asyncpg.connect(url)}
    try:
        for cell, (statement, database) in acts.items():
            answers[cell] = await _answer(url, sessions, statement, database)
    finally:
        for session in sessions.values():
            await session.close()
    return answers


async def _answer(
    url: str, sessions: dict[str, asyncpg.Connection], statement: str, database: str
) -> str:
    try:
        if database not in sessions:
            sessions[database] = await asyncpg.connect(url, database=database)
        session = sessions[database]
        if statement.startswith(("CREATE DATABASE", "ALTER SYSTEM")):
            await session.execute(statement)  # refused in a transaction before a right is asked for
            return "yes"
        transaction = session.transaction()
        await transaction.start()
        try:
            await session.execute(statement)
        finally:
            await transaction.rollback()
    except asyncpg.PostgresError as exc:
        return _worded(exc, statement)
    return "yes"


def _worded(exc: asyncpg.PostgresError, statement: str) -> str:
    if exc.sqlstate in _REFUSALS:
        return "no"
    if exc.sqlstate == "42883" and "nothing_of_this_name" in statement:
        return "yes"  # the schema may be looked into: there is no such function in it
    if exc.sqlstate == "22023" and "erase_client" in statement:
        return "yes"  # it ran, and found no reason given
    return f"{exc.sqlstate}: {exc}"
