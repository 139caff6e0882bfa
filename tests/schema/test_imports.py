"""What an application does when it is imported does not matter, as it does not to Alembic."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from infra.schema.errors import HistoryError
from infra.schema.invocation import Invocation
from tests.schema.habits import ENGINES, HABITS, LASTING, SYNC_ENV
from tests.schema.histories.project import Project, bare
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

_OWN = Invocation(variable="APP_DB", seconds=30)
# What changes so much of Python that other habits would not do what they do.
_APART = {"a limit of files", "a patched clock", "a subprocess of its own", "other streams"}
_TOGETHER = sorted(set(HABITS) - LASTING - _APART)
_STAYING = sorted(LASTING - {"a fork that goes on"})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one revision."""
    project = bare(tmp_path, variable="APP_DB")
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    return project


def _begin(project: Project, head: str) -> None:
    env = project.scripts / "env.py"
    env.write_text(f"{head}\n{env.read_text()}")


def _rendered(project: Project) -> Sequence[str]:
    script = history.read(project.root, _OWN).revisions[0].upgrade
    assert script.live == ""
    return script.statements


@pytest.mark.parametrize(
    "habits",
    [
        pytest.param(_TOGETHER, id="together"),
        *(pytest.param([each], id=each) for each in sorted(_APART)),
        *(pytest.param([each], id=each, marks=pytest.mark.long) for each in _TOGETHER),
    ],
)
def test_a_history_is_rendered_whatever_its_application_does(
    project: Project, habits: list[str]
) -> None:
    """Each revision, and none of them has to wait for its real run."""
    _begin(project, "\n".join(HABITS[each] for each in habits))

    assert _rendered(project) == ("SELECT 1",)


@pytest.mark.usefixtures("real_processes")
@pytest.mark.parametrize(
    "habits",
    [
        pytest.param(_STAYING, id="together"),
        *(pytest.param([each], id=each, marks=pytest.mark.long) for each in sorted(LASTING)),
    ],
)
def test_what_an_application_has_started_ends_with_rendering(
    project: Project, habits: list[str]
) -> None:
    """Soon, and with all that it has left."""
    _begin(project, "\n".join(HABITS[each] for each in habits))
    begun = time.monotonic()

    assert _rendered(project) == ("SELECT 1",)

    assert time.monotonic() - begun < 9
    wait_until(lambda: not _left(project.root))


def _left(folder: Path) -> list[str]:
    """List processes that work in a folder."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdecimal() and (each / "cwd").readlink().is_relative_to(folder):
                found.append((each / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_with_a_drivers_own_options_is_made(project: Project, kind: str) -> None:
    """When it is imported, whether the driver is installed or not, and also by a revision."""
    application, env = ENGINES[kind]
    (project.root / "app.py").write_text(application)
    (project.scripts / "env.py").write_text(env)
    ini = project.root / "alembic.ini"
    ini.write_text(f"{ini.read_text()}prepend_sys_path = .\n")
    project.revision("aaaa", None, "op.execute('SELECT 1')", head="from app import engine")

    assert _rendered(project) == ("SELECT 1",)
    assert not os.environ.get("APP_DB")


@pytest.mark.parametrize(
    ("before", "ini", "driver", "expected"),
    [
        (None, "", "", "postgresql"),
        ("postgresql+psycopg2://x@h/d", "", "", "postgresql+psycopg2"),
        ("postgresql+asyncpg://x@h/d", "postgresql+psycopg://x@h/d", "", "postgresql+asyncpg"),
        ("postgresql://x@h/d", "postgresql+psycopg://x@h/d", "", "postgresql"),
        (None, "postgresql+psycopg://x@h/d", "", "postgresql+psycopg"),
        (None, "driver://user:pass@localhost/dbname", "", "postgresql"),
        ("sqlite://", "postgresql+psycopg://x@h/d", "", "postgresql+psycopg"),
        ("postgresql+asyncpg://x@h/d", "", "psycopg2", "postgresql+psycopg2"),
    ],
)
def test_the_url_has_the_driver_that_the_application_expects(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    before: str | None,
    ini: str,
    driver: str,
    expected: str,
) -> None:
    """As its variable has it, or its configuration; unless the user names one."""
    if before is not None:
        monkeypatch.setenv("APP_DB", before)
    file = project.root / "alembic.ini"
    file.write_text(f"{file.read_text()}sqlalchemy.url = {ini}\n" if ini else file.read_text())
    look = "import os\nNAMED = os.environ['APP_DB'].partition(':')[0]"
    project.revision("aaaa", None, "op.execute(f\"SELECT '{NAMED}'\")", head=look)

    found = history.read(project.root, Invocation(variable="APP_DB", driver=driver))

    assert found.revisions[0].upgrade.statements == (f"SELECT '{expected}'",)


def test_another_driver_in_the_variable_is_another_history(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept for one is not given for the other."""
    look = "import os\nNAMED = os.environ['APP_DB'].partition(':')[0]"
    project.revision("aaaa", None, "op.execute(f\"SELECT '{NAMED}'\")", head=look)
    found = []
    for name in ("asyncpg", "psycopg2", "asyncpg"):
        monkeypatch.setenv("APP_DB", f"postgresql+{name}://h/d")
        found.append(_rendered(project)[0])

    assert found == [f"SELECT 'postgresql+{n}'" for n in ("asyncpg", "psycopg2", "asyncpg")]


@pytest.mark.parametrize("head", ["import sys\nsys.exit('SHOP_MODE is not set')", "import app"])
def test_an_application_that_ends_the_process_is_named(project: Project, head: str) -> None:
    """With the file and the line that did, and what it said."""
    ini = project.root / "alembic.ini"
    ini.write_text(f"{ini.read_text()}prepend_sys_path = .\n")
    (project.root / "app.py").write_text("\n\nraise SystemExit('SHOP_MODE is not set')\n")
    _begin(project, head)
    line, file = (3, "app.py") if head == "import app" else (2, "env.py")
    place = rf"line {line} of .*{file} ends the process: SHOP_MODE is not set"

    with pytest.raises(HistoryError, match=rf"env\.py can't be used: {place}\. Nothing was done"):
        history.read(project.root)


def test_a_connection_at_import_leaves_revisions_to_their_real_run(project: Project) -> None:
    """Nothing connects while they are rendered, and the reason names the line."""
    (project.root / "app.py").write_text(
        ENGINES["listeners"][0] + "with engine.connect():\n    pass\n"
    )
    (project.scripts / "env.py").write_text(SYNC_ENV)
    ini = project.root / "alembic.ini"
    ini.write_text(f"{ini.read_text()}prepend_sys_path = .\n")

    found = history.read(project.root, _OWN).revisions[0].upgrade

    assert "line 2 connects to a database" in found.live


def test_variables_reach_env_py_and_their_values_stay_hidden(project: Project) -> None:
    """Another value is another history; in a message a secret one is blotted out."""
    read = "import os\nMODE = os.environ['MODE']"
    project.revision("aaaa", None, "op.execute(f\"SELECT '{MODE}'\")", head=read)
    modes = []
    for mode in ("batch", "steady", "batch"):
        given = Invocation(variable="APP_DB", environment=(("MODE", mode),))
        modes.append(history.read(project.root, given).revisions[0].upgrade.statements)
    project.revision("aaaa", None, head=f"{read}\nraise ValueError(MODE)")
    hidden = Invocation(environment=(("MODE", "hunter22"),), secrets=("hunter22",))

    with pytest.raises(HistoryError, match=r"ValueError: \*\*\*") as caught:
        history.read(project.root, hidden)

    assert modes == [("SELECT 'batch'",), ("SELECT 'steady'",), ("SELECT 'batch'",)]
    assert "hunter22" not in str(caught.value)
    assert "MODE" not in os.environ


def test_progress_of_rendering_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it takes a while; and an interruption ends the process at once."""
    monkeypatch.setattr(history, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(history, "_BETWEEN_SECONDS", 0.0)
    project.revision("bbbb", "aaaa", "while True:\n    pass")
    told: list[str] = []

    def interrupt() -> None:
        if told and told[-1] == "rendering revision 2 of 2":
            raise KeyboardInterrupt

    watching = history.Observer(report=told.append, interrupt=interrupt)
    begun = time.monotonic()
    with history.observed(watching), pytest.raises(KeyboardInterrupt):
        history.read(project.root, _OWN)

    assert time.monotonic() - begun < 20
    wait_until(lambda: not _left(project.root))


@pytest.mark.usefixtures("real_processes")
def test_ctrl_c_ends_rendering_with_status_130(project: Project) -> None:
    """And leaves no process."""
    project.revision("bbbb", "aaaa", "while True:\n    pass")
    command = [sys.executable, "-m", "infra.schema", "history", "--migrations", str(project.root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"rendering revision 2 of 2\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    wait_until(lambda: not _left(project.root))
