"""`python -m infra.schema`: the schema node without Pulumi."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine import histories
from tests.engine.node import Database, make_database
from tests.forking import servers
from tests.migrations.place import ROOT
from tests.schema.histories.project import bare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer

_IMPORTS = """
import json, sys
from pathlib import Path
from infra.schema import node
from infra.schema.options import Options
seen = node.look(node.Place(folder=Path(sys.argv[1]), url=sys.argv[2], options=Options()))
assert seen.plan.steps == (), seen.plan.steps
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def command(*arguments: str, url: str = "", folder: Path = ROOT, real: bool = False) -> Any:
    """Run a command on a database and a folder of migrations; `real`: not as a fork."""
    environ = {**os.environ, "DATABASE_URL": url}
    beside = ("infra.schema.compiler", "infra.schema.online")
    own = [sys.executable, "-m", "infra.schema"]
    program = own if real else servers.command("infra.schema", *beside)
    return subprocess.run(
        [*program, *arguments, "--migrations", str(folder)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return make_database(postgres_server, f"cli {uuid.uuid4().hex[:8]}")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two revisions."""
    folder = histories.init(tmp_path / "files")
    histories.add(folder, "aaa1", None, "op.execute('CREATE TABLE one (id int)')")
    histories.add(folder, "bbb2", "aaa1", "op.execute('CREATE TABLE two (id int)')")
    return folder


def test_plan_upgrade_and_check_tell_by_their_status(url: str, files: Path) -> None:
    """Pending is 2, done is 0; the plan shows the SQL, `upgrade` runs it."""
    pending = command("plan", url=url, folder=files, real=True)
    assert (pending.returncode, "CREATE TABLE one (id int);" in pending.stdout) == (2, True)
    assert command("check", url=url, folder=files, real=True).returncode == 2

    done = command("upgrade", url=url, folder=files, real=True)
    assert (done.returncode, done.stdout) == (0, "at bbb2, nothing to do\n")
    assert "2/2 bbb2" in done.stderr

    again = command("check", url=url, folder=files, real=True)
    assert (again.returncode, again.stdout) == (0, "at bbb2, nothing to do\n")


def test_json_says_the_same_as_the_engine(url: str, files: Path) -> None:
    """The properties of the resource, by the same names."""
    said = json.loads(command("plan", "--json", url=url, folder=files).stdout)

    assert set(said) == {"approve", "drift", "notes", "pending", "plan"}
    assert said["pending"]["bbb2"]["message"] == "2/2 message of bbb2"

    done = json.loads(command("upgrade", "--json", url=url, folder=files).stdout)
    assert (done["revision"], done["pending"]) == (["bbb2"], {})


def test_a_change_by_hand_is_status_2(url: str, files: Path) -> None:
    """`check` sees what `plan` would name."""
    command("upgrade", url=url, folder=files)
    Database(url=url).run("DROP TABLE two", "SELECT 1")

    found = command("plan", url=url, folder=files)

    assert found.returncode == 2
    assert "by hand: table public.two was removed" in found.stdout
    assert command("plan", "--drift", "refuse", url=url, folder=files).returncode == 1


def test_a_search_path_of_env_py_leads_to_the_tables(url: str, files: Path) -> None:
    """What env.py sets before the revisions decides where everything is, for a look as well."""
    Database(url=url).run("CREATE SCHEMA books", "SELECT 1")
    env = files / "alembic" / "env.py"
    env.write_text(
        env.read_text().replace(
            "        context.run_migrations()",
            '        context.execute("SET search_path = books")\n        context.run_migrations()',
        )
    )

    assert command("upgrade", url=url, folder=files).returncode == 0

    assert Database(url=url).run("SELECT version_num FROM books.alembic_version") == [("bbb2",)]
    again = command("check", url=url, folder=files)
    assert (again.returncode, again.stdout) == (0, "at bbb2, nothing to do\n")


def test_history_needs_no_database(files: Path) -> None:
    """The files alone: ids, messages, which is the head."""
    done = command("history", folder=files, real=True)

    assert done.returncode == 0
    assert done.stdout == "aaa1  message of aaa1\nbbb2  message of bbb2  (head)\n"
    revisions = json.loads(command("history", "--json", folder=files).stdout)["revisions"]
    assert revisions[0]["upgrade"]["parts"][0]["statements"] == ["CREATE TABLE one (id int)"]


def test_ledger_lists_all_that_was_ever_run(url: str, files: Path) -> None:
    """Nothing at first; then each revision up and down, with time, seconds and login."""
    assert "nothing in it" in command("ledger", url=url, folder=files).stdout
    command("upgrade", url=url, folder=files)
    command("upgrade", "--revision", "aaa1", "--downgrade", "allow", url=url, folder=files)

    lines = command("ledger", url=url, folder=files, real=True).stdout.splitlines()
    events = json.loads(command("ledger", "--json", url=url, folder=files).stdout)

    assert [line.split()[1:3] for line in lines] == [
        ["up", "aaa1"],
        ["up", "bbb2"],
        ["down", "bbb2"],
    ]
    assert "message of bbb2" in lines[2]
    assert [event["state"] for event in events] == ["done"] * 3
    assert all(event["seconds"] >= 0 and event["login"] and event["plan"] for event in events)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check",), "no database"),
        (("plan", "--url", "mysql://x@y/z"), "postgresql://"),
        (("plan", "--url", "postgresql://nobody:hush-hush@127.0.0.1:1/none"), "127.0.0.1:1"),
        (("plan", "--downgrade", "perhaps"), "downgrade: 'perhaps' is unknown"),
        (("plan", "--revision", "zzzz"), "zzzz"),
    ],
)
def test_a_mistake_is_one_message_and_status_1(
    files: Path, arguments: tuple[str, ...], said: str
) -> None:
    """No traceback, no password."""
    done = command(*arguments, folder=files)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush-hush" not in done.stderr + done.stdout


@pytest.mark.parametrize("count", [12, 1000])
def test_a_look_at_head_imports_neither_alembic_nor_sqlalchemy(
    tmp_path: Path, url: str, count: int
) -> None:
    """Compiled once, a directory costs a run at head a digest and a question."""
    folder = histories.init(tmp_path / "long")
    for number in range(count):
        parent = f"rev{number - 1:04}" if number else None
        histories.add(folder, f"rev{number:04}", parent, f"op.execute('SELECT {number}')")
    assert command("upgrade", url=url, folder=folder).returncode == 0

    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, str(folder), url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert "asyncpg" in loaded
    assert not loaded & {"alembic", "sqlalchemy", "pulumi"}


# -- the database of another stack ----------------------------------------------------------


def test_the_database_of_a_stack_is_changed_under_its_name_alone(url: str, files: Path) -> None:
    """Once the ledger names a stack, a run for none, or for another, stops before anything runs."""
    assert command("upgrade", "--stack", "shop/prod", url=url, folder=files).returncode == 0
    back = ("upgrade", "--revision", "base", "--downgrade", "allow")

    for other in ((), ("--stack", "dev"), ("--stack", "shop/dev")):
        stopped = command(*back, *other, url=url, folder=files)
        assert stopped.returncode == 1
        assert "shop/prod" in stopped.stderr
        assert "Nothing was changed" in stopped.stderr
    assert command("check", url=url, folder=files).returncode == 0

    assert command(*back, "--stack", "prod", url=url, folder=files).returncode == 0
    assert {
        stack for (stack,) in Database(url=url).run("SELECT stack FROM schema_ledger.events")
    } == {"shop/prod"}


def test_a_stack_whose_state_is_here_is_not_run_on_another_database(
    url: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state says which cluster the stack means; the option that names the other one helps."""
    assert command("upgrade", url=url, folder=files).returncode == 0
    state = tmp_path / "backend" / ".pulumi" / "stacks" / "shop" / "prod.json"
    state.parent.mkdir(parents=True)
    node = {"type": "pulumi-python:dynamic/groundwork:Schema", "outputs": {"database": "1/books"}}
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": [node]}}}))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'backend'}")
    back = ("upgrade", "--revision", "base", "--downgrade", "allow", "--stack", "prod")

    stopped = command(*back, url=url, folder=files)
    assert stopped.returncode == 1
    assert "'books' of the cluster 1" in stopped.stderr
    found = re.search(r"--moved-to '[^']*'", stopped.stderr)
    assert found
    meant = shlex.split(found[0])
    assert command(*back, *meant, url=url, folder=files).returncode == 0


@pytest.mark.parametrize("name", ["history", "plan", "report"])
def test_no_command_prints_what_a_terminal_obeys(tmp_path: Path, name: str) -> None:
    """Messages and SQL of revisions are anybody's; JSON alone has them as they are."""
    odd = "\x1b[2J\x07\x9b\u202e\u200b"
    project = bare(tmp_path)
    sql = f"CREATE TABLE one (id int) -- {odd}"
    project.revision("aaaa", None, f"op.execute({sql!r})", message=f"first {odd} end")
    project.revision("bbbb", "aaaa", f"raise ValueError({odd!r})", message="second")

    said = command(name, *(["--format", "markdown"] if name == "report" else []), folder=tmp_path)
    data = command(name, "--json", folder=tmp_path)

    for printed in (said.stdout, said.stderr):
        assert {c for c in printed if not c.isprintable()} <= {"\n", "\t"}
    assert r"first \x1b[2J\x07\x9b\u202e\u200b end" in html.unescape(said.stdout)
    assert odd in "".join(_texts(json.loads(data.stdout)))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _texts(each)
