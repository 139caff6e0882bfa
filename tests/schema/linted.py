"""What the tests of lint share: revisions by hand or in files, and a look at them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import history, lint, live, plan
from infra.schema.model import History, Policy, Revision, Script
from infra.schema.options import parse
from tests.engine import histories
from tests.schema.applying import script

if TYPE_CHECKING:
    from infra.schema.model import Live
    from infra.schema.review import Finding, Rehearsal
    from tests.migrations.place import Place

__all__ = ["NOWHERE", "Files", "chain", "found", "git", "look", "rules", "url_of"]

NOWHERE = Path("/nowhere")
_GIT = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def url_of(place: Place) -> str:
    """Give the URL of a database of the tests."""
    return f"{place.url}?sslmode=disable"


def chain(*ups: str | Script | Revision) -> History:
    """Make a history r1, r2, ... of these upgrades."""
    revisions: list[Revision] = []
    for number, up in enumerate(ups, start=1):
        parents = (f"r{number - 1}",) if number > 1 else ()
        made = up if isinstance(up, Revision) else Revision(id="", parents=(), upgrade=_script(up))
        revisions.append(replace(made, id=f"r{number}", parents=parents))
    return History(revisions=tuple(revisions), heads=(f"r{len(ups)}",), digest="")


def _script(up: str | Script) -> Script:
    return up if isinstance(up, Script) else script(up)


def look(  # noqa: PLR0913 - as many as lint has
    files: History,
    there: Live | None = None,
    *,
    place: Place | None = None,
    folder: Path = NOWHERE,
    rehearsal: Rehearsal | None = None,
    roles: tuple[str, ...] = (),
    policy: Policy | None = None,
    **options: str,
) -> tuple[Finding, ...]:
    """Lint what is pending; a place is read, and asked."""
    if place is not None:
        there = live.read_for(files, url_of(place))
    return lint.lint(
        plan.make(files, there, policy or Policy()),
        files,
        there,
        options=parse(options, roles=roles),
        folder=folder,
        url=url_of(place) if place else None,
        rehearsal=rehearsal,
    )


def found(findings: tuple[Finding, ...], *rules_: str) -> list[Finding]:
    """Give the findings of some rules."""
    return [finding for finding in findings if finding.rule in rules_]


def rules(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    """Give level and rule of what is no note, each once."""
    pairs = [(each.level, each.rule) for each in findings if each.level != "note"]
    return list(dict.fromkeys(pairs))


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    done = subprocess.run(
        ["git", *_GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


_MODELS = """
import sqlalchemy as sa
target_metadata = sa.MetaData()
"""


@dataclass(frozen=True)
class Files:
    """An Alembic directory in a repository, below its root."""

    repository: Path
    folder: Path

    @classmethod
    def made(cls, root: Path, *, name: str = "db") -> Files:
        """Make one with nothing in it."""
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "-q", "-b", "main")
        folder = histories.init(root / name)
        env = folder / "alembic" / "env.py"
        text = env.read_text().replace(
            "target_metadata = None", "from models import target_metadata"
        )
        env.write_text(text)
        ini = folder / "alembic.ini"
        lines = [
            line for line in ini.read_text().splitlines() if not line.startswith("prepend_sys")
        ]
        ini.write_text(
            "\n".join(lines).replace("[alembic]", "[alembic]\nprepend_sys_path = %(here)s", 1)
        )
        (folder / "models.py").write_text(_MODELS)
        return cls(root, folder)

    def models(self, text: str) -> None:
        """Write the models: statements that fill `target_metadata`."""
        (self.folder / "models.py").write_text(_MODELS + text)

    def add(self, revision: str, parent: str | None, up: str, **more: Any) -> Path:
        """Write a revision that executes SQL."""
        return histories.add(self.folder, revision, parent, f"op.execute({up!r})", **more)

    def commit(self, tag: str = "") -> str:
        """Commit all that there is."""
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-q", "--allow-empty", "-m", "made")
        if tag:
            git(self.repository, "tag", tag)
        return git(self.repository, "rev-parse", "HEAD")

    def read(self) -> History:
        """Compile it."""
        return history.read(self.folder)
