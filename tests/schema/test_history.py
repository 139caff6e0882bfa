"""Histories are read again when something changed, from memory when nothing did, or refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from infra.schema.errors import HistoryError
from tests.schema.histories import project as projects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.schema.histories.project import Project

_OLD = time.time() - 60


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test finds what another one compiled."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one revision, and files of some age."""
    made = projects.bare(tmp_path)
    made.revision("aaaa", None, "op.execute('SELECT 1')")
    return made


def _age(root: Path) -> None:
    """Let every file be older than the moment: what changes later is seen to."""
    for path in (*root.rglob("*"), root):
        os.utime(path, (_OLD, _OLD))


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, a process that is started fails the test."""

    def forbid() -> None:
        def refuse(*_: object, **__: object) -> None:
            pytest.fail("a process was started")

        monkeypatch.setattr(subprocess, "run", refuse)

    return forbid


@pytest.mark.usefixtures("real_processes")
def test_what_has_not_changed_is_not_compiled_again(
    project: Project, no_process: Callable[[], None]
) -> None:
    """Bytecode and files of editors are no change, nor is a touched file."""
    _age(project.root)
    before = history.read(project.root)
    no_process()
    (project.versions / "__pycache__").mkdir()
    (project.versions / "__pycache__" / "aaaa_made.cpython-311.pyc").write_bytes(b"x")
    (project.versions / ".aaaa_made.py.swp").write_bytes(b"x")
    (project.versions / "aaaa_made.py~").write_bytes(b"x")
    (project.scripts / "env.py").touch()

    assert history.read(project.root) == before


def test_a_run_that_finds_it_compiled_imports_neither_alembic_nor_sqlalchemy(
    project: Project,
) -> None:
    """They cost more than all the rest of a run that has nothing to do."""
    _age(project.root)
    history.read(project.root)
    code = (
        "import subprocess, sys; from pathlib import Path; subprocess.run = None\n"
        "from infra.schema import history; history.read(Path(sys.argv[1]))\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('alembic', 'sqlalchemy', 'pulumi')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, project.root], check=True, capture_output=True, text=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.revision("bbbb", "aaaa"),
        lambda p: (p.versions / "aaaa_made.py").rename(p.versions / "renamed.py"),
        lambda p: p.revision("aaaa", None, "op.execute('SELECT 2')"),
        lambda p: (p.scripts / "env.py").write_text(
            (p.scripts / "env.py").read_text().replace("{}", "{'version_table': 'v'}")
        ),
        lambda p: (p.root / "alembic.ini").write_text(
            (p.root / "alembic.ini").read_text() + "recursive_version_locations = true\n"
        ),
    ],
)
def test_a_change_of_the_projects_files_is_seen(
    project: Project, change: Callable[[Project], object]
) -> None:
    """A file more, another name, another content, env.py, the configuration."""
    _age(project.root)
    before = history.read(project.root)
    change(project)
    after = history.read(project.root)

    assert after != before
    assert after.digest != before.digest


def test_an_edit_that_bytecode_would_hide_is_seen(project: Project) -> None:
    """Of the same size, in the same second: Python would run the old file."""
    _age(project.root)
    compiled = subprocess.run(
        [sys.executable, "-m", "compileall", "-q", project.versions], check=True
    )
    assert compiled.returncode == 0
    history.read(project.root)
    project.revision("aaaa", None, "op.execute('SELECT 7')")
    _age(project.root)

    assert history.read(project.root).revisions[0].upgrade.statements == ("SELECT 7",)


@pytest.mark.usefixtures("real_processes")
def test_what_a_revision_reads_counts_as_well(project: Project) -> None:
    """SQL in a file, the names in a folder, an environment variable, a module."""
    sql = project.root / "sql"
    sql.mkdir()
    (sql / "one.sql").write_text("SELECT 'one'")
    (project.root / "names.py").write_text("NAME = 'first'")
    head = "import os, names\nfrom pathlib import Path\nSQL = Path(__file__).parents[2] / 'sql'"
    body = (
        "for path in sorted(SQL.glob('*.sql')):\n    op.execute(path.read_text())\n"
        "op.execute(f\"SELECT '{names.NAME}', '{os.environ.get('A_NAME', 'unset')}'\")"
    )
    project.revision("aaaa", None, body, head=head)

    def read() -> tuple[str, ...]:
        _age(project.root)
        return history.read(project.root).revisions[0].upgrade.statements

    assert read() == ("SELECT 'one'", "SELECT 'first', 'unset'")
    (sql / "one.sql").write_text("SELECT 'changed'")
    assert read() == ("SELECT 'changed'", "SELECT 'first', 'unset'")
    (sql / "two.sql").write_text("SELECT 'two'")
    assert read()[1] == "SELECT 'two'"
    (project.root / "names.py").write_text("NAME = 'other'")
    assert read()[2] == "SELECT 'other', 'unset'"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_NAME", "set")
        assert read()[2] == "SELECT 'other', 'set'"
    assert read()[2] == "SELECT 'other', 'unset'"


def test_no_value_of_the_environment_is_kept(
    project: Project, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is for its owner alone, and a password in a variable is not in it."""
    monkeypatch.setenv("A_PASSWORD", "hunter2-hunter2")
    project.revision("aaaa", None, head="import os\nassert os.environ['A_PASSWORD']")
    _age(project.root)
    history.read(project.root)
    (kept,) = cache.rglob("*.json")

    assert "hunter2" not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert "A_PASSWORD" in json.loads(kept.read_text())["variables"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"tools": []}', "\0"])
def test_a_broken_cache_is_made_anew(project: Project, cache: Path, text: str) -> None:
    """Whoever broke it, the next run does not notice."""
    _age(project.root)
    before = history.read(project.root)
    (kept,) = cache.rglob("*.json")
    kept.write_text(text)

    assert history.read(project.root) == before
    assert json.loads(kept.read_text())["history"]


def test_without_a_place_to_keep_it_a_history_is_compiled(
    project: Project, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be."""
    (cache / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))

    assert history.read(project.root).heads == ("aaaa",)


def test_two_runs_at_once_read_the_same(project: Project, cache: Path) -> None:
    """And leave one file, whole."""
    _age(project.root)
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(history.read, [project.root] * 3)

    assert all(other == first for other in others)
    (kept,) = cache.rglob("*.*")
    assert json.loads(kept.read_text())["history"]["digest"] == first.digest


def test_the_digest_is_that_of_every_checkout(project: Project, tmp_path: Path) -> None:
    """In another folder, with line ends of Windows, and settings of another machine."""
    before = history.read(project.root)
    other = tmp_path / "another" / "checkout"
    other.mkdir(parents=True)
    copy = projects.bare(other)
    copy.revision("aaaa", None, "op.execute('SELECT 1')")
    for path in other.rglob("*.*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (other / ".env").write_text("A=B")
    after = history.read(other)

    assert after.digest == before.digest
    assert after.revisions[0].sha256 == before.revisions[0].sha256


@pytest.mark.usefixtures("real_processes")
def test_the_checkout_stays_clean(project: Project) -> None:
    """Nothing is written beside the files, no bytecode either."""
    before = sorted(project.root.rglob("*"))
    history.read(project.root)

    assert sorted(project.root.rglob("*")) == before


@pytest.mark.usefixtures("real_processes")
def test_a_project_may_use_the_names_of_this_one(project: Project) -> None:
    """Its `infra`, `tests` and `migrations` are its own; the folder itself is importable."""
    for name in ("infra", "tests", "toolchain"):
        (project.root / name).mkdir()
        (project.root / name / "__init__.py").write_text("OWN = True")
    project.revision("aaaa", None, head="from infra import OWN\nfrom tests import OWN\nassert OWN")

    assert history.read(project.root).heads == ("aaaa",)


def test_a_folder_is_found_from_where_people_name_it(tmp_path: Path) -> None:
    """The root with the configuration, the folder with env.py, the two in one, and a root above."""
    project = projects.from_template(tmp_path, "async")
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    named = [history.read(tmp_path), history.read(tmp_path / "migrations")]
    ini = tmp_path / "alembic.ini"
    ini.write_text(ini.read_text().replace("%(here)s/migrations", "migrations"))
    named.append(history.read(tmp_path))
    ini.rename(tmp_path / "migrations" / "alembic.ini")
    named.append(history.read(tmp_path / "migrations"))

    assert [read.offline for read in named] == [""] * 4
    assert [read.revisions for read in named] == [named[0].revisions] * 4


def test_a_history_without_revisions_is_one(tmp_path: Path) -> None:
    """As `alembic init` leaves it."""
    projects.from_template(tmp_path, "pyproject_async")
    read = history.read(tmp_path)

    assert (read.revisions, read.heads, read.offline) == ((), (), "")
    assert read.version_table == "alembic_version"


def test_an_env_that_never_ends_is_ended(project: Project) -> None:
    """With what to look for."""
    (project.scripts / "env.py").write_text("import time\ntime.sleep(600)\n")

    with pytest.raises(HistoryError, match=r"not rendered within 1 s.*Nothing was done"):
        history.read(project.root, seconds=1)


def test_a_revision_that_never_ends_is_named(project: Project) -> None:
    """A loop in one file ends at the deadline, and the message says in which."""
    project.revision("loop", None, "while True:\n    pass", file="loop_for_ever.py")

    with pytest.raises(HistoryError, match=r"was ended in loop_for_ever\.py\. Nothing was done"):
        history.read(project.root, seconds=2)


def test_a_revision_that_sleeps_runs_live(project: Project) -> None:
    """It is not waited for while it is rendered, and the reason names the line."""
    project.revision("nap", None, "import time\ntime.sleep(3600)")
    project.revision("nod", None, "sleep(3600)", head="from time import sleep")
    made = history.read(project.root).by_id

    assert re.fullmatch(r"line \d+ sleeps", made["nap"].upgrade.live)
    assert re.fullmatch(r"line \d+ sleeps", made["nod"].upgrade.live)


@pytest.mark.usefixtures("real_processes")
def test_a_process_that_dies_without_a_word_is_told(project: Project) -> None:
    """And what it wrote last."""
    (project.scripts / "env.py").write_text(
        "import os\nos.write(2, b'out of luck\\n')\nos._exit(9)\n"
    )

    with pytest.raises(HistoryError, match="ended without an answer: out of luck"):
        history.read(project.root)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.revision("b", "aaaa").write_text("def upgrade(:\n"), "b_made.py .*line 1"),
        (lambda p: p.revision("b", "aaaa").write_text("\0"), "b_made.py .*null bytes"),
        (lambda p: p.revision("b", "aaaa").write_text(""), "b_made.py .*declares no revision"),
        (lambda p: p.revision("b", "aaaa").write_text("import nowhere"), "line 1 .*nowhere"),
        (lambda p: p.revision("b", "aaaa").write_text("revision = 'b'"), "no down_revision"),
        (lambda p: p.revision("b", "aaaa", head="1 / 0"), "ZeroDivisionError"),
        (lambda p: p.revision("b", "aaaa", head="exit(3)"), "ends the process"),
        (lambda p: p.revision("b", "gone"), "b_made.py .*needs the revision gone"),
        (lambda p: p.revision("b", "aaaa", depends_on="gone"), "needs the revision gone"),
        (lambda p: p.revision("aaaa", None, file="copy.py"), r"aaaa .*aaaa_made.py, copy.py"),
        (lambda p: (p.revision("b", "c"), p.revision("c", "b")), "[Cc]ycle.*b, c"),
        (lambda p: p.revision("b", "b"), "b_made.py"),
        (lambda p: p.revision("head", "aaaa"), "a word that Alembic keeps"),
        (lambda p: p.revision("a@b", "aaaa"), "@"),
        (lambda p: p.revision("b", "aaaa", labels=("aaaa",)), "aaaa"),
        (lambda p: (p.scripts / "env.py").unlink(), "no env.py"),
        (lambda p: (p.scripts / "env.py").write_text("def (:"), "env.py .*line 1"),
        (lambda p: (p.scripts / "env.py").write_text("import nowhere"), "env.py .*nowhere"),
        (lambda p: (p.root / "alembic.ini").unlink(), "no alembic.ini"),
        (lambda p: (p.root / "alembic.ini").write_text("script_location = x"), "can't be read"),
        (lambda p: (p.root / "alembic.ini").write_text("[alembic]\n"), "script_location"),
        (lambda p: (p.root / "alembic.ini").write_text("[alembic]\nscript_location=x"), "x"),
        (lambda p: (p.root / "pyproject.toml").write_text("[tool.alembic\n"), "pyproject.toml"),
    ],
)
def test_a_broken_project_is_refused_in_one_message(
    project: Project, spoil: Callable[[Project], object], said: str
) -> None:
    """It names the file, says what is wrong, and that nothing was done."""
    spoil(project)

    with pytest.raises(HistoryError, match=said) as caught:
        history.read(project.root)
    assert "Nothing was done." in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With its whole path."""
    with pytest.raises(HistoryError, match=r"no folder /.*nowhere"):
        history.read(tmp_path / "nowhere")


def test_several_heads_are_no_mistake_of_the_files(project: Project) -> None:
    """The plan decides what they mean."""
    project.revision("bbbb", "aaaa")
    project.revision("cccc", "aaaa")

    assert history.read(project.root).heads == ("bbbb", "cccc")


def test_a_thousand_revisions_are_read_again_in_a_moment(
    project: Project, no_process: Callable[[], None]
) -> None:
    """Compiled in seconds; from memory in less than the engine takes to start."""
    for number in range(1, 1000):
        below = f"r{number - 1}" if number > 1 else "aaaa"
        project.revision(f"r{number}", below, f"op.execute('SELECT {number}')")
    _age(project.root)
    before = history.read(project.root)
    no_process()
    took = []
    for _ in range(3):
        begin = time.process_time()
        assert history.read(project.root) == before
        took.append(time.process_time() - begin)

    assert len(before.revisions) == 1000
    assert min(took) < 0.3  # seconds of processor: 0.1 alone on a machine


def test_the_process_dies_with_the_one_that_waits_for_it(project: Project, tmp_path: Path) -> None:
    """No env.py runs on for a preview that was killed."""
    mark = tmp_path / "pid"
    (project.scripts / "env.py").write_text(
        f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    code = "import sys; from pathlib import Path; from infra.schema import history\n"
    code += "history.read(Path(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", code, project.root]) as caller:
        deadline = time.monotonic() + 30
        while not (mark.exists() and mark.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        caller.kill()
    child = int(mark.read_text())
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:  # noqa: PTH123 - procfs
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
