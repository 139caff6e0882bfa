# ruff: noqa: S608 - all SQL is put together from constants of this file
"""A session sees and writes the rows of the client that it works for, and no others."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import asyncpg
import pytest

from .people import ADA, BOB, CLIENT_TABLES, NOBODY, TASKS, VECTOR, as_client, ask, row_of

if TYPE_CHECKING:
    from .people import People
    from .place import Place

_LOGS = ("agent_logs", "client_profile_entries")
_CHANGEABLE = [table for table in CLIENT_TABLES if table not in _LOGS]
# The column by which a row belongs to a client, and its value for each.
_BELONGS = {
    table: ("id" if table == "clients" else "client_id", {ADA: ADA, BOB: BOB})
    if "client_id" in columns or table == "clients"
    else ("task_id", TASKS)
    for table, (columns, _) in CLIENT_TABLES.items()
}


def _count(place: Place, client: str | None, table: str, where: str = "true") -> int:
    rows = ask(place, as_client(client), f"SELECT count(*) FROM {table} WHERE {where}")
    return int(rows[0][0])


def _refused(place: Place, *statements: str) -> asyncpg.PostgresError:
    with pytest.raises(asyncpg.PostgresError) as caught:
        ask(place, *statements)
    return caught.value


def _violates(said: asyncpg.PostgresError, policy: str, table: str) -> bool:
    return f'violates row-level security policy "{policy}" for table "{table}"' in str(said)


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", CLIENT_TABLES)
@pytest.mark.parametrize("who", ["application", "reader"])
def test_a_session_sees_its_client_alone(refusing: People, who: str, table: str) -> None:
    """One of the two rows, and it is the right one; none for a client that isn't there."""
    place, (column, values) = refusing.by_name(who), _BELONGS[table]

    for client in (ADA, BOB):
        assert _count(place, client, table) == 1
        assert _count(place, client, table, f"{column} = '{values[client]}'") == 1
    assert _count(place, NOBODY, table) == 0


@pytest.mark.parametrize("table", CLIENT_TABLES)
@pytest.mark.parametrize("who", ["application", "reader"])
@pytest.mark.parametrize(
    "setting",
    [
        "RESET app.client_id",
        "SET app.client_id = ''",
        f"BEGIN; SET LOCAL app.client_id = '{ADA}'; COMMIT",
    ],
    ids=["never set", "empty", "after SET LOCAL"],
)
def test_without_the_setting_a_session_sees_nothing(
    refusing: People, who: str, table: str, setting: str
) -> None:
    """Not set, set to nothing, and what SET LOCAL leaves behind are the same."""
    assert ask(refusing.by_name(who), setting, f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("table", CLIENT_TABLES)
def test_an_auditor_sees_all(refusing: People, table: str) -> None:
    """With the setting and without."""
    for client in (None, ADA):
        assert _count(refusing.auditor, client, table) == 2


@pytest.mark.parametrize("table", CLIENT_TABLES)
@pytest.mark.parametrize("who", ["owner", "admin"])
def test_the_owner_is_not_subject_to_it(people: People, who: str, table: str) -> None:
    """What a revision changes in the data, it changes in all rows."""
    place = people.by_name(who)
    for client in (None, ADA):
        assert _count(place, client, table) == 2
    if table in _CHANGEABLE:
        column = "name" if table == "clients" else CLIENT_TABLES[table][0].split(", ")[-1]
        changed = ask(place, f"UPDATE {table} SET {column} = {column} RETURNING 1")
        assert len(changed) == 2


@pytest.mark.parametrize("value", ["Ada", f"{ADA}; DROP TABLE tasks", "' OR true --", ADA[:-1]])
def test_an_ill_formed_setting_is_an_error(refusing: People, value: str) -> None:
    """What is no uuid is told, instead of showing nothing or everything."""
    quoted = value.replace("'", "''")

    said = _refused(refusing.application, f"SET app.client_id = '{quoted}'", "SELECT * FROM tasks")

    assert "invalid input syntax for type uuid" in str(said)


def test_a_log_line_is_seen_by_its_client_or_its_task(people: People) -> None:
    """The client of a line counts; where it names none, that of its task; else auditors alone."""
    line = "INSERT INTO agent_logs (client_id, task_id, agent, level, message) VALUES"
    people.owner.execute(
        "ALTER TABLE agent_logs DISABLE TRIGGER USER",
        "DELETE FROM agent_logs",
        f"{line} ('{ADA}', NULL, 'a', 'info', 'client')",
        f"{line} (NULL, '{TASKS[ADA]}', 'a', 'info', 'task')",
        f"{line} (NULL, NULL, 'a', 'info', 'neither')",
        f"{line} ('{BOB}', '{TASKS[ADA]}', 'a', 'info', 'of another')",
    )

    def seen(place: Place, client: str | None) -> list[str]:
        query = "SELECT message FROM agent_logs ORDER BY id"
        return [row[0] for row in ask(place, as_client(client), query)]

    assert seen(people.application, ADA) == ["client", "task"]
    assert seen(people.application, BOB) == ["of another"]
    assert seen(people.application, None) == []
    assert seen(people.auditor, None) == ["client", "task", "neither", "of another"]


@pytest.mark.parametrize("table", CLIENT_TABLES)
def test_copy_takes_out_only_what_is_seen(refusing: People, table: str) -> None:
    """COPY TO is a query like any other."""

    async def run() -> int:
        connection = await asyncpg.connect(refusing.application.url, ssl=False)
        await connection.execute(as_client(ADA))
        output = io.BytesIO()
        await connection.copy_from_table(table, output=output)
        await connection.close()
        return output.getvalue().count(b"\n")

    assert asyncio.run(run()) == 1


def test_a_plan_made_for_one_role_is_not_used_for_another(refusing: People) -> None:
    """A prepared statement follows the role and the setting of the session."""
    app, reader = refusing.application.user, refusing.reader.user

    async def run() -> list[int]:
        connection = await asyncpg.connect(refusing.admin.url, ssl=False)
        statement = await connection.prepare("SELECT count(*) FROM tasks")
        seen = [await statement.fetchval()]
        for change in (
            f"SET ROLE {app}", as_client(ADA), as_client(None), f"SET ROLE {reader}",
            as_client(BOB), "RESET ROLE",
        ):  # fmt: skip
            await connection.execute(change)
            seen.append(await statement.fetchval())
        await connection.close()
        return seen

    assert asyncio.run(run()) == [2, 0, 1, 0, 0, 1, 2]


# --- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", CLIENT_TABLES)
def test_the_application_writes_for_its_client(people: People, table: str) -> None:
    """A row of its client goes in and comes back with RETURNING."""
    place = people.application
    client = NOBODY if table == "clients" else ADA  # a client is new by its own id

    rows = ask(place, as_client(client), f"{row_of(table, client)} RETURNING *")

    assert len(rows) == 1


@pytest.mark.parametrize("table", CLIENT_TABLES)
@pytest.mark.parametrize("session", [ADA, None])
@pytest.mark.parametrize("tail", ["", " RETURNING 1", " ON CONFLICT DO NOTHING"])
def test_a_row_of_another_client_is_refused(
    refusing: People, table: str, session: str | None, tail: str
) -> None:
    """The error names the policy, which says why."""
    row = row_of(table, NOBODY if table == "clients" else BOB) + tail

    said = _refused(refusing.application, as_client(session), row)

    assert isinstance(said, asyncpg.InsufficientPrivilegeError)
    assert _violates(said, "insert_only_for_session_client", table)


@pytest.mark.parametrize("table", _CHANGEABLE)
def test_a_row_is_not_moved_to_another_client(refusing: People, table: str) -> None:
    """An UPDATE may touch the row, and must leave it with its client."""
    column, values = _BELONGS[table]
    value = NOBODY if table == "clients" else values[BOB]

    said = _refused(
        refusing.application, as_client(ADA), f"UPDATE {table} SET {column} = '{value}'"
    )

    assert _violates(said, "update_only_for_session_client", table)


@pytest.mark.parametrize("table", _CHANGEABLE)
@pytest.mark.parametrize("session", [ADA, None])
def test_rows_of_another_client_are_out_of_reach(
    refusing: People, table: str, session: str | None
) -> None:
    """UPDATE, DELETE, MERGE and FOR UPDATE meet none of them."""
    column, values = _BELONGS[table]
    mine = f"{column} = '{values[BOB]}'"

    for statement in (
        f"UPDATE {table} SET {column} = {column} WHERE {mine} RETURNING 1",
        f"DELETE FROM {table} WHERE {mine} RETURNING 1",
        f"SELECT 1 FROM {table} WHERE {mine} FOR UPDATE",
        f"MERGE INTO {table} t USING (VALUES (1)) ON t.{mine} WHEN MATCHED THEN DELETE RETURNING 1",
    ):
        assert ask(refusing.application, as_client(session), statement) == []

    assert refusing.owner.value(f"SELECT count(*) FROM {table}") == 2


@pytest.mark.parametrize("table", _CHANGEABLE)
def test_the_application_changes_and_deletes_for_its_client(people: People, table: str) -> None:
    """Every verb works on its own rows, and on those alone where no condition is given."""
    place = people.application
    column, _ = _BELONGS[table]
    if table in {"clients", "tasks"}:  # whatever refers to it, first
        people.admin.execute("SET session_replication_role = replica", *_unreferenced(table))

    changed = ask(place, as_client(ADA), f"UPDATE {table} SET {column} = {column} RETURNING 1")
    deleted = ask(place, as_client(ADA), f"DELETE FROM {table} RETURNING 1")

    assert (len(changed), len(deleted)) == (1, 1)
    assert _count(people.application, BOB, table) == 1


def _unreferenced(table: str) -> list[str]:
    """Return what takes away all that refers to `table`."""
    triggers = [f"ALTER TABLE {log} DISABLE TRIGGER USER" for log in _LOGS]
    others = [other for other in CLIENT_TABLES if other not in {"clients", "tasks"}]
    if table == "clients":
        others.append("tasks")
    return [*triggers, *(f"DELETE FROM {other}" for other in others)]


def test_on_conflict_does_not_reach_another_clients_row(refusing: People) -> None:
    """An upsert that meets the row of another client is refused."""
    said = _refused(
        refusing.application,
        as_client(ADA),
        f"INSERT INTO tasks (id, client_id, task_type, agent_type) VALUES ('{TASKS[BOB]}',"
        f" '{ADA}', 'x', 'x') ON CONFLICT (id) DO UPDATE SET task_type = 'stolen'",
    )

    assert isinstance(said, asyncpg.InsufficientPrivilegeError)
    assert refusing.owner.value("SELECT count(*) FROM tasks WHERE task_type = 'stolen'") == 0


def test_an_upsert_on_its_own_row_works(people: People) -> None:
    """The restrictive policies are no obstacle for the client's own rows."""
    rows = ask(
        people.application,
        as_client(ADA),
        f"INSERT INTO tasks (id, client_id, task_type, agent_type) VALUES ('{TASKS[ADA]}',"
        f" '{ADA}', 'x', 'x') ON CONFLICT (id) DO UPDATE SET task_type = 'again'"
        " RETURNING task_type",
    )

    assert rows[0][0] == "again"


@pytest.mark.parametrize(
    ("values", "session", "policy"),
    [
        (f"'{ADA}', NULL", ADA, None),
        (f"NULL, '{TASKS[ADA]}'", ADA, None),
        ("NULL, NULL", ADA, None),
        ("NULL, NULL", None, None),
        (f"'{BOB}', NULL", ADA, "insert_only_for_session_client"),
        (f"NULL, '{TASKS[BOB]}'", ADA, "insert_only_for_session_client"),
        (f"'{ADA}', '{TASKS[BOB]}'", ADA, "insert_only_for_session_client"),
        (f"'{BOB}', '{TASKS[ADA]}'", ADA, "insert_only_for_session_client"),
        (f"'{ADA}', NULL", None, "insert_only_for_session_client"),
        (f"NULL, '{TASKS[ADA]}'", None, "insert_only_for_session_client"),
        (f"NULL, '{NOBODY}'", ADA, "insert_only_for_session_client"),
    ],
)
def test_a_log_line_names_only_the_sessions_client_and_tasks(
    people: People, values: str, session: str | None, policy: str | None
) -> None:
    """Client and task, where given, are the session's; a line of neither may always be written."""
    statement = (
        "INSERT INTO agent_logs (client_id, task_id, agent, level, message)"
        f" VALUES ({values}, 'a', 'info', 'm')"
    )

    if policy is None:
        people.application.execute(as_client(session), statement)
        assert people.auditor.value("SELECT count(*) FROM agent_logs WHERE agent = 'a'") == 1
    else:
        said = _refused(people.application, as_client(session), statement)
        assert _violates(said, policy, "agent_logs")


def test_a_task_that_is_anothers_looks_like_one_that_is_not_there(refusing: People) -> None:
    """A foreign key tells nobody which tasks exist: the policy answers first, the same to both."""
    row = "INSERT INTO escalations (task_id, reason) VALUES ('{}', 'x')"

    said = {
        str(_refused(refusing.application, as_client(ADA), row.format(task)))
        for task in (TASKS[BOB], NOBODY)
    }

    assert len(said) == 1


def test_a_duplicate_key_does_not_show_the_other_row(people: People) -> None:
    """A unique key holds across clients; its error quotes no value of the row it met."""
    people.owner.execute(f"UPDATE clients SET external_id = 'B-7' WHERE id = '{BOB}'")

    said = _refused(people.application, as_client(ADA), "UPDATE clients SET external_id = 'B-7'")

    assert isinstance(said, asyncpg.UniqueViolationError)
    assert said.constraint_name == "uq_clients_external_id"
    assert said.detail is None


def test_a_cascade_stays_with_the_client(people: People) -> None:
    """What goes with a deleted task or client is its own, although cascades see all rows."""
    ask(
        people.owner,
        "ALTER TABLE agent_logs DISABLE TRIGGER USER",
        "DELETE FROM agent_logs",
        "DELETE FROM escalations",
        "DELETE FROM feedback_entries",
        "SELECT 1",
    )

    ask(people.application, as_client(ADA), "DELETE FROM tasks RETURNING 1")

    left = people.owner.fetch("SELECT task_id::text FROM task_artifacts")
    assert [row[0] for row in left] == [TASKS[BOB]]


@pytest.mark.parametrize("table", CLIENT_TABLES)
def test_rows_are_not_loaded_by_copy(refusing: People, table: str) -> None:
    """PostgreSQL refuses COPY FROM where row security applies, and says what to do instead."""
    columns = CLIENT_TABLES[table][0]

    async def run() -> None:
        connection = await asyncpg.connect(refusing.application.url, ssl=False)
        try:
            await connection.execute(as_client(ADA))
            await connection.copy_to_table(
                table, source=io.BytesIO(b""), columns=columns.split(", ")
            )
        finally:
            await connection.close()

    with pytest.raises(asyncpg.FeatureNotSupportedError) as caught:
        asyncio.run(run())
    assert "INSERT" in str(caught.value.hint)


@pytest.mark.parametrize("table", CLIENT_TABLES)
@pytest.mark.parametrize("who", ["reader", "auditor"])
def test_who_only_reads_writes_nothing(refusing: People, who: str, table: str) -> None:
    """No verb is granted, with the setting or without."""
    column, _ = _BELONGS[table]

    for statement in (
        row_of(table, ADA),
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        said = _refused(refusing.by_name(who), as_client(ADA), statement)
        assert isinstance(said, asyncpg.InsufficientPrivilegeError)


def test_an_application_that_may_read_all_still_writes_for_its_client_alone(people: People) -> None:
    """Reading everything opens no way to write it."""
    people.admin.execute(f"GRANT pg_read_all_data TO {people.application.user}")
    try:
        assert _count(people.application, ADA, "escalations") == 2
        deleted = ask(people.application, as_client(ADA), "DELETE FROM escalations RETURNING 1")
        said = _refused(people.application, as_client(ADA), row_of("escalations", BOB))
    finally:
        people.admin.execute(f"REVOKE pg_read_all_data FROM {people.application.user}")

    assert len(deleted) == 1
    assert _violates(said, "insert_only_for_session_client", "escalations")


def test_row_security_is_not_switched_off_by_a_session(refusing: People) -> None:
    """`row_security = off` makes a filtered query an error, never an unfiltered one."""
    said = _refused(
        refusing.application, as_client(ADA), "SET row_security = off", "SELECT * FROM tasks"
    )

    assert "would be affected by row-level security" in str(said)


def test_every_table_that_leads_to_a_client_has_the_four_policies(refusing: People) -> None:
    """A table with a foreign key to clients or tasks that is added later is not forgotten."""
    rows = refusing.owner.fetch("""
        SELECT relname, relrowsecurity, relforcerowsecurity,
               (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)
        FROM pg_class c WHERE oid = 'clients'::regclass OR oid IN (
            SELECT conrelid FROM pg_constraint
            WHERE confrelid IN ('clients'::regclass, 'tasks'::regclass))
    """)

    assert {tuple(row) for row in rows} == {(table, True, False, 4) for table in CLIENT_TABLES}


# --- plans -------------------------------------------------------------------------------------

_INDEX = {
    "clients": "pk_clients",
    "client_profile_entries": "ix_client_profile_entries_client_id_created_at",
    "tasks": "ix_tasks_client_id",
    "document_embeddings": "ix_document_embeddings_client_id",
    "escalations": "ix_escalations_task_id",
    "feedback_entries": "ix_feedback_entries_task_id",
    "task_artifacts": "ix_task_artifacts_task_id",
    "agent_logs": "ix_agent_logs_client_id",
}


@pytest.mark.parametrize("table", CLIENT_TABLES)
@pytest.mark.parametrize("who", ["application", "reader"])
def test_a_policy_is_answered_by_an_index(refusing: People, who: str, table: str) -> None:
    """Reading one client's rows reads no other's."""
    plan = ask(
        refusing.by_name(who),
        as_client(ADA),
        "SET enable_seqscan = off",
        f"EXPLAIN SELECT * FROM {table}",
    )
    lines = "\n".join(row[0] for row in plan)

    assert _INDEX[table] in lines
    assert "Seq Scan" not in lines


def test_a_vector_search_meets_only_the_clients_rows(refusing: People) -> None:
    """The nearest neighbours are those of the client."""
    rows = ask(
        refusing.application,
        as_client(ADA),
        "SET enable_seqscan = off",
        "SET hnsw.iterative_scan = strict_order",
        f"SELECT client_id::text FROM document_embeddings ORDER BY embedding <=> {VECTOR} LIMIT 5",
    )

    assert [row[0] for row in rows] == [ADA]
