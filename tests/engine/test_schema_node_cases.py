"""The schema node on the real engine, in the cases that don't come up every day."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.engine import histories
from tests.migrations.place import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.node import Node

pytestmark = pytest.mark.long

_SECRET = "of-the-node-%-@"  # noqa: S105 - of a throwaway role


def test_a_url_that_is_not_known_yet_shows_the_way_from_nothing(
    make_node: Callable[..., Node],
) -> None:
    """Before the server is made, all revisions are pending, and a note says why."""
    node = make_node()
    node.pulumi("config", "set", "node:later", "true")

    shown = node.shown()
    done = node.pulumi("up", "--yes", "--stack", "test")

    assert list(shown["pending"]) == ["aaa1", "bbb2", "ccc3"]
    assert "still to be made" in shown["notes"][0]
    assert done.status == 0
    assert "schema" not in node.steps()


def test_a_database_that_is_not_there_yet_is_planned_from_nothing(
    make_node: Callable[..., Node],
) -> None:
    """The server answers and has no such database: the plan says so, and `up` fails in words."""
    node = make_node()
    node.pulumi("config", "set", "node:url", "--secret", "--", node.url.replace("node%20", "no%20"))

    shown = node.shown()
    failed = node.up(check=False)

    assert "no such database" in shown["notes"][0]
    assert list(shown["pending"]) == ["aaa1", "bbb2", "ccc3"]
    assert failed.status != 0
    assert "does not exist" in failed.text
    assert "Traceback" not in failed.text


def test_a_server_that_does_not_answer_is_no_empty_database(
    make_node: Callable[..., Node],
) -> None:
    """What can't be told is not guessed: nothing is pending, and the reason is shown."""
    node = make_node()
    node.up()
    host = node.url.partition("@")[2].partition("/")[0]
    node.pulumi(
        "config", "set", "node:url", "--secret", "--", node.url.replace(host, "127.0.0.1:1")
    )

    shown = node.shown()

    assert shown["plan"].startswith("can't be told")
    assert shown["pending"] == {}
    assert "127.0.0.1:1" in shown["plan"]


def test_plain_alembic_beside_the_node_is_seen_both_ways(make_node: Callable[..., Node]) -> None:
    """What was run by hand needs nothing more; what was taken back by hand is pending again."""
    node = make_node()
    node.up()
    node.add_fourth()
    ini = str(node.migrations / "alembic.ini")
    text = (node.migrations / "alembic.ini").read_text()
    url = node.url.replace("postgresql://", "postgresql+asyncpg://").replace("sslmode", "ssl")
    lines = [
        f"sqlalchemy.url = {url.replace('%', '%%')}" if line.startswith("sqlalchemy.url") else line
        for line in text.splitlines()
    ]
    (node.migrations / "alembic.ini").write_text("\n".join(lines))

    done = cli("-c", ini, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert "schema" not in node.steps()

    assert cli("-c", ini, "downgrade", "bbb2").returncode == 0
    assert list(node.shown()["pending"]) == ["ccc3", "ddd4"]
    node.up()
    assert "schema" not in node.steps()


def test_two_heads_an_edit_and_an_older_checkout_are_refused_at_preview(
    make_node: Callable[..., Node],
) -> None:
    """Each has one message that names what is in the way, and nothing runs."""
    node = make_node()
    node.up()
    branch = histories.add(node.migrations, "ddd5", "bbb2", "op.execute('SELECT 1')")
    refused = node.preview(check=False)
    assert refused.status != 0
    for said in ("ccc3", "ddd5", "alembic merge"):
        assert said in refused.text
    branch.unlink()

    edited = node.migrations / "alembic" / "versions" / "bbb2_.py"
    edited.write_text(edited.read_text().replace("note", "remark"))
    refused = node.preview(check=False)
    assert refused.status != 0
    assert "bbb2 in bbb2_.py" in refused.text
    assert "Traceback" not in refused.text
    edited.write_text(edited.read_text().replace("remark", "note"))

    last = node.migrations / "alembic" / "versions" / "ccc3_.py"
    kept = last.read_text()
    last.unlink()
    refused = node.up(check=False)
    assert refused.status != 0
    assert "ccc3  message of ccc3" in refused.text
    last.write_text(kept)
    assert "schema" not in node.steps()


def test_an_older_checkout_goes_back_with_the_ledger_where_that_is_allowed(
    make_node: Callable[..., Node],
) -> None:
    """Without its file, a revision is taken back by the SQL in the ledger, as previewed."""
    node = make_node()
    node.up()
    node.database.run("INSERT INTO one VALUES (1, 'x'), (2, NULL), (3, 'y')", "SELECT 1")
    for revision in ("ccc3", "bbb2"):
        (node.migrations / "alembic" / "versions" / f"{revision}_.py").unlink()
    node.configure(downgrade="allow")

    shown = node.shown()
    node.up()

    assert [step["message"] for step in shown["pending"].values()] == [
        "2/2 take back: message of bbb2",
        "1/2 take back: message of ccc3",
    ]
    assert shown["pending"]["bbb2"]["loses"] == "column one.note with 2 rows"
    assert shown["pending"]["bbb2"]["sql"] == ["ALTER TABLE one DROP COLUMN note"]
    assert node.database.run("SELECT version_num FROM alembic_version") == [("aaa1",)]
    assert node.database.run(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'one'::regclass AND attnum > 0"
        " AND NOT attisdropped"
    ) == [(1,)]
    assert "schema" not in node.steps()


def test_a_saved_plan_holds_the_sql_and_runs_as_saved(make_node: Callable[..., Node]) -> None:
    """The engine's own plan file has the statements; `up --plan` takes no others."""
    node = make_node()
    saved = node.folder / "plan.json"
    node.preview(f"--save-plan={saved}")
    assert "CREATE INDEX ix_one_note ON one (note)" in saved.read_text()
    assert _password(node) not in saved.read_text()

    node.database.run(
        "CREATE TABLE alembic_version AS SELECT 'aaa1'::varchar(32) AS version_num",
        "CREATE TABLE one (id int PRIMARY KEY)",
        "SELECT 1",
    )
    moved = node.up(f"--plan={saved}", check=False)
    assert moved.status != 0
    assert node.database.run("SELECT version_num FROM alembic_version") == [("aaa1",)]

    node.preview(f"--save-plan={saved}")
    node.up(f"--plan={saved}")
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]


def _password(node: Node) -> str:
    return str(urlsplit(node.url).password)


def test_a_lost_state_costs_nothing(make_node: Callable[..., Node]) -> None:
    """A new stack on the same database takes what is there, and runs nothing."""
    node = make_node()
    node.up()
    node.pulumi("stack", "rm", "--yes", "--force", "--preserve-config", "test")
    node.pulumi("stack", "init", "test")
    node.pulumi("config", "set", "node:url", "--secret", "--", node.url)
    node.configure(dataDir=str(node.data))

    node.up()

    assert node.outputs()["revision"] == "ccc3"
    assert node.database.run("SELECT count(*) FROM schema_ledger.events") == [(3,)]


def test_tables_without_a_version_are_adopted_after_a_comparison(
    make_node: Callable[..., Node],
) -> None:
    """What a revision would have made is stamped; what differs is refused with the differences."""
    node = make_node()
    node.database.run("CREATE TABLE one (id int PRIMARY KEY, note varchar(5))", "SELECT 1")
    node.configure(adopt="bbb2")

    refused = node.preview(check=False)
    assert refused.status != 0
    assert "one.note" in refused.text

    node.database.run("ALTER TABLE one ALTER note TYPE text", "SELECT 1")
    shown = node.shown()
    node.up()

    assert "2 to adopt" in shown["plan"]
    assert list(shown["pending"]) == ["ccc3"]
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]
    assert "schema" not in node.steps()


def test_destroy_leaves_the_schema_unless_told_otherwise(make_node: Callable[..., Node]) -> None:
    """Nothing is lost without a word; with one, the schema is taken back to nothing."""
    node = make_node()
    node.up()
    node.pulumi("destroy", "--yes", "--stack", "test")
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]

    node.configure(on_destroy="downgrade")
    node.up()
    node.pulumi("destroy", "--yes", "--stack", "test")
    assert node.database.run("SELECT to_regclass('one')::text") == [(None,)]


def test_a_failing_revision_is_undone_and_the_next_up_goes_on(
    make_node: Callable[..., Node],
) -> None:
    """The message names revision and statement; what was before stays; mended, it runs."""
    node = make_node()
    bad = histories.add(
        node.migrations,
        "ddd4",
        "ccc3",
        "op.execute('CREATE TABLE two (id int)')\nop.execute('ALTER TABLE three ADD x int')",
    )

    failed = node.up(check=False)

    assert failed.status != 0
    for said in ("ddd4", "three", "ALTER TABLE three"):
        assert said in failed.text
    assert "Traceback" not in failed.text
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]
    assert node.database.run("SELECT to_regclass('two')::text") == [(None,)]
    bad.write_text(bad.read_text().replace("ALTER TABLE three", "ALTER TABLE two"))
    node.up()
    assert node.outputs()["revision"] == "ddd4"


@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGKILL])
def test_an_engine_that_ends_ends_between_two_revisions(
    make_node: Callable[..., Node], ended: signal.Signals
) -> None:
    """After Ctrl-C or kill -9 the running revision is finished, the next is not begun.

    The next `up` goes on from there.
    """
    node = make_node()
    slow = node.migrations / "alembic" / "versions" / "bbb2_.py"
    slow.write_text(
        slow.read_text().replace(
            "    op.add_column", "    op.execute('SELECT pg_sleep(4)')\n    op.add_column"
        )
    )
    run = subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", "test"],
        cwd=node.folder,
        env=node.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(4)%'"
        " AND pid <> pg_backend_pid() AND state = 'active'"
    )
    while node.database.run(sleeping) == [(0,)] and time.monotonic() < deadline:
        time.sleep(0.1)

    run.send_signal(ended)
    text, _ = run.communicate(timeout=60)
    while node.database.run(sleeping) != [(0,)] and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)  # in which the next revision would have been there

    assert run.returncode != 0
    assert node.database.run("SELECT version_num FROM alembic_version") == [("bbb2",)], text
    node.pulumi("cancel", "--yes", "--stack", "test", check=False)  # the lock of a killed engine
    node.up("--refresh")
    assert node.outputs()["revision"] == "ccc3"


def test_what_moves_between_preview_and_up_stops_the_run(make_node: Callable[..., Node]) -> None:
    """A person said yes to one plan: where the database has moved since, it is not run."""
    node = make_node()
    statement = "CREATE TABLE alembic_version AS SELECT 'aaa1'::varchar(32) AS version_num"
    (node.folder / "between.py").write_text(
        "import asyncio, asyncpg\n"
        "async def main():\n"
        f"    await (await asyncpg.connect({node.url!r})).execute({statement!r})\n"
        "asyncio.run(main())\n"
    )

    done = node.pulumi("up", "--yes", "--stack", "test", check=False)

    assert done.status != 0
    assert "since the preview" in done.text
    assert node.database.run("SELECT to_regclass('one')::text") == [(None,)]


def test_no_secret_is_in_clear(make_node: Callable[..., Node]) -> None:
    """Not in the state, not in a preview, not in what a failing run logs.

    At -v=9 the engine itself writes every property that it hands to a provider, secret or not;
    these lines are its own, and left out here.
    """
    node = make_node()
    node.database.run(
        f"CREATE ROLE \"of {node.folder.name}\" LOGIN SUPERUSER PASSWORD '{_SECRET}'", "SELECT 1"
    )
    place = node.url.partition("@")[2]
    url = f"postgresql://of%20{node.folder.name}:of-the-node-%25-%40@{place}"
    node.pulumi("config", "set", "node:url", "--secret", "--", url)
    histories.add(node.migrations, "ddd4", "ccc3", "op.execute('SELECT 1/0')")

    failed = node.pulumi("up", "--yes", "--stack", "test", "--logtostderr", "-v=9", check=False)

    assert failed.status != 0
    assert "ddd4" in failed.text
    log = [line for line in failed.text.splitlines() if "arshaling property for" not in line]
    written = ["\n".join(log), node.state(), json.dumps(node.shown()), node.preview("--diff").text]
    for text in written:
        assert _SECRET not in text
        assert "of-the-node-%25-%40" not in text
