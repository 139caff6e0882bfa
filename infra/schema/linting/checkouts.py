"""What a commit of the project's repository holds; nothing in the repository is changed."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.schema.errors import LintError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commit", "files", "former", "renamed", "repository", "unpacked"]

_SECONDS = 120.0
# Set where this runs inside of a git hook, and then about another place than the one we name.
_ELSEWHERE = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE")


def repository(folder: Path) -> Path:
    """Give the root of the repository that holds a folder.

    Raises:
        LintError: There is none, or no git; the message is the end of a sentence.
    """
    return Path(_line(folder, "rev-parse", "--show-toplevel")).resolve()


def commit(folder: Path, name: str) -> str:
    """Give the id of the commit that a tag, a branch (of origin, where there is none) or id means.

    Raises:
        LintError: There is none; the message is the end of a sentence.
    """
    for known_as in (name, f"origin/{name}"):  # a clone for CI has no branch but its own
        try:
            return _commit(folder, known_as)
        except LintError as exc:
            if str(exc):
                raise
    why = "the repository has no such commit, tag or branch"
    if _line(folder, "rev-parse", "--is-shallow-repository") == "true":
        why += ": it is a shallow clone, so fetch more of it (in CI, fetch-depth: 0)"
    raise LintError(why)


def _commit(folder: Path, name: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return _line(folder, *asked)


def files(folder: Path, commit_: str) -> frozenset[Path]:
    """List the files of a commit, by where they are when it is checked out.

    Raises:
        LintError: Git failed; the message is the end of a sentence.
    """
    top = repository(folder)
    listed = _git(folder, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit_)
    return frozenset(top / os.fsdecode(name) for name in listed.split(b"\0") if name)


def renamed(folder: Path, commit_: str) -> dict[Path, Path]:
    """Give what each file was called in a commit that was only renamed or moved since.

    Files that git does not know yet are left out, and those that were edited as well.

    Raises:
        LintError: Git failed; the message is the end of a sentence.
    """
    top = repository(folder)
    asked = ("--name-status", "-z", "--no-relative", "--find-renames=100%", "--diff-filter=R")
    told = [os.fsdecode(each) for each in _git(folder, "diff", *asked, commit_, "--").split(b"\0")]
    return {top / new: top / old for old, new in zip(told[1::3], told[2::3], strict=False)}


def former(folder: Path, commit_: str) -> Path:
    """Give where a folder was in a commit, from the root of the repository.

    Raises:
        LintError: Git failed; the message is the end of a sentence.
    """
    top = repository(folder)
    there = files(folder, commit_)
    if any(file.is_relative_to(folder) for file in there):
        return folder.relative_to(top)
    moved = Counter(
        Path(*old.parts[: len(old.parts) - len(inside.parts)])
        for new, old in renamed(folder, commit_).items()
        if new.is_relative_to(folder)
        for inside in [new.relative_to(folder)]
        if old.parts[len(old.parts) - len(inside.parts) :] == inside.parts
    )
    home = moved.most_common(1)[0][0] if moved else folder
    return home.relative_to(top)


@contextmanager
def unpacked(folder: Path, commit_: str) -> Iterator[Path]:
    """Give a folder with the files of a commit, for as long as the block lasts.

    Raises:
        LintError: Git failed; the message is the end of a sentence.
    """
    with tempfile.TemporaryDirectory(prefix="groundwork-release-") as name:
        archive = Path(name, "commit.tar")
        root = Path(name, "files").resolve()
        try:
            _git(repository(folder), "archive", "--format=tar", "-o", str(archive), commit_)
            with tarfile.open(archive) as tar:
                tar.extractall(root, filter=_ordinary)  # noqa: S202 - each member is looked at
        except (OSError, tarfile.TarError) as exc:
            raise LintError(f"its files can't be unpacked: {exc}") from exc
        yield root


def _ordinary(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Leave out what leads out of the folder: links to elsewhere."""
    try:
        return tarfile.data_filter(member, path)
    except tarfile.FilterError:
        return None


def _line(folder: Path, *arguments: str) -> str:
    return os.fsdecode(_git(folder, *arguments)).strip()


def _git(folder: Path, *arguments: str) -> bytes:
    environ = {key: value for key, value in os.environ.items() if key not in _ELSEWHERE}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder if folder.is_dir() else folder.parent), *arguments],
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env={**environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as exc:
        raise LintError("git is not installed") from exc
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
        raise LintError(f"git can't be run: {exc}") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise LintError(said[0].removeprefix("fatal: ").rstrip(".") if said else "")
    return done.stdout
