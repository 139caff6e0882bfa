"""The schema node on the real engine, in the cases that don't come up every day."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.engine import histories
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.node import Node

pytestmark = pytest.mark.long

_LOCK = 4711
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
_SECRET = "of-the-node-%-@"  # noqa: S105 - of a throwaway role


def test_a_url_that_is_not_known_yet_shows_the_way_from_nothing(
    make_node: Callable[..., Node],
) -> None:
    """Before the server is made, all revisions are pending, and a note says why."""
    node = make_node()
    node.configure(**{"node:later": "true"})

    shown = node.shown()
    done = node.pulumi("up", "--yes")

    assert list(shown["pending"]) == ["aaa1", "bbb2", "ccc3"]
    assert "not known yet" in shown["notes"][0]
    assert done.status == 0
    assert "schema" not in node.steps()


def test_nothing_that_a_terminal_obeys_is_in_what_the_engine_shows(
    make_node: Callable[..., Node],
) -> None:
    """A message that clears the screen, SQL and names that turn it around; JSON alone has them."""
    node = make_node()
    odd = "\x1b[2J\x07\x9b\u202e\u200b\u2028\u2066"
    sql = f"CREATE TABLE evil (id int) -- {odd}\rcomment"
    path = histories.add(
        node.migrations, "ddd4", "ccc3", f"op.execute({sql!r})", message=f"evil {odd[:6]} end"
    )
    path.write_text(path.read_text().replace("comment", ""), encoding="utf-8")
    texts = [node.preview().text, node.preview("--diff").text]
    node.database.run('CREATE TABLE "odd \x1b[2J \u202e" (id int)', "SELECT 1")
    texts += [node.up().text, node.preview("--diff").text, node.refresh().text]

    for text in texts:
        assert {c for c in text if not c.isprintable()} <= {"\n", "\t"}
    assert r"\x1b[2J" in texts[0]
    assert "ddd4" in node.resource()["outputs"]["revision"]


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

    # What a rehearsal measures is no part of the plan that the engine holds an update to.
    node.configure(rehearse="true")
    assert "rehearsed in" in node.preview(f"--save-plan={saved}").text
    node.up(f"--plan={saved}")
    assert node.database.run("SELECT version_num FROM alembic_version") == [("ccc3",)]


def _password(node: Node) -> str:
    return str(urlsplit(node.url).password)


@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGKILL])
def test_an_engine_that_ends_ends_between_two_revisions(
    make_node: Callable[..., Node], ended: signal.Signals
) -> None:
    """After Ctrl-C or kill -9 the running revision is finished, the next is not begun.

    The next `up` goes on from there.
    """
    node = make_node()
    slow = node.migrations / "alembic" / "versions" / "bbb2_.py"
    wait = f"    op.execute('SELECT pg_advisory_xact_lock({_LOCK})')\n    op.add_column"
    slow.write_text(slow.read_text().replace("    op.add_column", wait))

    with node.database.hold_lock(_LOCK) as release:
        run = node.start("up", "--yes", "--skip-preview")
        wait_until(lambda: node.database.run(_WAITING) == [(1,)])
        run.send_signal(ended)
        if ended == signal.SIGINT:
            assert run.stdout is not None
            while "^C received" not in (line := run.stdout.readline()):
                assert line, "the engine ended without a word"
            time.sleep(2)  # the engine tells its providers now, and nothing shows when they heard
        else:
            run.wait(60)
        release()
        text, _ = run.communicate(timeout=60)  # to the end of all that could still work

    assert run.returncode != 0
    assert node.database.run("SELECT version_num FROM alembic_version") == [("bbb2",)], text
    node.pulumi("cancel", "--yes", check=False)  # the lock of a killed engine
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

    done = node.pulumi("up", "--yes", check=False)

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
    node.configure_secret("node:url", url)
    histories.add(node.migrations, "ddd4", "ccc3", "op.execute('SELECT 1/0')")

    failed = node.pulumi("up", "--yes", "--logtostderr", "-v=9", check=False)

    assert failed.status != 0
    assert "ddd4" in failed.text
    log = [line for line in failed.text.splitlines() if "arshaling property for" not in line]
    written = ["\n".join(log), node.state(), json.dumps(node.shown()), node.preview("--diff").text]
    for text in written:
        assert _SECRET not in text
        assert "of-the-node-%25-%40" not in text
