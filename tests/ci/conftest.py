"""A forge for each test, and the comment script as a CI runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import pytest

from ci import comment
from tests.ci.forge_server import Account, ForgeServer, forge_server
from toolchain import versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKER = "<!-- groundwork: groundwork/dev -->"
BOT = Account(login="github-actions[bot]", id=1, bot=True)
ANN = Account(login="ann", id=2)
TOKEN = "a-token-that-nobody-may-see"  # noqa: S105 - of a forge on loopback


@pytest.fixture
def forge() -> Iterator[ForgeServer]:
    """A forge that knows one bot by one token."""
    with forge_server() as server:
        server.accounts[TOKEN] = BOT
        yield server


class Commenting:
    """`ci/comment` on a report, in the environment of one CI.

    Attributes:
        folder: Where it runs, with the report.
        kind: What the CI is.
        environment: All variables that it has.
        waits: Seconds that it waited, when it ran in the test's own process.
    """

    def __init__(self, folder: Path, forge: ForgeServer, kind: str) -> None:
        """Take a folder for the report, and what the CI is."""
        self.folder, self.kind = folder, kind
        self.waits: list[float] = []
        self.report = folder / "report.md"
        self.summary = folder / "summary.md"
        kept = ("PATH", "HOME", "LANG")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.environment |= {"no_proxy": "127.0.0.1"} | getattr(self, f"_{kind}")(forge.url)

    def _github(self, url: str) -> dict[str, str]:
        self.event("acme/db")
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": url,
            "GITHUB_GRAPHQL_URL": f"{url}/graphql",
            "GITHUB_REPOSITORY": "acme/db",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_TOKEN": TOKEN,
        }

    def _gitea(self, url: str) -> dict[str, str]:
        return self._github(f"{url}/api/v1") | {"GITEA_ACTIONS": "true"}

    def _gitlab(self, url: str) -> dict[str, str]:
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{url}/api/v4",
            "CI_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_URL": "https://gitlab.test/acme/db",
            "GITLAB_TOKEN": TOKEN,
        }

    def event(self, head: str) -> None:
        """Say from which repository the pull request comes."""
        pull = {"number": 7, "head": {"repo": {"full_name": head} if head else None}}
        pull["base"] = {"repo": {"full_name": "acme/db"}}
        (self.folder / "event.json").write_text(json.dumps({"pull_request": pull}))

    def foreign(self) -> None:
        """Make the pull request one from a fork."""
        self.event("mallory/db")
        self.environment["CI_MERGE_REQUEST_SOURCE_PROJECT_ID"] = "43"

    def run(self, text: str | None, *options: str, status: int = 0) -> str:
        """Run its function on a report, or on none, without its waits; give what it printed."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name in os.environ:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            patch.setattr(time, "sleep", self.waits.append)
            self._write(text)
            done = comment.main(description="", arguments=[*options, "report.md"])
        return self._checked(said.getvalue(), done, status)

    def script(self, text: str | None, *options: str, status: int = 0) -> str:
        """Run the script itself as a CI does, which takes ten times as long; see `run`."""
        self._write(text)
        done = subprocess.run(
            [str(versions.ROOT / "ci" / "comment"), *options, "report.md"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return self._checked(done.stdout, done.returncode, status)

    def _write(self, text: str | None) -> None:
        if text is not None:
            self.report.write_text(text)

    @staticmethod
    def _checked(said: str, status: int, expected: int) -> str:
        assert status == expected, said
        assert TOKEN not in said
        assert "Traceback" not in said
        return said


@pytest.fixture(params=["github", "gitea", "gitlab"])
def commenting(request: pytest.FixtureRequest, tmp_path: Path, forge: ForgeServer) -> Commenting:
    """The script in each CI."""
    if request.param != "github":
        forge.accounts[TOKEN] = Account(login="reviewer", id=3)
    return Commenting(tmp_path, forge, request.param)


@pytest.fixture
def on_github(tmp_path: Path, forge: ForgeServer) -> Commenting:
    """The script in a workflow of GitHub."""
    return Commenting(tmp_path, forge, "github")
