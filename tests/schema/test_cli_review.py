"""`python -m infra.schema lint`, `rehearse` and `report`: a review without Pulumi."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine import histories
from tests.engine.node import Database, make_database
from tests.schema.test_cli import command

if TYPE_CHECKING:
    from tests.conftest import PostgresServer


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """A database at the first revision."""
    return make_database(postgres_server, f"cli {uuid.uuid4().hex[:8]}")


@pytest.fixture
def files(tmp_path: Path, url: str) -> Path:
    """A revision that is there, and one that is pending and unsafe."""
    folder = histories.init(tmp_path / "files")
    histories.add(folder, "aaa1", None, "op.execute('CREATE TABLE one (id int)')")
    assert command("upgrade", url=url, folder=folder).returncode == 0
    histories.add(
        folder,
        "bbb2",
        "aaa1",
        "op.execute('ALTER TABLE one ALTER COLUMN id TYPE bigint')",
        "op.execute('ALTER TABLE one ALTER COLUMN id TYPE int')",
    )
    return folder


def test_lint_tells_errors_by_its_status(url: str, files: Path) -> None:
    """2 with an error among the findings, 0 without; in JSON the same."""
    found = command("lint", url=url, folder=files, real=True)
    as_json = command("lint", "--json", url=url, folder=files)
    eased = command("lint", "--lint-levels", "changing-column-type=note", url=url, folder=files)
    off = command("lint", "--lint", "off", url=url, folder=files)

    assert found.returncode == 2
    assert "error: bbb2 changing-column-type:" in found.stdout
    assert ("changing-column-type", "error") in {
        (each["rule"], each["level"]) for each in json.loads(as_json.stdout)
    }
    assert (eased.returncode, off.returncode) == (0, 0)
    assert off.stdout == "nothing found\n"


def test_upgrade_refuses_errors_where_it_is_told_to(url: str, files: Path) -> None:
    """With the rule and what to do; nothing has run."""
    refused = command("upgrade", "--lint", "refuse", url=url, folder=files)

    assert refused.returncode == 1
    assert "changing-column-type" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    assert Database(url=url).run("SELECT version_num FROM alembic_version") == [("aaa1",)]


def test_a_rehearsal_tells_what_happened(url: str, files: Path) -> None:
    """Locks, rewritten tables and the way back; nothing runs on the database itself."""
    seen = command("rehearse", url=url, folder=files, real=True)

    assert (seen.returncode, seen.stderr.count("Traceback")) == (0, 0)
    assert "AccessExclusiveLock on public.one" in seen.stdout
    assert "writes public.one anew" in seen.stdout
    assert "way back: rehearsed, and all is as before" in seen.stdout
    assert Database(url=url).run("SELECT version_num FROM alembic_version") == [("aaa1",)]


@pytest.mark.long
def test_a_rehearsal_can_be_stopped(url: str, files: Path) -> None:
    """Ctrl-C ends it with a line, and with everything that it has started."""
    histories.add(files, "bbb2", "aaa1", "op.execute('SELECT pg_sleep(600)')")
    words = [sys.executable, "-m", "infra.schema", "rehearse", "--migrations", str(files)]
    with subprocess.Popen(
        words,
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        begun = next(line for line in process.stderr if "bbb2" in line)
        folders = _servers_of(process.pid)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()

    assert "1/1 bbb2" in begun
    assert (process.returncode, said) == (130, "error: stopped from the keyboard.\n")
    assert len(folders) == 1
    assert not any(folder.exists() for folder in folders)


def _servers_of(parent: int) -> set[Path]:
    """Find the folders of the throwaway servers that a process has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split()
    words = [Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children]
    return {
        Path(word.decode()).parent
        for each in words
        for word in each
        if b"groundwork-throwaway-" in word
    }


@pytest.mark.long
def test_a_rehearsal_that_fails_is_an_error(url: str, files: Path) -> None:
    """Status 1, the failing statement, no traceback; the report says it too."""
    histories.add(files, "bbb2", "aaa1", "op.execute('ALTER TABLE nothing ADD x int')")

    failed = command("rehearse", url=url, folder=files)
    report = command("report", "--format", "markdown", url=url, folder=files)

    assert failed.returncode == 1
    assert "statement 1: ALTER TABLE nothing ADD x int" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert report.returncode == 1
    assert "fails" in report.stdout.splitlines()[3]


@pytest.mark.long
def test_a_report_in_all_its_forms(url: str, files: Path, tmp_path: Path) -> None:
    """Terminal, Markdown, HTML and JSON; status 2 while something is pending."""
    terminal = command("report", url=url, folder=files, real=True)
    markdown = command("report", "--format", "markdown", url=url, folder=files)
    place = tmp_path / "report.html"
    options = ("--rehearse", "false", "--format", "html", "--output", str(place))
    page = command("report", *options, url=url, folder=files)
    data = command("report", "--json", "--rehearse", "false", url=url, folder=files)

    assert [each.returncode for each in (terminal, markdown, page, data)] == [2, 2, 2, 2]
    assert "changing-column-type" in terminal.stdout
    assert markdown.stdout.startswith("<!-- groundwork:")
    assert "<html" in place.read_text()
    assert page.stdout == ""
    assert json.loads(data.stdout)["plan"]["steps"][0]["revision"] == "bbb2"


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--limit", "12"), "at least"),
        (("--output", "x"), "--output takes --format"),
        (("--format", "html", "--output", "/nowhere/x"), "can't be written"),
        (("--rehearse-timeout", "soon"), "no duration"),
        (("--lint-levels", "nonsense"), "no map of rules"),
    ],
)
def test_mistakes_are_told(url: str, files: Path, options: tuple[str, ...], said: str) -> None:
    """Status 1, one message, no traceback."""
    wrong = command("report", "--rehearse", "false", *options, url=url, folder=files)

    assert wrong.returncode == 1
    assert said in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_an_unknown_release_is_told(url: str, files: Path) -> None:
    """`since` that git doesn't know is one clear message."""
    wrong = command("lint", "--since", "no-such-tag", url=url, folder=files)

    assert wrong.returncode == 1
    assert "since is 'no-such-tag'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
