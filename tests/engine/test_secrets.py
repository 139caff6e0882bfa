"""No secret is in clear anywhere, while a stack is made, changed, fails and is read."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.engine.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engine.project import Project

pytestmark = pytest.mark.long

_CHOSEN = {
    "appPassword": 'Chosen-%40-app\'s "pass\\word" 1',
    "readerPassword": "chosen reader & co = 2",
}
_PAUSE = 0.01  # seconds; a program that lives shorter than this is not seen


class ProcessList:
    """Every command line and environment of this machine that was seen while it was watched."""

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self.seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue  # over already


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Project:
    """A stack whose server logs every statement, with passwords of its own choice."""
    project = make_project()
    project.configure(**{"parameters.log_statement": "all"})
    project.configure(auditor="true")
    for key, value in _CHOSEN.items():
        project.configure_secret(key, value)
    return project


@pytest.fixture(scope="module")
def traces(project: Project) -> dict[str, str]:
    """What a life of the stack left, by where it was found."""
    shown = []
    with ProcessList() as processes:
        shown.append(str(project.previewed()))
        shown.append(project.pulumi("up", "--yes", "--diff").text)  # with a preview first
        project.configure(passwordVersion="2", adminPasswordVersion="2")
        shown.append(project.preview("--diff").text)
        shown.append(project.up().text)
        shown.append(project.refresh("--diff").text)
        shown.append(project.pulumi("stack", "output").text)
        shown += _failures(project)
    return {
        "what was shown": "\n".join(shown),
        "the process list": "\n".join(processes.seen),
        "the environment of the server": _environment(project.pid()),
        "the log of the server": (project.data / "server.log").read_text(),
        "the settings of the server": "\n".join(_texts(project.data, "*.conf")),
        "the files of the backend": "\n".join(_texts(project.folder / "state", "**/*")),
        "the configuration": "\n".join(_texts(project.folder, "Pulumi.*.yaml")),
        "the files of the project": "\n".join(_tracked()),
    }


def _failures(project: Project) -> Iterator[str]:
    """Runs that fail, since an error is where a URL slips out."""
    project.configure(approved_plan="0" * 64, revision="base", downgrade="allow")
    yield project.up(check=False).text
    project.configure(approved_plan=None)
    project.configure(revision="head", downgrade="refuse", database="x" * 64)
    yield project.up(check=False).text
    project.configure(database=None)
    broken = project.migrations / "versions" / "0000_broken.py"
    head = project.outputs()["revision"]
    broken.write_text(
        f"revision, down_revision = 'broken', {head!r}\n"
        "from alembic import op\n"
        "def upgrade(): op.execute('SELECT 1/0')\n"
        "def downgrade(): pass\n"
    )
    yield project.up(check=False).text
    broken.unlink()


def _environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text(errors="replace")


def _texts(folder: Path, pattern: str) -> Iterator[str]:
    for path in folder.glob(pattern):
        if path.is_file():
            yield path.read_text(errors="replace")


def _tracked() -> Iterator[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            yield path.read_text(errors="replace")


def test_every_secret_is_looked_for(project: Project, traces: dict[str, str]) -> None:
    """Generated and chosen passwords, their verifiers and the URLs are all among them."""
    secrets = _secrets(project)

    assert traces
    assert set(_CHOSEN.values()) <= secrets
    assert len([secret for secret in secrets if secret.startswith("SCRAM-SHA-256$")]) >= 4
    assert len([secret for secret in secrets if secret.startswith("postgresql")]) >= 4


@pytest.mark.parametrize(
    "place",
    [
        "what was shown",
        "the process list",
        "the environment of the server",
        "the log of the server",
        "the settings of the server",
        "the files of the backend",
        "the configuration",
        "the files of the project",
    ],
)
def test_no_secret_is_in_clear(project: Project, traces: dict[str, str], place: str) -> None:
    """Neither as it is nor as a URL or JSON writes it; statements show verifiers alone."""
    text = traces[place]
    secrets = _secrets(project)
    if place == "the log of the server":
        # What is sent in their place, so that a log that shows every statement has no password.
        secrets = {secret for secret in secrets if not secret.startswith("SCRAM-SHA-256$")}
        assert "SCRAM-SHA-256$" in text

    assert len(text) > 0
    assert [secret for secret in secrets if secret in text] == []


def _secrets(project: Project) -> set[str]:
    """Every secret of the state as it is, and how the engine and URLs write the chosen ones."""
    from json import dumps
    from urllib.parse import quote

    found: set[str] = {secret for secret in project.secrets() if len(secret) >= 8}
    found |= set(_CHOSEN.values())
    found |= {quote(secret, safe="") for secret in _CHOSEN.values()}
    found |= {dumps(secret)[1:-1] for secret in _CHOSEN.values()}
    return found
