# ruff: noqa: S608 - all SQL is put together from constants of this file
"""A client is erased in one way, which takes what the law lets go and leaves a record."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.waiting import wait_until_async

from .people import ADA, BOB, CLIENT_TABLES, NOBODY, TASKS, as_client, ask, row_of
from .place import quoted

if TYPE_CHECKING:
    from .people import People
    from .place import Place

_ERASE = f"SELECT * FROM erase_client('{ADA}', 'request 17')"


def _refused(place: Place, *statements: str) -> asyncpg.PostgresError:
    with pytest.raises(asyncpg.PostgresError) as caught:
        ask(place, *statements)
    return caught.value


def _erase(people: People, statement: str = _ERASE) -> dict[str, tuple[int, int]]:
    return {row[0]: (row[1], row[2]) for row in ask(people.owner, statement)}


def _counts(people: People, client: str) -> dict[str, int]:
    """Return how many rows of each table a session of `client` sees."""
    return {
        table: ask(people.application, as_client(client), f"SELECT count(*) FROM {table}")[0][0]
        for table in CLIENT_TABLES
    }


def _audit(people: People) -> list[dict[str, Any]]:
    rows = people.auditor.fetch("SELECT * FROM agent_logs WHERE agent = 'erasure' ORDER BY id")
    return [{**row, "metadata": json.loads(row["metadata"])} for row in rows]


def _retained_task(people: People, task: str, years: str) -> None:
    """Give Ada a completed task with one row of everything that hangs on a task."""
    people.owner.execute(
        "INSERT INTO tasks (id, client_id, task_type, agent_type, status, completed_at) VALUES"
        f" ('{task}', '{ADA}', 'return', 'preparer', 'completed', now() - interval '{years}')",
        *(
            row_of(table, ADA).replace(TASKS[ADA], task)
            for table in ("agent_logs", "escalations", "feedback_entries", "task_artifacts")
        ),
    )


def test_a_client_is_erased_and_the_log_says_so(people: People) -> None:
    """Everything of the client goes, nothing of another; two lines without personal data stay."""
    others = _counts(people, BOB)

    erased = _erase(people)

    assert erased == dict.fromkeys(CLIENT_TABLES, (1, 0))
    assert set(_counts(people, ADA).values()) == {0}
    assert _counts(people, BOB) == others == dict.fromkeys(CLIENT_TABLES, 1)
    began, ended = _audit(people)
    assert began["metadata"] == {
        "client": ADA,
        "reason": "request 17",
        "by": people.owner.user,
        "transaction": began["metadata"]["transaction"],
    }
    assert ended["metadata"]["erasure"] == began["id"]
    assert ended["metadata"]["tables"]["clients"] == {"erased": 1, "kept": 0}
    for line in (began, ended):
        assert (line["client_id"], line["task_id"], line["level"]) == (None, None, "warning")
        assert "Ada" not in str(line)


def test_what_the_law_keeps_stays_until_it_may_go(people: People) -> None:
    """A task under retention keeps what hangs on it and its client; later, the rest goes."""
    _retained_task(people, NOBODY, "6 years")
    hanging = ("agent_logs", "escalations", "feedback_entries", "task_artifacts", "tasks")

    first = _erase(people)

    assert first == {
        **dict.fromkeys(hanging, (1, 1)),
        "client_profile_entries": (1, 0),
        "document_embeddings": (1, 0),
        "clients": (0, 1),
    }
    people.admin.execute(
        "ALTER TABLE tasks DISABLE TRIGGER tg_tasks_kept_seven_years",
        "UPDATE tasks SET completed_at = completed_at - interval '1 year 2 days'"
        " WHERE status = 'completed'",
        "ALTER TABLE tasks ENABLE ALWAYS TRIGGER tg_tasks_kept_seven_years",
    )

    second = _erase(people)

    assert second == {
        **dict.fromkeys((*hanging, "clients"), (1, 0)),
        "client_profile_entries": (0, 0),
        "document_embeddings": (0, 0),
    }
    assert len(_audit(people)) == 4


def test_a_log_line_of_two_clients_goes_with_either(people: People) -> None:
    """A line that names a client or one of its tasks is the client's; the kept ones stay."""
    _retained_task(people, NOBODY, "1 day")
    line = "INSERT INTO agent_logs (client_id, task_id, agent, level, message) VALUES"
    people.owner.execute(
        f"{line} ('{ADA}', NULL, 'a', 'info', 'goes')",
        f"{line} (NULL, '{TASKS[ADA]}', 'a', 'info', 'goes')",
        f"{line} ('{ADA}', '{TASKS[BOB]}', 'a', 'info', 'goes')",
        f"{line} ('{BOB}', '{TASKS[ADA]}', 'a', 'info', 'goes')",
        f"{line} (NULL, '{NOBODY}', 'a', 'info', 'stays')",
        f"{line} ('{BOB}', '{NOBODY}', 'a', 'info', 'stays')",
        f"{line} (NULL, NULL, 'a', 'info', 'stays')",
        f"{line} ('{BOB}', '{TASKS[BOB]}', 'a', 'info', 'stays')",
    )

    _erase(people)

    left = people.owner.fetch("SELECT message FROM agent_logs WHERE agent = 'a'")
    assert [row[0] for row in left] == ["stays"] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (f"'{ADA}', ''", "needs a reason"),
        (f"'{ADA}', E' \\t\\n'", "needs a reason"),
        (f"'{ADA}', NULL", "needs a reason"),
        (f"'{NOBODY}', 'r'", f"no client '{NOBODY}'"),
        ("NULL, 'r'", "no client NULL"),
        ("'Ada', 'r'", "invalid input syntax for type uuid"),
    ],
)
def test_an_erasure_that_makes_no_sense_is_refused(
    refusing: People, arguments: str, message: str
) -> None:
    """Without a client or a reason nothing happens, and nothing is logged."""
    said = _refused(refusing.owner, f"SELECT * FROM erase_client({arguments})")

    assert message in str(said)
    assert _audit(refusing) == []


@pytest.mark.parametrize("who", ["application", "reader", "auditor"])
def test_nobody_may_erase_by_default(refusing: People, who: str) -> None:
    """Neither PUBLIC nor a role that default privileges favour."""
    said = _refused(refusing.by_name(who), _ERASE)

    assert isinstance(said, asyncpg.InsufficientPrivilegeError)
    assert "erase_client" in str(said)


def test_an_officer_who_was_granted_it_erases(people: People) -> None:
    """The grant is enough: no right on any table is needed, and the log names the officer."""
    officer = people.reader
    people.owner.execute(f"GRANT EXECUTE ON FUNCTION erase_client(uuid, text) TO {officer.user}")

    rows = ask(officer, _ERASE)

    assert [row["erased"] for row in rows] == [1] * len(CLIENT_TABLES)
    assert _audit(people)[0]["metadata"]["by"] == officer.user


def test_an_erasure_is_undone_as_a_whole(people: People) -> None:
    """What fails later in the transaction brings everything back, the lines included."""
    before = _counts(people, ADA)

    _refused(people.owner, "BEGIN", _ERASE, "SELECT 1 / 0")

    assert _counts(people, ADA) == before
    assert _audit(people) == []


def test_an_erasure_works_inside_a_savepoint(people: People) -> None:
    """The line belongs to the transaction, however deep it was written."""
    ask(people.owner, "BEGIN", "SAVEPOINT a", "SAVEPOINT b", _ERASE, "COMMIT")

    assert set(_counts(people, ADA).values()) == {0}


def test_two_erasures_in_one_transaction(people: People) -> None:
    """Each has its own two lines."""
    ask(people.owner, "BEGIN", _ERASE, _ERASE.replace(ADA, BOB), "COMMIT")

    assert people.owner.value("SELECT count(*) FROM clients") == 0
    assert len(_audit(people)) == 4


def test_what_is_added_meanwhile_does_not_get_through(people: People) -> None:
    """Whoever adds to a client that is being erased waits, and is refused afterwards."""
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)"

    async def run() -> None:
        eraser = await asyncpg.connect(people.owner.url, ssl=False)
        writer = await asyncpg.connect(people.application.url, ssl=False)
        await writer.execute(as_client(ADA))
        transaction = eraser.transaction()
        await transaction.start()
        await eraser.execute(_ERASE)
        adding = asyncio.create_task(writer.execute(row_of("client_profile_entries", ADA)))
        await wait_until_async(lambda: eraser.fetchval(waits, writer.get_server_pid()))
        assert not adding.done()
        await transaction.commit()
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await adding
        await eraser.close()
        await writer.close()

    asyncio.run(run())


def test_temporary_tables_and_foreign_functions_mislead_nobody(people: People) -> None:
    """Whatever the officer's session puts in the way, the function means what it says."""
    officer = people.reader
    people.owner.execute(f"GRANT EXECUTE ON FUNCTION erase_client(uuid, text) TO {officer.user}")
    people.admin.execute(
        f"CREATE SCHEMA evil AUTHORIZATION {officer.user}",
        f"GRANT TEMPORARY ON DATABASE {people.admin.database} TO {officer.user}",
    )

    ask(
        officer,
        "CREATE TEMPORARY TABLE agent_logs (id bigint, agent text)",
        "CREATE TEMPORARY TABLE clients (id uuid)",
        "CREATE TEMPORARY TABLE tasks (id uuid, client_id uuid)",
        "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS"
        " $$SELECT 'infinity'::timestamptz$$",
        "CREATE FUNCTION evil.format(text, uuid) RETURNS text LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'called'; END$$",
        "CREATE FUNCTION evil.same(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.same)",
        "SET search_path = pg_temp, evil, pg_catalog",
        _ERASE.replace("erase_client", "app.erase_client"),
    )

    assert set(_counts(people, ADA).values()) == {0}
    assert set(_counts(people, BOB).values()) == {1}
    assert len(_audit(people)) == 2


def test_erasure_works_in_a_schema_with_an_awkward_name(empty: Place) -> None:
    """The schema is written into the function as what it is."""
    schema = quoted("""o'Brien "100%s" @. %1$I $x$""")
    empty.execute(
        f"CREATE SCHEMA {schema}",
        "CREATE EXTENSION vector",
        f"ALTER DATABASE {empty.database} SET search_path = {schema}, public",
    )
    empty.alembic("upgrade", "head")
    empty.execute(
        f"INSERT INTO clients (id, name) VALUES ('{ADA}', 'Ada')",
        "INSERT INTO agent_logs (client_id, agent, level, message)"
        f" VALUES ('{ADA}', 'a', 'info', 'm')",
    )

    rows = empty.fetch(_ERASE)

    assert {row["table_name"]: row["erased"] for row in rows}["agent_logs"] == 1
    before = empty.value("SELECT count(*) FROM pg_proc WHERE proname = 'erase_client'")
    empty.alembic("downgrade", "base")
    after = empty.value("SELECT count(*) FROM pg_proc WHERE proname = 'erase_client'")
    assert (before, after) == (1, 0)
