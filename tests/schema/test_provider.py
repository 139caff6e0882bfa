"""What the schema node plans, does and refuses, by the calls that the engine makes of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from infra.identity import WrongDatabaseError
from tests.engine import histories
from tests.engine.node import make_database
from tests.migrations.place import cli
from tests.schema.schema_stack import SchemaStack
from tests.unit.settings_project import ADMIN_URL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer


@pytest.fixture
def stack(tmp_path: Path, postgres_server: PostgresServer) -> SchemaStack:
    """A stack on an empty database, with three small revisions."""
    histories.init_three(tmp_path / "migrations")
    url = make_database(postgres_server, f"stack {os.urandom(4).hex()}")
    return SchemaStack(tmp_path, url=url)


# -- a database that is not there, or not yet ----------------------------------------------


def test_a_database_that_is_not_there_yet_is_planned_from_nothing(stack: SchemaStack) -> None:
    """The server answers and has no such database: the plan says so, and `up` fails in words."""
    stack.url = (stack.url or "").replace("stack%20", "no%20")

    shown = stack.shown()
    failed = stack.up(check=False)

    assert "no such database" in shown["notes"][0]
    assert list(shown["pending"]) == ["aaa1", "bbb2", "ccc3"]
    assert failed.status != 0
    assert "does not exist" in failed.text


def test_a_server_that_does_not_answer_is_no_empty_database(stack: SchemaStack) -> None:
    """What can't be told is not guessed: nothing is pending, and the reason is shown."""
    stack.up()
    host = (stack.url or "").partition("@")[2].partition("/")[0]
    stack.url = (stack.url or "").replace(host, "127.0.0.1:1")

    shown = stack.shown()

    assert shown["plan"].startswith("can't be told")
    assert shown["pending"] == {}
    assert "127.0.0.1:1" in shown["plan"]


# -- how Alembic is called ------------------------------------------------------------------


def test_arguments_that_are_not_known_yet_leave_the_plan_open(stack: SchemaStack) -> None:
    """A resource still to be made gives them: `up`, which has them, brings the schema to head."""
    stack.arguments = None
    shown = stack.shown()
    stack.arguments = ("tenant=blue",)
    stack.up()

    assert shown["plan"] == "can't be told: the arguments of env.py (-x) are not known yet"
    assert stack.heads() == [("ccc3",)]
    assert stack.is_settled()


def test_how_alembic_is_called_is_shown_and_kept_without_secrets(stack: SchemaStack) -> None:
    """A note of each plan; a change of it alone is an update, so that `refresh` knows it too."""
    stack.up()
    stack.arguments = ("tenant=blue", "token=hunter22")
    shown = stack.shown()
    stack.up()
    stack.secret = True
    hidden = stack.shown()

    assert shown["op"] == "update"
    assert shown["notes"] == ["env.py is called with -x tenant=blue -x token=hunter22"]
    assert stack.is_settled()
    assert hidden["notes"] == ["env.py is called with -x tenant=*** -x token=***"]
    assert "hunter22" not in str({**hidden, "arguments": None})


# -- what others did to the database --------------------------------------------------------


def test_plain_alembic_beside_the_node_is_seen_both_ways(stack: SchemaStack) -> None:
    """What was run by hand needs nothing more; what was taken back by hand is pending again."""
    stack.up()
    stack.add_fourth()
    ini = stack.migrations / "alembic.ini"
    url = (stack.url or "").replace("postgresql://", "postgresql+asyncpg://")
    url = url.replace("sslmode", "ssl").replace("%", "%%")
    ini.write_text(
        "\n".join(
            f"sqlalchemy.url = {url}" if line.startswith("sqlalchemy.url") else line
            for line in ini.read_text().splitlines()
        )
    )

    done = cli("-c", str(ini), "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert stack.is_settled()

    assert cli("-c", str(ini), "downgrade", "bbb2").returncode == 0
    assert list(stack.shown()["pending"]) == ["ccc3", "ddd4"]
    stack.up()
    assert stack.is_settled()


def test_a_change_by_hand_is_seen_reported_refused_and_accepted(stack: SchemaStack) -> None:
    """Preview and refresh name the object; the stack decides what comes of it."""
    stack.up()
    stack.database.run("ALTER TABLE one ADD COLUMN by_hand int", "SELECT 1")

    shown = stack.shown()
    assert shown["op"] == "update"
    assert list(shown["drift"]) == ["column public.one.by_hand"]
    stack.refresh()
    assert list(stack.resource.outputs["drift"]) == ["column public.one.by_hand"]

    stack.configure(drift="refuse")
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "by_hand" in refused.text

    stack.configure(drift="accept")
    stack.up()
    assert stack.is_settled()
    stack.configure(drift="refuse")
    assert stack.is_settled()


def test_tables_without_a_version_are_adopted_after_a_comparison(stack: SchemaStack) -> None:
    """What a revision would have made is stamped; what differs is refused with the differences."""
    stack.database.run("CREATE TABLE one (id int PRIMARY KEY, note varchar(5))", "SELECT 1")
    stack.configure(adopt="bbb2")

    refused = stack.preview(check=False)
    assert refused.status != 0
    assert "one.note" in refused.text

    stack.database.run("ALTER TABLE one ALTER note TYPE text", "SELECT 1")
    shown = stack.shown()
    stack.up()

    assert "2 to adopt" in shown["plan"]
    assert list(shown["pending"]) == ["ccc3"]
    assert stack.heads() == [("ccc3",)]
    assert stack.is_settled()


def test_a_lost_state_costs_nothing(stack: SchemaStack) -> None:
    """A new stack on the same database takes what is there, and runs nothing."""
    stack.up()
    stack.resource.forget()

    assert stack.shown()["op"] == "create"
    stack.up()

    assert stack.revision() == "ccc3"
    assert stack.database.run("SELECT count(*) FROM schema_ledger.events") == [(3,)]


# -- the files --------------------------------------------------------------------------------


def test_two_heads_an_edit_and_an_older_checkout_are_refused_at_preview(
    stack: SchemaStack,
) -> None:
    """Each has one message that names what is in the way, and nothing runs."""
    stack.up()
    branch = stack.add("ddd5", "bbb2", "op.execute('SELECT 1')")
    refused = stack.preview(check=False)
    assert refused.status != 0
    for said in ("ccc3", "ddd5", 'alembic merge -m "merge heads" ccc3 ddd5'):
        assert said in refused.text
    branch.unlink()

    edited = stack.migrations / "alembic" / "versions" / "bbb2_.py"
    edited.write_text(edited.read_text().replace("note", "remark"))
    refused = stack.preview(check=False)
    assert refused.status != 0
    assert "bbb2 in bbb2_.py" in refused.text
    edited.write_text(edited.read_text().replace("remark", "note"))

    last = stack.migrations / "alembic" / "versions" / "ccc3_.py"
    kept = last.read_text()
    last.unlink()
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "ccc3  message of ccc3" in refused.text
    last.write_text(kept)
    assert stack.is_settled()


def test_an_older_checkout_goes_back_with_the_ledger_where_that_is_allowed(
    stack: SchemaStack,
) -> None:
    """Without its file, a revision is taken back by the SQL in the ledger, as previewed."""
    stack.up()
    stack.database.run("INSERT INTO one VALUES (1, 'x'), (2, NULL), (3, 'y')", "SELECT 1")
    for revision in ("ccc3", "bbb2"):
        (stack.migrations / "alembic" / "versions" / f"{revision}_.py").unlink()
    stack.configure(downgrade="allow")

    shown = stack.shown()
    stack.up()

    assert {revision: step["message"] for revision, step in shown["pending"].items()} == {
        "bbb2": "2/2 take back: message of bbb2",
        "ccc3": "1/2 take back: message of ccc3",
    }
    assert shown["pending"]["bbb2"]["loses"] == "column one.note with 2 rows"
    assert shown["pending"]["bbb2"]["sql"] == ["ALTER TABLE one DROP COLUMN note"]
    assert stack.heads() == [("aaa1",)]
    assert stack.database.run(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'one'::regclass AND attnum > 0"
        " AND NOT attisdropped"
    ) == [(1,)]
    assert stack.is_settled()


def test_a_broken_revision_is_in_the_report(stack: SchemaStack) -> None:
    """A preview that can't make a plan leaves a report that says why."""
    (stack.migrations / "alembic" / "versions" / "broken.py").write_text("def upgrade(:\n")

    stopped = stack.preview(check=False)

    assert stopped.status != 0
    assert "broken.py" in stopped.text
    assert "broken.py" in stack.filed("report.md")
    assert stack.facts()["refused"] is True


# -- what the stack says ----------------------------------------------------------------------


def test_only_the_approved_plan_runs(stack: SchemaStack) -> None:
    """`up` takes the digest that preview showed, and no other plan."""
    approve = stack.shown()["approve"]

    stack.configure(approved_plan="0" * 64)
    refused = stack.up(check=False)
    assert refused.status != 0
    assert approve in refused.text
    assert stack.database.run("SELECT to_regclass('one')::text") == [(None,)]
    assert stack.preview().status == 0

    stack.configure(approved_plan=approve)
    stack.up()
    assert stack.heads() == [("ccc3",)]
    assert stack.is_settled()


def test_destroy_leaves_the_schema_unless_told_otherwise(stack: SchemaStack) -> None:
    """Nothing is lost without a word; with one, the schema is taken back to nothing."""
    stack.up()
    stack.destroy()
    assert stack.heads() == [("ccc3",)]

    stack.configure(on_destroy="downgrade")
    stack.up()
    stack.destroy()
    assert stack.database.run("SELECT to_regclass('one')::text") == [(None,)]


def test_nothing_is_taken_back_in_another_cluster(stack: SchemaStack) -> None:
    """The state says which one the schema is in: a plan and a destroy stop at another one."""
    stack.configure(on_destroy="downgrade")
    stack.up()
    stack.resource.outputs["database"] = "1/books"

    with pytest.raises(WrongDatabaseError, match="cluster 1"):
        stack.resource.destroy()
    assert stack.heads() == [("ccc3",)]

    # The state knows one cluster, and the program leads to another one.
    stack.resource.inputs = {**(stack.resource.inputs or {}), "database": "1/books"}
    (found,) = stack.database.run("SELECT system_identifier::text FROM pg_control_system()")
    stack.cluster = str(found[0])
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "cluster 1" in refused.text
    (name,) = stack.database.run("SELECT current_database()::text")
    stack.configure(target="existing", adminUrl=ADMIN_URL, movedTo=f"{stack.cluster}/{name[0]}")
    assert stack.shown()["op"] == "update"
    stack.up()
    assert stack.is_settled()

    stack.configure(movedTo=None)
    stack.resource.outputs["database"] = "1/books"
    stack.cluster = "1"
    refused = stack.preview(check=False)
    assert refused.status != 0
    assert "cluster 1" in refused.text
    stack.configure(environment="preview")
    stack.resource.outputs["options"] = {
        **stack.resource.outputs["options"],
        "environment": "preview",
    }
    stack.resource.destroy()


@pytest.mark.parametrize("deletion_first", [False, True])
def test_a_replacement_never_downgrades(stack: SchemaStack, deletion_first: bool) -> None:  # noqa: FBT001 - a parameter
    """Whichever comes first; a destroy afterwards still downgrades."""
    stack.configure(on_destroy="downgrade")
    stack.up()
    stack.database.run("INSERT INTO one VALUES (1)")

    stack.replace(deletion_first=deletion_first)

    assert stack.heads() == [("ccc3",)]
    assert stack.database.run("SELECT count(*) FROM one") == [(1,)]
    assert stack.is_settled()
    stack.destroy()
    assert stack.database.run("SELECT to_regclass('one')::text") == [(None,)]


def test_a_ledger_that_was_dropped_is_made_again(stack: SchemaStack) -> None:
    """The preview says that it is gone, and one `up` is enough."""
    stack.up()
    stack.database.run("DROP SCHEMA schema_ledger CASCADE")

    assert "the ledger (schema_ledger) was removed" in stack.preview().text
    stack.up()

    assert stack.is_settled()
    assert stack.database.run("SELECT count(*) FROM schema_ledger.catalogs") == [(1,)]


def test_a_failing_revision_is_undone_and_the_next_up_goes_on(stack: SchemaStack) -> None:
    """The message names revision and statement; what was before stays; mended, it runs."""
    bad = stack.add(
        "ddd4",
        "ccc3",
        "op.execute('CREATE TABLE two (id int)')\nop.execute('ALTER TABLE three ADD x int')",
    )

    failed = stack.up(check=False)

    assert failed.status != 0
    for said in ("ddd4", "three", "ALTER TABLE three"):
        assert said in failed.text
    assert stack.heads() == [("ccc3",)]
    assert stack.database.run("SELECT to_regclass('two')::text") == [(None,)]
    bad.write_text(bad.read_text().replace("ALTER TABLE three", "ALTER TABLE two"))
    stack.up()
    assert stack.revision() == "ddd4"


# -- the review -------------------------------------------------------------------------------

_UNSAFE = "op.execute('ALTER TABLE one ALTER COLUMN id TYPE bigint')"


def test_lint_refuses_an_up_and_lets_a_preview_pass(stack: SchemaStack) -> None:
    """`lint: refuse` stops before anything runs; a reason in the file, or another level, helps."""
    stack.up()
    stack.configure(lint="refuse")
    stack.add("ddd4", "ccc3", _UNSAFE)

    assert "up refuses: lint found errors" in stack.preview().text
    assert stack.facts()["refused"] is True
    refused = stack.up(check=False)
    assert refused.status != 0
    assert "changing-column-type" in refused.text
    assert "lint_ignore" in refused.text
    assert stack.heads() == [("ccc3",)]

    reason = "lint_ignore = {'changing-column-type': 'the table is small'}"
    stack.add("ddd4", "ccc3", _UNSAFE, head=reason)
    assert "up refuses" not in stack.preview().text
    stack.up()
    assert stack.heads() == [("ddd4",)]


def test_levels_come_from_the_configuration(stack: SchemaStack) -> None:
    """A map in the stack's file, which the engine hands over as JSON, takes the edge off a rule."""
    stack.up()
    stack.configure(lint="refuse", lint_levels='{"changing-column-type": "warning"}')
    stack.add("ddd4", "ccc3", _UNSAFE)

    stack.up()

    assert stack.heads() == [("ddd4",)]


def test_a_rehearsal_that_fails_stops_the_preview(stack: SchemaStack) -> None:
    """With the failing statement and PostgreSQL's words; the report is there all the same."""
    stack.up()
    stack.configure(rehearse="true")
    stack.add("ddd4", "ccc3", "op.execute('ALTER TABLE one ADD COLUMN note text')")

    stopped = stack.preview(check=False)

    assert stopped.status != 0
    assert "statement 1: ALTER TABLE one ADD COLUMN note text" in stopped.text
    assert 'column "note" of relation "one" already exists' in stopped.text
    assert stack.facts()["failed"] is True
    assert "already exists" in stack.filed("report.md")


def test_a_preview_without_a_database_rehearses_from_nothing(stack: SchemaStack) -> None:
    """Where the URL is still to come, the history is run on an empty server."""
    stack.url = None
    stack.configure(rehearse="true")

    said = stack.preview().text

    assert "rehearsed in" in said
    assert "on nothing" in said


def test_no_secret_is_told(stack: SchemaStack, postgres_server: PostgresServer) -> None:
    """The password of the URL is in no property that is shown, and in no message of a failure."""
    secret = quote(postgres_server.password, safe="")
    stack.add("ddd4", "ccc3", "op.execute('SELECT 1/0')")

    shown = stack.shown()
    del shown["url"]
    failed = stack.up(check=False)

    assert failed.status != 0
    assert "ddd4" in failed.text
    for text in (str(shown), failed.text, stack.filed("report.md"), stack.filed("review.json")):
        assert secret not in text
        assert postgres_server.password not in text
