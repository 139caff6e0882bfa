# ruff: noqa: S608 - all SQL is put together from constants of this file
"""Completed tasks are kept for seven years, whoever wants them gone, in whatever way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from .people import ADA, TASKS, as_client, ask

if TYPE_CHECKING:
    from .people import People

_TASK = TASKS[ADA]
_WRITERS = ["owner", "application", "admin"]
_YOUNG = "now() - interval '7 years' + interval '1 day'"
_OLD = "now() - interval '7 years' - interval '2 days'"  # two: a leap day may be between


@pytest.fixture(scope="module")
def kept(refusing: People) -> People:
    """A task without a history that was completed a day less than seven years ago."""
    return _completed(refusing, _YOUNG)


def _completed(people: People, when: str) -> People:
    people.owner.execute(
        f"INSERT INTO tasks (id, client_id, task_type, agent_type, status, completed_at)"
        f" VALUES ('{ADA}', '{ADA}', 'return', 'preparer', 'completed', {when})"
    )
    return people


def _run(people: People, who: str, statement: str) -> str:
    return _status(ask(people.by_name(who), as_client(ADA), statement))


def _status(rows: list[asyncpg.Record]) -> str:
    return str(rows[0][0]) if rows else ""


@pytest.mark.parametrize("who", _WRITERS)
@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM tasks WHERE id = '{ADA}'",
        "DELETE FROM tasks",
        f"UPDATE tasks SET status = 'failed' WHERE id = '{ADA}'",
        f"UPDATE tasks SET completed_at = completed_at - interval '1 s' WHERE id = '{ADA}'",
        f"UPDATE tasks SET completed_at = '-infinity' WHERE id = '{ADA}'",
        f"UPDATE tasks SET status = 'pending', completed_at = NULL WHERE id = '{ADA}'",
        f"UPDATE tasks SET completed_at = NULL WHERE id = '{ADA}'",
        "INSERT INTO tasks TABLE tasks ON CONFLICT (id) DO UPDATE SET status = 'failed'",
        f"MERGE INTO tasks USING (VALUES (1)) ON id = '{ADA}' WHEN MATCHED THEN DELETE",
        f"WITH gone AS (DELETE FROM tasks WHERE id = '{ADA}' RETURNING id) SELECT id FROM gone",
    ],
)
def test_a_completed_task_is_kept(kept: People, who: str, statement: str) -> None:
    """It can't be deleted, reopened or backdated, and the error names the rule."""
    with pytest.raises(asyncpg.RestrictViolationError) as caught:
        _run(kept, who, statement)

    assert caught.value.constraint_name == "tg_tasks_kept_seven_years"
    assert (caught.value.schema_name, caught.value.table_name) == ("app", "tasks")
    assert f"task {ADA} is completed and kept until" in str(caught.value)
    assert caught.value.hint
    assert kept.owner.value(f"SELECT status::text FROM tasks WHERE id = '{ADA}'") == "completed"


@pytest.mark.parametrize("who", ["owner", "admin"])
@pytest.mark.parametrize("statement", ["TRUNCATE tasks CASCADE", "TRUNCATE clients CASCADE"])
def test_all_tasks_at_once_are_kept_too(people: People, who: str, statement: str) -> None:
    """TRUNCATE, directly or by way of the clients, is refused."""
    with pytest.raises(asyncpg.RestrictViolationError):
        people.by_name(who).execute(statement)

    with pytest.raises(asyncpg.RestrictViolationError) as caught:
        people.by_name(who).execute(
            "ALTER TABLE agent_logs DISABLE TRIGGER tg_agent_logs_append_only",
            "ALTER TABLE client_profile_entries"
            " DISABLE TRIGGER tg_client_profile_entries_append_only",
            statement,
        )
    assert caught.value.constraint_name == "tg_tasks_not_truncated"


def test_the_application_has_no_way_to_truncate(people: People) -> None:
    """It never got the privilege."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        people.application.execute("TRUNCATE tasks CASCADE")


@pytest.mark.parametrize("who", ["reader", "auditor"])
@pytest.mark.parametrize("statement", ["DELETE FROM tasks", "UPDATE tasks SET status = 'failed'"])
def test_who_only_reads_changes_nothing(kept: People, who: str, statement: str) -> None:
    """A reader and an auditor have no privilege to write."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        _run(kept, who, statement)


@pytest.mark.parametrize("who", _WRITERS)
@pytest.mark.parametrize(
    "change",
    [
        "completed_at = completed_at + interval '1 year'",
        "completed_at = 'infinity'",
        "error_message = 'late'",
        "status = 'completed'",
    ],
)
def test_what_keeps_it_no_shorter_is_allowed(people: People, who: str, change: str) -> None:
    """A later time and every other column may change."""
    _completed(people, _YOUNG)

    assert _run(people, who, f"UPDATE tasks SET {change} WHERE id = '{ADA}' RETURNING 'done'")


@pytest.mark.parametrize("who", _WRITERS)
def test_after_seven_years_a_task_may_go(people: People, who: str) -> None:
    """The rule lets go of it by itself."""
    _completed(people, _OLD)

    assert _run(people, who, f"DELETE FROM tasks WHERE id = '{ADA}' RETURNING 'done'") == "done"


@pytest.mark.parametrize("who", _WRITERS)
@pytest.mark.parametrize("status", ["pending", "in_progress", "failed", "escalated"])
def test_a_task_that_is_not_completed_may_go(people: People, who: str, status: str) -> None:
    """Also where it carries a time of completion."""
    people.owner.execute(
        f"INSERT INTO tasks (id, client_id, task_type, agent_type, status, completed_at)"
        f" VALUES ('{ADA}', '{ADA}', 'x', 'x', '{status}', now())"
    )

    assert _run(people, who, f"DELETE FROM tasks WHERE id = '{ADA}' RETURNING 'done'") == "done"


def test_a_task_can_be_worked_on_until_it_is_completed(people: People) -> None:
    """Every way through the statuses is open before."""
    steps = ["assigned", "in_progress", "failed", "pending", "escalated", "in_progress"]

    for status in steps:
        _run(people, "application", f"UPDATE tasks SET status = '{status}' WHERE id = '{_TASK}'")
    done = "UPDATE tasks SET status = 'completed', completed_at = now() RETURNING status"

    assert _run(people, "application", done) == "completed"


def test_what_a_kept_task_produced_stays_with_it(people: People) -> None:
    """A refused DELETE takes no output along."""
    kept = _completed(people, _YOUNG)
    kept.owner.execute(
        f"INSERT INTO task_artifacts (task_id, artifact_type, file_path) VALUES ('{ADA}', 'p', 'f')"
    )

    with pytest.raises(asyncpg.RestrictViolationError):
        _run(kept, "application", f"DELETE FROM tasks WHERE id = '{ADA}'")

    assert kept.owner.value(f"SELECT count(*) FROM task_artifacts WHERE task_id = '{ADA}'") == 1


@pytest.mark.parametrize("role", ["replica", "local"])
def test_the_rule_holds_in_every_replication_role(kept: People, role: str) -> None:
    """A superuser who turns ordinary triggers off for a session meets it all the same."""
    with pytest.raises(asyncpg.RestrictViolationError):
        kept.admin.execute(
            f"SET session_replication_role = {role}", f"DELETE FROM tasks WHERE id = '{ADA}'"
        )


def test_no_search_path_changes_the_rule(people: People) -> None:
    """Somebody's own `now()` is not what the trigger calls."""
    kept = _completed(people, _YOUNG)

    with pytest.raises(asyncpg.RestrictViolationError):
        kept.owner.execute(
            "CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS"
            " $$SELECT '2999-01-01Z'::timestamptz$$",
            "SET search_path = app, pg_catalog, ext",
            f"DELETE FROM tasks WHERE id = '{ADA}'",
        )


def test_no_time_zone_changes_the_rule(people: People) -> None:
    """The border is the same instant for everybody."""
    _completed(people, "now() - interval '7 years' + interval '2 hours'")

    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        with pytest.raises(asyncpg.RestrictViolationError):
            people.owner.execute(
                f"SET timezone = '{zone}'", f"DELETE FROM tasks WHERE id = '{ADA}'"
            )
