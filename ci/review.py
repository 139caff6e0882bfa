"""The files that a preview leaves for its reviewers, and those of a preview that left none."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from ci.redacting import redacted
from toolchain import versions
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["COLOURS", "Review"]

FILES = ("report.md", "report.html", "review.json")
_LINES, _COLUMNS = 40, 500  # of the output that a report without a preview shows
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PROJECT = re.compile(r"^name:\s*[\"']?([\w.-]+)", re.MULTILINE)


class Review:
    """The review of one stack, in the ignored folder of a checkout.

    Attributes:
        folder: Where a preview writes it.
    """

    def __init__(self, stack: str, *, root: Path = versions.ROOT) -> None:
        """Take that of a stack, by the name that its backend knows: ORGANIZATION/PROJECT/STACK."""
        self._name = stack.rpartition("/")[2]
        self._root = root
        self.folder = root / ".groundwork" / "review" / self._name

    def clear(self) -> None:
        """Take an earlier one away, which would pass for this one."""
        for name in FILES:
            (self.folder / name).unlink(missing_ok=True)

    def there(self) -> bool:
        """Tell whether a preview left one."""
        return (self.folder / "report.md").is_file()

    def verdict(self) -> str:
        """Give its line."""
        return str(self._facts().get("verdict", "the report has no verdict"))

    def objections(self) -> list[str]:
        """Say what stands against running the plan, for a check that is to fail for it."""
        facts = self._facts()
        errors = int(facts.get("lint_errors", 0))
        found = ["the review has no facts"] if not facts else []
        found += ["the rehearsal failed"] if facts.get("failed") else []
        found += ["up would refuse this plan"] if facts.get("refused") else []
        found += [f"lint found {errors} error{'s' if errors > 1 else ''}"] if errors else []
        return found

    def _facts(self) -> dict[str, Any]:
        try:
            found: Any = json.loads((self.folder / "review.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def copy(self, target: Path) -> None:
        """Copy it to a folder, which is made, and keeps nothing of an earlier one."""
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (target / name).unlink(missing_ok=True)
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, target / name)

    def write_failure(
        self, status: int, said: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Write one of a preview that ended before it had any: its last words, without secrets.

        Args:
            status: The preview's exit status.
            said: The lines that it printed.
            environment: Where secrets are that these may hold.
        """
        verdict = f"the preview ended with status {status} and without a report"
        self._root.joinpath(".groundwork").mkdir(mode=0o700, exist_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = {"verdict": verdict, "approve": "", "pending": 0, "refused": False, "failed": True}
        self.folder.joinpath("review.json").write_text(json.dumps(facts), encoding="utf-8")
        text = _failure(f"{self._project()}/{self._name}", verdict, _last(said, environment))
        self.folder.joinpath("report.md").write_text(text, encoding="utf-8")

    def _project(self) -> str:
        found = _PROJECT.search((self._root / "Pulumi.yaml").read_text(encoding="utf-8"))
        return found[1] if found else "groundwork"


def _last(said: Sequence[str], environment: Mapping[str, str]) -> str:
    # Redacted as a whole and before it is cut, since half a secret would not be found.
    clean = visible(COLOURS.sub("", redacted("\n".join(said), environment)))
    lines = [line.rstrip()[:_COLUMNS] for line in clean.split("\n") if line.strip()]
    return "\n".join(lines[-_LINES:]) or "(nothing)"


def _failure(name: str, verdict: str, said: str) -> str:
    # A fence that no line of the output can close.
    longest = max(map(len, re.findall(r"`+", said)), default=0)
    fence = "`" * max(3, longest + 1)
    return (
        f"<!-- groundwork: {name} -->\n"
        f"### {name}: {verdict}\n\n"
        "Nothing was changed. What would run in the database can't be told. The last lines that "
        f"the preview printed:\n\n{fence}text\n{said}\n{fence}\n"
    )
