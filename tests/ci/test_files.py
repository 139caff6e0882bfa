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


def _steps() -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = _workflow()["jobs"]["preview"]["steps"]
    return steps


def _gitlab() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(_GITLAB.read_text())["schema-review"]
    return job


def _commands() -> list[str]:
    """Give every piece of shell that a CI's file or the page has."""
    blocks = re.findall(r"(?:^    .*\n)+", _PAGE.read_text(), re.MULTILINE)
    other = [block for block in blocks if "ci/preview" in block and "script:" not in block]
    run = [str(step["run"]) for step in _steps() if "run" in step]
    return [*run, *map(str, _gitlab()["script"]), *other]


def test_the_scripts_can_be_started() -> None:
    """Both are executable, and tell how they are used."""
    assert {path.name for path in _SCRIPTS} == {"preview", "comment", "run", "docker", "browser"}
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
    """It reads the code and writes the comment; one run a pull request, the last push's."""
    workflow = _workflow()

    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    # pull_request_target would give a fork's code this repository's secrets.
    assert list(workflow["on"]) == ["pull_request"]
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert "github.event.pull_request.number" in workflow["concurrency"]["group"]
    assert workflow["jobs"]["preview"]["timeout-minutes"] <= 60


def test_the_workflow_runs_no_text_of_a_pull_request() -> None:
    """Nothing is pasted into a script; the token is where the comment is written, not in git."""
    for step in _steps():
        assert "${{" not in step.get("run", "")
        assert ("github.token" in str(step)) == ("ci/comment" in step.get("run", ""))
    checkout = _steps()[0]["with"]
    assert checkout == {"fetch-depth": 0, "persist-credentials": False}


def test_actions_are_pinned() -> None:
    """By the commit, which nobody can move, with its release beside it."""
    lines = [line for line in _WORKFLOW.read_text().splitlines() if "uses:" in line]

    assert len(lines) == 4
    for line in lines:
        assert re.search(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_workflow_comments_and_keeps_the_page_when_a_preview_fails() -> None:
    """A refusal is what a reviewer has to see most of all; a cancelled run says nothing."""
    by_what = {step.get("run", step.get("uses", "")): step for step in _steps()}
    (comment,) = (step for what, step in by_what.items() if what.startswith("ci/comment"))
    (kept,) = (step for what, step in by_what.items() if "upload-artifact" in what)
    (preview,) = (step for what, step in by_what.items() if what.startswith("ci/preview"))

    assert comment["if"] == kept["if"] == "${{ !cancelled() }}"
    assert "if" not in preview


def test_a_fork_is_previewed_on_a_stack_of_its_own() -> None:
    """Its code gets neither the repository's backend nor a stack that is somebody's."""
    (preview,) = (step for step in _steps() if step.get("run", "").startswith("ci/preview"))

    assert preview["env"]["GROUNDWORK_STACK"].startswith("${{ env.OWN == 'true' && ")
    assert preview["env"]["GROUNDWORK_STACK"].endswith(" || 'dev' }}")
    assert preview["env"]["PULUMI_BACKEND_URL"].startswith("${{ env.OWN == 'true' && ")
    own = _workflow()["jobs"]["preview"]["env"]["OWN"]
    assert "head.repo.full_name == github.repository && github.actor != 'dependabot[bot]'" in own


def test_gitlabs_file_is_a_job() -> None:
    """A merge request's alone; the comment comes also where the preview fails, which then fails."""
    job = _gitlab()

    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert job["variables"]["GIT_DEPTH"] == "0"
    assert job["artifacts"] == {"when": "always", "paths": ["review"], "expose_as": "schema review"}
    assert job["cache"]["paths"] == [".cache/groundwork"]
    assert all(isinstance(line, str) for line in job["script"])
    for name in job["cache"]["key"]["files"]:
        assert (versions.ROOT / name).is_file()


@pytest.mark.parametrize("preview", [0, 3])
def test_gitlabs_script_ends_as_the_preview_does(tmp_path: Any, preview: int) -> None:
    """As GitLab runs it, in one shell that stops at a failure."""
    for name, status in (("preview", preview), ("comment", 0)):
        program = tmp_path / "ci" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {name} $*\nexit {status}\n")
        program.chmod(0o755)
    script = "\n".join(["set -eo pipefail", *_gitlab()["script"]])

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == preview
    assert done.stdout == "preview --output review\ncomment review/report.md\n"
