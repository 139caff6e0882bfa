"""A pull request of the real project: the real engine, a real server, a forge on loopback."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.ci.checkout import git
from tests.ci.conftest import Commenting
from tests.engine.test_make import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ci.forge_server import ForgeServer

_MARKER = "<!-- groundwork: groundwork/dev -->"
_REVISION = '''\
"""what is reviewed"""

from alembic import op

revision = "{revision}"
down_revision = "{parent}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go there."""
    op.execute("{sql}")


def downgrade() -> None:
    """Come back."""
    op.execute("DROP TABLE reviewed")
'''


class PullRequest:
    """A checkout on a branch that has parted from `main`."""

    def __init__(self, folder: Path) -> None:
        """Copy the project, and make it a repository with a pull request."""
        self.checkout = Checkout(folder)
        self.folder = folder
        self.review = folder / "review of it"
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.commit("the project")
        self.base = git(folder, "rev-parse", "HEAD")
        git(folder, "switch", "--quiet", "--create", "feature")
        self.environment = self.checkout.environment | {"GITHUB_BASE_REF": "main"}

    def commit(self, message: str) -> None:
        """Commit all there is."""
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", f"--message={message}")

    def revise(self, sql: str) -> str:
        """Write a revision behind those of `main`, or write it anew; give its name."""
        revision = "0a0b0c0d0e0f"
        path = self.folder / "migrations" / "versions" / f"{revision}_reviewed.py"
        path.unlink(missing_ok=True)
        scripts = ScriptDirectory.from_config(Config(self.folder / "migrations" / "alembic.ini"))
        parent = scripts.get_current_head()
        path.write_text(_REVISION.format(revision=revision, parent=parent, sql=sql))
        self.commit("a revision")
        return revision

    def preview(self, *options: str) -> tuple[int, str]:
        """Run `ci/preview`; give its status and what it printed."""
        done = subprocess.run(
            [str(self.folder / "ci" / "preview"), "--output", str(self.review), *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        return done.returncode, done.stdout

    def report(self) -> str:
        """Give the report for the comment."""
        return (self.review / "report.md").read_text()

    def facts(self) -> dict[str, Any]:
        """Give what the review says to programs."""
        facts: dict[str, Any] = json.loads((self.review / "review.json").read_text())
        return facts


@pytest.fixture
def pull_request(scratch: Path, tmp_path: Path) -> Iterator[PullRequest]:
    """A pull request whose stack `dev` isn't up yet."""
    folder = scratch / f"pull request {tmp_path.name}"
    folder.mkdir(mode=0o755)
    made = PullRequest(folder)
    yield made
    made.checkout.make("down")


@pytest.mark.long
def test_a_pull_request_shows_what_its_merge_would_run(
    pull_request: PullRequest, forge: ForgeServer, tmp_path: Path
) -> None:
    """Its revision, rehearsed, with the digest to approve; state and database stay as they are.

    Where the revision fails in the rehearsal, the status says so and the same comment shows it.
    """
    pull_request.checkout.make("up")
    state = pull_request.checkout.state().read_bytes()
    commenting = Commenting(tmp_path, forge, "github")
    revision = pull_request.revise("CREATE TABLE reviewed (id int PRIMARY KEY)")

    status, text = pull_request.preview()

    assert status == 0, text
    assert f"what is new since {pull_request.base[:12]}" in text
    facts = pull_request.facts()
    assert (facts["pending"], facts["refused"], facts["failed"]) == (1, False, False)
    assert len(facts["approve"]) >= 12
    assert f"ci/preview: dev: {facts['verdict']}\n" in text
    assert pull_request.report().startswith(f"{_MARKER}\n")
    for shown in (revision, "CREATE TABLE reviewed", facts["approve"][:12]):
        assert shown in pull_request.report()
    assert (pull_request.review / "report.html").is_file()
    assert "made " in commenting.run(pull_request.report())

    pull_request.revise("CREATE TABLE reviewed (id nonsense)")
    status, text = pull_request.preview()

    assert status != 0, text
    assert pull_request.facts()["failed"] is True
    assert "nonsense" in pull_request.report()
    assert "edited " in commenting.run(pull_request.report())
    assert forge.texts() == [pull_request.report()]
    assert pull_request.checkout.state().read_bytes() == state


@pytest.mark.long
def test_a_stack_that_is_not_up_is_previewed_from_nothing(pull_request: PullRequest) -> None:
    """A fork, or a first try of the workflow: nothing but the checkout, and nothing is made."""
    pull_request.revise("CREATE TABLE reviewed (id int PRIMARY KEY)")

    status, text = pull_request.preview()

    assert status == 0, text
    facts = pull_request.facts()
    assert facts["pending"] > 1
    assert (facts["refused"], facts["failed"]) == (False, False)
    state = json.loads(pull_request.checkout.state().read_text())
    assert "resources" not in state["checkpoint"].get("latest", {})


def test_a_look_makes_no_stack_in_a_backend_of_ones_own(pull_request: PullRequest) -> None:
    """A missing one is an error with a report, and the backend stays empty."""
    state = pull_request.folder / ".groundwork" / "elsewhere"
    state.mkdir(parents=True)
    pull_request.environment |= {
        "PULUMI_BACKEND_URL": f"file://{state}".replace(" ", "%20"),
        "PULUMI_CONFIG_PASSPHRASE": "tests tests",
    }

    status, text = pull_request.preview("missing")

    assert status == 1, text
    assert "the backend has no stack missing, and a look at it makes none" in text
    assert not list(state.rglob("missing*"))
    assert git(pull_request.folder, "status", "--porcelain").splitlines() == ['?? "review of it/"']
    report = pull_request.report()
    assert report.startswith("<!-- groundwork: groundwork/missing -->\n")
    assert "the backend has no stack missing" in report
    assert "tests tests" not in report
    assert pull_request.facts()["failed"] is True


def test_a_stack_that_comes_and_goes_is_made_for_the_look(pull_request: PullRequest) -> None:
    """Its file says `environment: preview`; the program then ends at a mistake in it."""
    state = pull_request.folder / ".groundwork" / "elsewhere"
    state.mkdir(parents=True)
    (pull_request.folder / "Pulumi.branch.yaml").write_text(
        "config:\n  groundwork:environment: preview\n  groundwork:port: 99\n"
    )
    pull_request.environment |= {
        "PULUMI_BACKEND_URL": f"file://{state}".replace(" ", "%20"),
        "PULUMI_CONFIG_PASSPHRASE": "tests tests",
    }

    status, text = pull_request.preview("branch")

    assert status != 0, text
    assert "groundwork:port: 99 is out of range" in pull_request.report()
    assert [path.name for path in state.rglob("branch.json")] == ["branch.json"]
