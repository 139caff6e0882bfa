# ruff: noqa: S608 - all SQL is put together from constants of this file
"""Two logs only grow, whoever wants it otherwise, in whatever way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from .people import ADA, as_client, ask, row_of

if TYPE_CHECKING:
    from .people import People
    from .place import Place

_LOGS = ["agent_logs", "client_profile_entries"]
_WRITERS = ["owner", "application", "admin"]
_ERASE = f"SELECT * FROM erase_client('{ADA}', 'request 17')"
# What somebody would have to write to look like an erasure in this transaction.
_LINE = (
    "INSERT INTO agent_logs (agent, level, message, metadata) VALUES ('erasure', 'info', 'm',"
    " jsonb_build_object('transaction', pg_current_xact_id()::text))"
)
_NAME_LINE = "SELECT set_config('groundwork.erasure', max(id)::text, true) FROM agent_logs"


def _refused(place: Place, *statements: str) -> asyncpg.PostgresError:
    with pytest.raises(asyncpg.PostgresError) as caught:
        ask(place, *statements)
    return caught.value


@pytest.mark.parametrize("who", _WRITERS)
@pytest.mark.parametrize("table", _LOGS)
@pytest.mark.parametrize(
    ("verb", "statement"),
    [
        ("UPDATE", "UPDATE {table} SET created_at = now()"),
        ("UPDATE", "UPDATE {table} SET created_at = now() WHERE false"),
        ("UPDATE", "WITH x AS (UPDATE {table} SET created_at = now()) SELECT 1"),
        ("UPDATE", "{insert} ON CONFLICT (id) DO UPDATE SET created_at = now()"),
        ("UPDATE", "MERGE INTO {table} USING (VALUES (1)) ON true WHEN MATCHED THEN UPDATE {now}"),
        ("DELETE", "DELETE FROM {table}"),
        ("DELETE", "DELETE FROM {table} WHERE false"),
        ("DELETE", "MERGE INTO {table} USING (VALUES (1)) ON true WHEN MATCHED THEN DELETE"),
        ("TRUNCATE", "TRUNCATE {table}"),
        ("TRUNCATE", "TRUNCATE clients CASCADE"),
    ],
)  # fmt: skip - one case a line or two
def test_a_log_refuses_every_change(
    refusing: People, who: str, table: str, verb: str, statement: str
) -> None:
    """For the owner and a superuser too, whether rows are met or not; the error says so."""
    said = _refused(
        refusing.by_name(who),
        as_client(ADA),
        statement.format(table=table, insert=row_of(table, ADA), now="SET created_at = now()"),
    )

    if verb == "TRUNCATE" and who == "application":  # it never got the privilege
        assert isinstance(said, asyncpg.InsufficientPrivilegeError)
        return
    assert isinstance(said, asyncpg.RestrictViolationError)
    assert f"is append-only: {verb} refused" in str(said)
    assert said.schema_name == "app"
    assert said.table_name in _LOGS
    assert said.constraint_name == f"tg_{said.table_name}_append_only"
    assert "erase_client" in said.hint
    if "CASCADE" not in statement:
        assert said.table_name == table


@pytest.mark.parametrize("who", ["reader", "auditor"])
@pytest.mark.parametrize("table", _LOGS)
def test_who_only_reads_adds_nothing(refusing: People, who: str, table: str) -> None:
    """A reader and an auditor can't write lines, let alone change them."""
    for statement in (row_of(table, ADA), f"DELETE FROM {table}", f"TRUNCATE {table}"):
        said = _refused(refusing.by_name(who), as_client(ADA), statement)
        assert isinstance(said, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize("table", _LOGS)
def test_a_log_grows(people: People, table: str) -> None:
    """The application adds rows."""
    before = people.owner.value(f"SELECT count(*) FROM {table}")

    ask(people.application, as_client(ADA), row_of(table, ADA))

    assert people.owner.value(f"SELECT count(*) FROM {table}") == before + 1


@pytest.mark.parametrize("table", _LOGS)
def test_the_rule_holds_in_a_replicating_session(refusing: People, table: str) -> None:
    """A superuser who turns ordinary triggers off for a session meets it all the same."""
    said = _refused(
        refusing.admin, "SET session_replication_role = replica", f"DELETE FROM {table}"
    )

    assert "append-only" in str(said)


@pytest.mark.parametrize("who", ["application", "admin"])
@pytest.mark.parametrize("agent", ["erasure", "another"])
def test_only_the_owner_can_say_that_it_erases(refusing: People, who: str, agent: str) -> None:
    """A line that looks like an erasure's is refused, any other line opens nothing."""
    said = _refused(
        refusing.by_name(who),
        "BEGIN",
        _LINE.replace("erasure", agent),
        _NAME_LINE,
        "DELETE FROM agent_logs",
    )

    if agent == "erasure":
        assert "written by erase_client alone" in str(said)
        assert said.constraint_name == "tg_agent_logs_erasure_not_forged"
    else:
        assert "is append-only: DELETE refused" in str(said)


def test_copy_forges_no_line_either(refusing: People) -> None:
    """The rule is a trigger on rows, so that it holds on every way in."""

    async def run() -> None:
        connection = await asyncpg.connect(refusing.admin.url, ssl=False)
        try:
            await connection.copy_records_to_table(
                "agent_logs",
                schema_name="app",
                columns=["agent", "level", "message"],
                records=[("erasure", "info", "m")],
            )
        finally:
            await connection.close()

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="written by erase_client alone"):
        asyncio.run(run())


@pytest.mark.parametrize("setting", ["", "0", "x", "1; DROP TABLE tasks", "9" * 30, "-1", "{line}"])
@pytest.mark.parametrize("who", _WRITERS)
def test_a_setting_alone_opens_nothing(refusing: People, who: str, setting: str) -> None:
    """Not with nonsense, and not with the number of any line that is there."""
    line = refusing.owner.value("SELECT max(id) FROM agent_logs")

    said = _refused(
        refusing.by_name(who),
        f"SET groundwork.erasure = '{setting.format(line=line)}'",
        "DELETE FROM agent_logs",
    )

    assert "is append-only: DELETE refused" in str(said)


def test_an_erasure_that_ended_opens_nothing(people: People) -> None:
    """Neither in its own transaction nor in a later one does its line serve again."""
    first = (
        "SELECT set_config('groundwork.erasure', min(id)::text, false)"
        " FROM agent_logs WHERE agent = 'erasure'"
    )

    said = _refused(people.owner, "BEGIN", _ERASE, "DELETE FROM agent_logs")
    assert "is append-only: DELETE refused" in str(said)

    said = _refused(people.owner, "BEGIN", _ERASE, first, "DELETE FROM agent_logs")
    assert "is append-only: DELETE refused" in str(said)

    said = _refused(people.owner, _ERASE, first, "DELETE FROM agent_logs")
    assert "is append-only: DELETE refused" in str(said)


@pytest.mark.parametrize("backdated", [False, True])
def test_a_line_of_another_transaction_opens_nothing(people: People, *, backdated: bool) -> None:
    """Not even where a restored copy comes to the same number of a transaction again."""
    if backdated:  # in this transaction, but from before it
        line = _LINE.replace("metadata)", "metadata, created_at)").replace(
            "::text))", "::text), now() - interval '1 s')"
        )
        statements = ["BEGIN", line, _NAME_LINE]
    else:
        statements = [_LINE, _NAME_LINE.replace("true", "false")]

    said = _refused(people.owner, *statements, "DELETE FROM agent_logs")

    assert "is append-only: DELETE refused" in str(said)


def test_the_owner_deletes_by_hand_only_on_record(people: People) -> None:
    """Whoever is the owner and goes to the length of opening an erasure has written its line."""
    ask(people.owner, "BEGIN", _LINE, _NAME_LINE, "DELETE FROM client_profile_entries", "COMMIT")

    assert people.owner.value("SELECT count(*) FROM client_profile_entries") == 0
    lines = people.auditor.value("SELECT count(*) FROM agent_logs WHERE agent = 'erasure'")
    assert lines == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE agent_logs SET level = 'info'", "TRUNCATE agent_logs"]
)
def test_an_erasure_never_updates_or_truncates(refusing: People, statement: str) -> None:
    """Inside an open erasure a DELETE passes, nothing else."""
    said = _refused(refusing.owner, "BEGIN", _LINE, _NAME_LINE, statement)

    assert "is append-only" in str(said)


def test_a_cascade_never_reaches_a_log(refusing: People) -> None:
    """Foreign keys to the logs' parents restrict: no key deletes or changes a line."""
    actions = refusing.owner.fetch(
        "SELECT confdeltype::text, confupdtype::text FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid IN ('agent_logs'::regclass, 'client_profile_entries'::regclass)"
    )

    assert {tuple(row) for row in actions} == {("r", "a")}
