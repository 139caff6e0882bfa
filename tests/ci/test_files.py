"""The files that CI systems read: what they run is what the tests ran."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from toolchain import versions

_WORKFLOW = versions.ROOT / ".github" / "workflows" / "preview.yml"
_GITLAB = versions.ROOT / "ci" / "gitlab.yml"
_PAGE = versions.ROOT / "docs" / "pull-requests.md"
_SCRIPTS = sorted(
    path
    for folder in ("ci", ".ci")
    for path in (versions.ROOT / folder).iterdir()
    if path.is_file() and path.read_bytes().startswith(b"#!")
)
_SHELL = [path for path in _SCRIPTS if b"sh\n" in path.read_bytes().splitlines(keepends=True)[0]]


def _workflow() -> dict[str, Any]:
    # YAML reads the key `on` as a truth value.
    loaded: dict[Any, Any] = yaml.safe_load(_WORKFLOW.read_text())
    return {"on" if key is True else key: value for key, value in loaded.items()}


def _steps(job: str = "preview") -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = _workflow()["jobs"][job]["steps"]
    return steps


def _gitlab(name: str = "schema-review") -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(_GITLAB.read_text())[name]
    return job


def _commands() -> list[str]:
    """Give every piece of shell that a CI's file or the page has."""
    blocks = re.findall(r"(?:^    .*\n)+", _PAGE.read_text(), re.MULTILINE)
    other = [block for block in blocks if "ci/" in block and "include:" not in block]
    steps = [*_steps(), *_steps("comment")]
    run = [str(step["run"]) for step in steps if "run" in step]
    scripts = [*_gitlab()["script"], *_gitlab("schema-comment")["script"]]
    return [*run, *map(str, scripts), *other]


def test_the_scripts_can_be_started() -> None:
    """All are executable, and those of users tell how they are used."""
    names = {"preview", "comment", "run", "docker", "browser", "pooler"}
    assert {path.name for path in _SCRIPTS} == names
    for path in _SCRIPTS:
        assert path.stat().st_mode & 0o111 == 0o111, path
    for name in ("preview", "comment"):
        done = subprocess.run(
            [str(versions.ROOT / "ci" / name), "--help"], capture_output=True, text=True, check=True
        )
        assert f"ci/{name}" in done.stdout


@pytest.mark.parametrize("path", _SHELL, ids=lambda path: path.name)
def test_shell_scripts_parse(path: Any) -> None:
    """And shellcheck has nothing to say, where it is there."""
    subprocess.run(["bash", "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(path)], check=True)


def test_shell_in_the_files_parses() -> None:
    """What a workflow, GitLab and the page's other systems are to run."""
    commands = _commands()

    assert len(commands) >= 6
    for command in commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_the_workflow_asks_for_no_more_than_it_needs() -> None:
    """One job reads the code, the other writes the comment; one run a pull request, the last's."""
    workflow = _workflow()
    jobs = workflow["jobs"]

    assert workflow["permissions"] == {}
    assert jobs["preview"]["permissions"] == {"contents": "read"}
    assert jobs["comment"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    # pull_request_target would give a fork's code this repository's secrets.
    assert list(workflow["on"]) == ["pull_request"]
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert "github.event.pull_request.number" in workflow["concurrency"]["group"]
    assert jobs["preview"]["timeout-minutes"] <= 60


def test_the_job_that_writes_has_no_code_of_the_pull_request() -> None:
    """Its code is the default branch's, its input an artifact; it has no secret but a token."""
    steps = _steps("comment")
    job = _workflow()["jobs"]["comment"]

    assert "environment" not in job
    assert "secrets." not in str(job)
    (checkout,) = (step for step in steps if "actions/checkout" in step.get("uses", ""))
    assert checkout["with"] == {
        "ref": "${{ github.event.repository.default_branch }}",
        "path": "trusted",
        "persist-credentials": False,
    }
    assert [step["run"] for step in steps if "run" in step] == [
        'python3 -I trusted/ci/comment "$RUNNER_TEMP/review/report.md"'
    ]
    assert not any("actions/cache" in step.get("uses", "") for step in steps)
    assert "github.token" not in str(_workflow()["jobs"]["preview"])


def test_the_workflow_runs_no_text_of_a_pull_request() -> None:
    """Nothing is pasted into a script; no token is left in git."""
    for step in (*_steps(), *_steps("comment")):
        assert "${{" not in step.get("run", "")
    checkout = _steps()[0]["with"]
    assert checkout == {"fetch-depth": 0, "persist-credentials": False}


def test_actions_are_pinned() -> None:
    """By the commit, which nobody can move, with its release beside it."""
    lines = [line for line in _WORKFLOW.read_text().splitlines() if "uses:" in line]

    assert len(lines) == 6
    for line in lines:
        assert re.search(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_workflow_comments_and_keeps_the_page_when_a_preview_fails() -> None:
    """A refusal is what a reviewer has to see most of all; a cancelled run says nothing."""
    by_what = {step.get("run", step.get("uses", "")): step for step in _steps()}
    (kept,) = (step for what, step in by_what.items() if "upload-artifact" in what)
    (preview,) = (step for what, step in by_what.items() if what.startswith("ci/preview"))
    comment = _workflow()["jobs"]["comment"]

    assert kept["if"] == "${{ !cancelled() }}"
    assert comment["needs"] == "preview"
    assert comment["if"] == "${{ !cancelled() && needs.preview.result != 'skipped' }}"
    assert "if" not in preview
    assert preview["env"]["GROUNDWORK_STRICT"] == "${{ vars.GROUNDWORK_STRICT || 'true' }}"


def test_a_fork_is_previewed_on_a_stack_of_its_own() -> None:
    """Its code gets neither the repository's backend nor a stack that is somebody's."""
    (preview,) = (step for step in _steps() if step.get("run", "").startswith("ci/preview"))

    assert preview["env"]["GROUNDWORK_STACK"].startswith("${{ env.OWN == 'true' && ")
    assert preview["env"]["GROUNDWORK_STACK"].endswith(" || 'dev' }}")
    assert preview["env"]["PULUMI_BACKEND_URL"].startswith("${{ env.OWN == 'true' && ")
    own = _workflow()["jobs"]["preview"]["env"]["OWN"]
    assert "head.repo.full_name == github.repository && github.actor != 'dependabot[bot]'" in own


def test_gitlabs_file_is_two_jobs() -> None:
    """A merge request's alone; the comment comes also where the preview fails, which then fails."""
    job, comment = _gitlab(), _gitlab("schema-comment")

    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert job["variables"]["GIT_DEPTH"] == "0"
    assert job["variables"]["GROUNDWORK_STRICT"] == "true"
    assert job["artifacts"] == {"when": "always", "paths": ["review"], "expose_as": "schema review"}
    assert job["cache"]["paths"] == [".cache/groundwork"]
    assert job["script"] == ["ci/preview --output review"]
    for name in job["cache"]["key"]["files"]:
        assert (versions.ROOT / name).is_file()
    assert (comment["needs"], comment["rules"][0]["when"]) == (["schema-review"], "always")


def test_gitlabs_job_that_writes_has_no_code_of_the_merge_request() -> None:
    """Its token is in an environment that the other job does not ask for."""
    job, comment = _gitlab(), _gitlab("schema-comment")

    assert comment["variables"]["GIT_STRATEGY"] == "none"
    assert comment["environment"]["name"] == "schema-comment"
    assert "environment" not in job
    assert comment["script"] == [
        'git clone --quiet --depth 1 --branch "$CI_DEFAULT_BRANCH" "$CI_REPOSITORY_URL" trusted',
        "python3 -I trusted/ci/comment review/report.md",
    ]
    assert "cache" not in comment
