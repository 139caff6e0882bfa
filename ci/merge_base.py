"""The commit that a pull request goes on from: what is there already is history to a review."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from toolchain import run
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["NoBaseError", "find"]

CHOSEN = "GROUNDWORK_BASE"
# The branch that a pull request goes to, as the CI systems say it; each only for one.
_BRANCHES = (
    CHOSEN,
    "GITHUB_BASE_REF",  # GitHub, Gitea, Forgejo
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",  # GitLab
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "SYSTEM_PULLREQUEST_TARGETBRANCH",  # Azure Pipelines
    "CHANGE_TARGET",  # Jenkins
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
    "CI_COMMIT_TARGET_BRANCH",  # Woodpecker
)
_BASE = "CI_MERGE_REQUEST_DIFF_BASE_SHA"  # GitLab knows the merge base itself
_DEEPER = ("--deepen=100", "--deepen=1000", "--unshallow")  # by how much a shallow clone grows
_LOCAL, _NETWORK = 60.0, 600.0  # seconds that a command of git may take


class NoBaseError(ToolchainError):
    """The CI names a target, and the merge base with it can't be found."""


def find(root: Path, environment: Mapping[str, str]) -> str:
    """Give the merge base of HEAD and of what a pull request goes to; "" where there is none.

    Args:
        root: The checkout, a shallow one perhaps: what is missing is fetched.
        environment: The variables of the CI.

    Raises:
        NoBaseError: It can't be found; the message says why.
    """
    git = _Git(root)
    base = environment.get(_BASE, "") if not environment.get(CHOSEN) else ""
    target = next(filter(None, map(environment.get, _BRANCHES)), "")
    try:
        if base and git.have(base):
            return base
        return git.merge_base(target.removeprefix("refs/heads/")) if target else ""
    except ToolchainError as exc:
        raise NoBaseError(f"no merge base with {target or base}: {exc}") from exc


class _Git:
    def __init__(self, root: Path) -> None:
        self._root = root
        # A CI has nobody to ask for a password; git would wait for one.
        self._environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

    def have(self, commit: str) -> bool:
        """Tell whether a commit is there, after a look at the remote."""
        if not self._resolve(commit):
            depth = ("--depth=1",) if self._shallow() else ()
            with suppress(run.CommandError):
                self._ask("fetch", "--no-tags", *depth, self._remote(), "--", commit)
        return bool(self._resolve(commit))

    def merge_base(self, target: str) -> str:
        """Give the merge base with a branch of the remote, else with a local name."""
        if target.startswith("-"):
            raise NoBaseError(f"{target!r} is no name of a branch")
        remote = self._remote()
        tracked = f"refs/remotes/{remote}/{target}"
        found = self._common(tracked)
        if not found and remote:
            found = self._fetched(remote, target, tracked)
        if not found and not self._resolve(tracked):
            found = self._common(target)
        if not found:
            raise NoBaseError("their histories have nothing in common")
        return found

    def _fetched(self, remote: str, target: str, tracked: str) -> str:
        """Fetch a branch, and as much of both histories as it takes for them to meet."""
        branch = f"+refs/heads/{target}:{tracked}"
        try:
            if not self._shallow():
                self._ask("fetch", "--no-tags", remote, branch)
                return self._common(tracked)
            for step in _DEEPER:
                self._deepen(step, remote, branch)
                if (found := self._common(tracked)) or not self._shallow():
                    return found
        except run.CommandError:
            if self._resolve(tracked) or not self._resolve(target):
                raise  # else it is a tag, a commit or a local branch
        return ""

    def _deepen(self, step: str, remote: str, branch: str) -> None:
        command = ("fetch", "--no-tags", step, remote, branch)
        try:
            # A pull request's HEAD is on no branch, so that nothing else fetches its history.
            self._ask(*command, self._ask("rev-parse", "HEAD"))
        except run.CommandError:  # the remote doesn't have it, or gives branches alone
            self._ask(*command)

    def _common(self, other: str) -> str:
        if not self._resolve(other):
            return ""
        try:
            return self._ask("merge-base", "HEAD", other)
        except run.CommandError as exc:
            if exc.tail:  # status 1 without a word: there is none
                raise
            return ""

    def _resolve(self, name: str) -> str:
        try:
            return self._ask("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except run.CommandError as exc:
            if exc.tail:
                raise
            return ""

    def _remote(self) -> str:
        names = self._ask("remote").split()
        return "origin" if "origin" in names or not names else names[0]

    def _shallow(self) -> bool:
        return self._ask("rev-parse", "--is-shallow-repository") == "true"

    def _ask(self, *arguments: str) -> str:
        limit = _NETWORK if arguments[0] == "fetch" else _LOCAL
        return run.output(["git", *arguments], cwd=self._root, env=self._environment, timeout=limit)
