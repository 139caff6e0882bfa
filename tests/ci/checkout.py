"""A pull request in real git repositories, and a checkout of it whose preview is a short script."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from toolchain import versions

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkout", "Upstream", "git"]

# In the place of the virtual environment's Python, which would run the toolchain.
_PREVIEW = """\
#!/bin/bash
set -u
cd "$(dirname "$0")/../.."
echo "$*" > arguments
env -0 > environment
{said}
exit {status}
"""
_REPORT = """\
mkdir -p .groundwork/review/{stack}
cd .groundwork/review/{stack}
printf '<!-- groundwork: groundwork/{stack} -->\\nthe report\\n' > report.md
echo '<p>the report</p>' > report.html
echo '{{"verdict": "2 to apply", "approve": "3f0c", "pending": 2}}' > review.json
"""
_IGNORED = (".venv", ".groundwork", "arguments", "environment", "__pycache__")


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody without a configuration, and give what it says."""
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ann"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ann@test"),
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Upstream:
    """A repository with a pull request: `main` and `feature` have parted, and `main` went on.

    Attributes:
        folder: Its work tree; as a remote, `url`.
        base: The commit where they parted.
        merged: The merge of both, which a forge offers as refs/pull/7/merge.
    """

    def __init__(self, folder: Path) -> None:
        """Make it of this project's scripts."""
        self.folder = folder
        self.url = f"file://{folder}"
        for part in ("ci", "toolchain"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(versions.ROOT / part, folder / part, ignore=ignored)
        for name in ("Pulumi.yaml", "pyproject.toml"):
            shutil.copy(versions.ROOT / name, folder)
        (folder / ".gitignore").write_text("\n".join(_IGNORED))
        git(folder, "init", "--quiet", "--initial-branch=main")
        for number in range(5):
            self._commit(f"old {number}")
        self.base = git(folder, "rev-parse", "HEAD")
        git(folder, "branch", "feature")
        self._commit("main goes on")
        self.main = git(folder, "rev-parse", "HEAD")
        git(folder, "switch", "--quiet", "feature")
        for number in range(3):
            self._commit(f"new {number}")
        git(folder, "switch", "--quiet", "--detach", "main")
        git(folder, "merge", "--quiet", "--no-edit", "feature")
        self.merged = git(folder, "rev-parse", "HEAD")
        git(folder, "update-ref", "refs/pull/7/merge", "HEAD")
        git(folder, "switch", "--quiet", "main")

    def _commit(self, message: str) -> None:
        (self.folder / message.replace(" ", "-")).write_text(message)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", f"--message={message}")

    def clone(self, folder: Path, *options: str) -> Checkout:
        """Clone it with git's own options."""
        git(folder.parent, "clone", "--quiet", *options, self.url, str(folder))
        return Checkout(folder)

    def fetched(self, folder: Path, reference: str, *options: str) -> Checkout:
        """Check one reference out and fetch nothing else, as the CI of a forge does."""
        folder.mkdir()
        git(folder, "init", "--quiet")
        git(folder, "remote", "add", "origin", self.url)
        git(folder, "fetch", "--quiet", "--no-tags", *options, "origin", reference)
        git(folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        return Checkout(folder)


class Checkout:
    """A clone whose preview is a script.

    Attributes:
        environment: What `ci/preview` gets to see.
    """

    def __init__(self, folder: Path) -> None:
        """Take a clone."""
        self.folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = kept | {"GIT_CONFIG_GLOBAL": "/dev/null"}
        self.previews()

    def previews(self, said: str = "", *, stack: str = "dev", status: int = 0) -> None:
        """Choose what the preview does: commands of bash in place of a good report."""
        program = self.folder / ".venv" / "bin" / "python"
        program.parent.mkdir(parents=True, exist_ok=True)
        commands = said or _REPORT.format(stack=stack)
        program.write_text(_PREVIEW.format(said=commands, status=status))
        program.chmod(0o755)

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run `ci/preview`, and give what it printed."""
        done = subprocess.run(
            [str(self.folder / "ci" / "preview"), *arguments],
            cwd=self.folder.parent,  # from anywhere
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def seen(self) -> dict[str, str]:
        """Give the environment that the preview had."""
        entries = (self.folder / "environment").read_text().split("\0")
        return dict(entry.split("=", 1) for entry in entries if entry)

    def review(self, stack: str = "dev") -> Path:
        """Give the folder of a review."""
        return self.folder / ".groundwork" / "review" / stack
