"""`ci/preview` in real git repositories: the base that it finds, and the report that it leaves."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.ci.checkout import Checkout, Upstream, git

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """A repository with a pull request."""
    folder = tmp_path_factory.mktemp("up stream") / "db"
    folder.mkdir()
    return Upstream(folder)


@pytest.fixture(scope="module")
def cloned(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole clone of the pull request's branch, to be copied."""
    return upstream.clone(tmp_path_factory.mktemp("cloned") / "c", "--branch=feature").folder


@pytest.fixture
def checkout(cloned: Path, tmp_path: Path) -> Checkout:
    """A whole clone of the pull request's branch, of the test's own."""
    return Checkout(shutil.copytree(cloned, tmp_path / "a check out"))


def test_the_preview_is_the_toolchains_and_its_status_is_passed_on(checkout: Checkout) -> None:
    """Never an `up`, with a rehearsal; the verdict and the report's place are printed."""
    checkout.previews(stack="prod", status=3)

    text = checkout.run("prod", status=3)

    arguments = (checkout.folder / "arguments").read_text()
    assert arguments == "-m toolchain preview --existing --stack prod\n"
    assert checkout.seen()["GROUNDWORK_REHEARSE"] == "true"
    assert "ci/preview: prod: 2 to apply\n" in text
    assert f"report: {checkout.review('prod')}/report.md\n" in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GROUNDWORK_BASE", "main"),
        ("GITHUB_BASE_REF", "main"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("BITBUCKET_PR_DESTINATION_BRANCH", "main"),
        ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main"),
        ("CHANGE_TARGET", "main"),
        ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
        ("CI_COMMIT_TARGET_BRANCH", "main"),
    ],
)
def test_the_merge_base_is_what_the_ci_says(
    checkout: Checkout, upstream: Upstream, variable: str, value: str
) -> None:
    """Each names the branch that the pull request goes to; `main` went on meanwhile."""
    checkout.environment[variable] = value

    text = checkout.run()

    assert checkout.seen()["GROUNDWORK_SINCE"] == upstream.base
    assert f"what is new since {upstream.base[:12]}" in text


def test_a_base_may_be_given_by_hand(checkout: Checkout, upstream: Upstream) -> None:
    """A branch, a tag, a commit; it goes before what a CI says."""
    git(checkout.folder, "tag", "v1", f"{upstream.base}~1")
    checkout.environment["GITHUB_BASE_REF"] = "feature"
    for base, expected in (
        ("main", upstream.base),
        ("v1", git(checkout.folder, "rev-parse", "v1")),
        (upstream.base, upstream.base),
    ):
        checkout.run("--base", base)
        assert checkout.seen()["GROUNDWORK_SINCE"] == expected


@pytest.mark.parametrize("depth", ["--depth=1", "--depth=2"])
def test_a_shallow_clone_fetches_what_it_lacks(
    upstream: Upstream, tmp_path: Path, depth: str
) -> None:
    """One branch with its last commits: the target comes, and history until they meet."""
    checkout = upstream.clone(tmp_path / "c", "--branch=feature", "--single-branch", depth)
    checkout.environment["GITHUB_BASE_REF"] = "main"

    checkout.run()

    assert checkout.seen()["GROUNDWORK_SINCE"] == upstream.base


@pytest.mark.parametrize("options", [(), ("--depth=1",)])
def test_a_forges_merge_is_compared_with_what_it_was_merged_into(
    upstream: Upstream, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """HEAD is refs/pull/7/merge, on no branch: what `main` has by then is history."""
    checkout = upstream.fetched(tmp_path / "c", "refs/pull/7/merge", *options)
    checkout.environment["GITHUB_BASE_REF"] = "main"

    checkout.run()

    assert checkout.seen()["GROUNDWORK_SINCE"] == upstream.main


def test_a_clone_that_is_whole_needs_no_network(checkout: Checkout, upstream: Upstream) -> None:
    """The checkout of a workflow keeps no token that could fetch more."""
    git(checkout.folder, "remote", "set-url", "origin", "file:///nowhere")
    checkout.environment["GITHUB_BASE_REF"] = "main"

    checkout.run()

    assert checkout.seen()["GROUNDWORK_SINCE"] == upstream.base


def test_gitlab_knows_the_merge_base_itself(upstream: Upstream, tmp_path: Path) -> None:
    """It is fetched by its name; where it can't be, the target branch does."""
    checkout = upstream.clone(tmp_path / "c", "--branch=feature", "--depth=1")
    checkout.environment |= {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": upstream.base,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    }
    checkout.run()
    assert checkout.seen()["GROUNDWORK_SINCE"] == upstream.base
    assert git(checkout.folder, "rev-list", "--count", "HEAD") == "1"

    checkout.environment["CI_MERGE_REQUEST_DIFF_BASE_SHA"] = "0" * 39 + "1"
    checkout.run()
    assert checkout.seen()["GROUNDWORK_SINCE"] == upstream.base


@pytest.mark.parametrize("base", ["nobody", "--upload-pack=touch here", "two words"])
def test_a_base_that_can_not_be_found_is_a_warning(checkout: Checkout, base: str) -> None:
    """The preview runs all the same, and the review goes by what the database remembers."""
    checkout.environment["GITHUB_BASE_REF"] = base

    text = checkout.run()

    assert "warning: no merge base with " in text
    assert checkout.seen()["GROUNDWORK_SINCE"] == ""
    assert not (checkout.folder / "here").exists()


def test_a_folder_without_git_is_a_warning(checkout: Checkout, tmp_path: Path) -> None:
    """An archive of the project can be previewed too."""
    (checkout.folder / ".git").rename(tmp_path / "away")
    checkout.environment["GITHUB_BASE_REF"] = "main"

    assert "warning: no merge base with main: " in checkout.run()


def test_what_somebody_has_set_is_kept(checkout: Checkout) -> None:
    """Both variables win over what a pull request gets by default; empty ones are not set."""
    checkout.environment |= {
        "GROUNDWORK_SINCE": "v1",
        "GROUNDWORK_REHEARSE": "false",
        "GITHUB_BASE_REF": "main",
        "GROUNDWORK_STACK": "",
    }
    checkout.run()
    assert checkout.seen()["GROUNDWORK_SINCE"] == "v1"
    assert checkout.seen()["GROUNDWORK_REHEARSE"] == "false"

    checkout.environment |= {
        "GROUNDWORK_SINCE": "",
        "GROUNDWORK_REHEARSE": "",
        "GITHUB_BASE_REF": "",
    }
    assert "no pull request, and no --base" in checkout.run()
    assert checkout.seen()["GROUNDWORK_SINCE"] == ""
    assert checkout.seen()["GROUNDWORK_REHEARSE"] == "true"


def test_secrets_that_are_not_set_are_as_if_there_were_none(checkout: Checkout) -> None:
    """A CI hands them over empty; with a backend of one's own, an empty passphrase is a choice."""
    checkout.environment |= {
        "PULUMI_BACKEND_URL": "",
        "PULUMI_ACCESS_TOKEN": "",
        "PULUMI_CONFIG_PASSPHRASE": "",
    }
    checkout.run()
    assert not [name for name in checkout.seen() if name.startswith("PULUMI_")]

    checkout.environment["PULUMI_BACKEND_URL"] = "file:///state"
    checkout.run()
    assert checkout.seen()["PULUMI_CONFIG_PASSPHRASE"] == ""


def _asked(checkout: Checkout) -> str:
    """Give the arguments of the last preview, as one line."""
    return (checkout.folder / "arguments").read_text()


def test_it_takes_the_stack_of_its_shell(checkout: Checkout) -> None:
    """As `make preview` does there; what a CI names for it goes before."""
    checkout.environment["PULUMI_STACK"] = "mine"
    checkout.previews(stack="mine")
    checkout.run()
    assert _asked(checkout).endswith(" --stack mine\n")

    checkout.environment["GROUNDWORK_STACK"] = "prod"
    checkout.previews(stack="prod")
    checkout.run()
    assert _asked(checkout).endswith(" --stack prod\n")


@pytest.mark.parametrize("by", ["option", "variable"])
def test_the_report_is_copied_for_those_that_keep_it(
    checkout: Checkout, tmp_path: Path, by: str
) -> None:
    """All three files, into a folder that is made; what an earlier run left there goes."""
    target = tmp_path / "new" / "review"
    target.mkdir(parents=True)
    (target / "report.html").write_text("old")
    checkout.environment |= {"GROUNDWORK_STACK": "acme/db/prod"}
    folder = ".groundwork/review/prod"
    checkout.previews(f"mkdir -p {folder}\necho '<!-- m -->' > {folder}/report.md")
    if by == "variable":
        checkout.environment["GROUNDWORK_REVIEW"] = str(target)
    text = checkout.run(*(["--output", str(target)] if by == "option" else []))

    assert [path.name for path in target.iterdir()] == ["report.md"]
    assert f"report: {target}/report.md" in text
    checkout.previews(stack="prod")
    checkout.run("--output", str(target))
    names = sorted(path.name for path in target.iterdir())
    assert names == ["report.html", "report.md", "review.json"]


def test_a_preview_that_ends_without_a_report_leaves_one_all_the_same(checkout: Checkout) -> None:
    """Its last words behind the marker, without a secret, in a fence that they can't leave."""
    checkout.environment |= {"PULUMI_CONFIG_PASSPHRASE": "a long passphrase", "LONG": "x" * 9000}
    checkout.previews(
        "seq 1 5000\n"
        "printf '\\033[31merror:\\033[0m postgresql://ann:pa@ss/word@db.test/x is down\\n'\n"
        "echo '```` <b>a long passphrase</b> password=hunter22 &'\n"
        'echo "$LONG" >&2\n',
        status=255,
    )

    text = checkout.run(status=255)

    assert "dev: the preview ended with status 255 and without a report" in text
    report = (checkout.review() / "report.md").read_text()
    assert report.startswith("<!-- groundwork: groundwork/dev -->\n### groundwork/dev: ")
    assert "\n`````text\n" in report
    assert "error: postgresql://***@db.test/x is down\n" in report
    assert "<b>***</b> password=*** &" in report
    assert not [secret for secret in ("long passphrase", "hunter", "word@") if secret in report]
    assert "\n5000\n" in report
    assert "\n4000\n" not in report
    assert len(report) < 5000
    assert json.loads((checkout.review() / "review.json").read_text()) == {
        "verdict": "the preview ended with status 255 and without a report",
        "approve": "",
        "pending": 0,
        "refused": False,
        "failed": True,
    }


def test_an_earlier_report_does_not_pass_for_todays(checkout: Checkout) -> None:
    """A preview that fails after a good one shows its failure."""
    checkout.run()
    checkout.previews("echo broken", status=1)

    checkout.run(status=1)

    assert "the report" not in (checkout.review() / "report.md").read_text()
    assert not (checkout.review() / "report.html").exists()


def test_a_preview_that_is_killed_has_a_status_and_a_report(checkout: Checkout) -> None:
    """As a shell counts it: 128 and the signal."""
    checkout.previews("kill -9 $$")

    assert "ended with status 137" in checkout.run(status=137)


@pytest.mark.parametrize("stack", ["../up", "a b", "-x", "a/b/c/d", "$(id)", ".."])
def test_a_stack_is_a_name(checkout: Checkout, stack: str) -> None:
    """Nothing else gets as far as a path or a command."""
    checkout.environment["GROUNDWORK_STACK"] = stack

    assert "is no name of a stack" in checkout.run(status=2)

    assert not (checkout.folder / "arguments").exists()


@pytest.mark.parametrize(
    ("facts", "status", "why"),
    [
        ({}, 0, ""),
        ({"refused": True}, 2, "up would refuse this plan"),
        ({"lint_errors": 2}, 2, "lint found 2 errors"),
        ({"failed": True}, 2, "the rehearsal failed"),
    ],
)
def test_a_strict_preview_fails_for_what_should_not_run(
    checkout: Checkout, facts: dict[str, object], status: int, why: str
) -> None:
    """By an option, or by the variable that the workflow sets; else it is in the report alone."""
    verdict = json.dumps({"verdict": "2 to apply", **facts})
    folder = ".groundwork/review/dev"
    checkout.previews(
        f"mkdir -p {folder}; echo report > {folder}/report.md;"
        f" echo '{verdict}' > {folder}/review.json"
    )

    checkout.run()
    assert why in checkout.run("--strict", status=status)
    checkout.environment["GROUNDWORK_STRICT"] = "true"
    assert why in checkout.run(status=status)
    assert (checkout.review("dev") / "report.md").is_file()


def test_a_strict_preview_that_fails_keeps_its_own_status(checkout: Checkout) -> None:
    """A preview that did not come about says more than a plan that should not run."""
    checkout.previews(status=3)

    checkout.run("--strict", status=3)
