"""A forge for each test, and the comment script as a CI runs it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

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
    """`ci/comment` on a report, in the environment of one CI."""

    def __init__(self, folder: Path, forge: ForgeServer, kind: str) -> None:
        """Take a folder for the report, and what the CI is."""
        self.folder, self.kind = folder, kind
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
        """Run it on a report, or on none, and give what it printed."""
        if text is not None:
            self.report.write_text(text)
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
        assert done.returncode == status, done.stdout
        assert TOKEN not in done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout


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
