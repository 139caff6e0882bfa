"""Remembers, from the preview to the update of one `pulumi up`, which plan a person said yes to.

The engine previews and updates in two calls of the provider, in processes of their own. Between
them somebody may migrate the same database, and what runs would not be what was shown. Both calls
have the same engine above them, which is the key here; a preview by another engine (`make preview`
an hour ago) is not meant: for that there is approved_plan.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infra import cancellation
from toolchain import cache
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from infra.schema.model import Plan, Step

__all__ = ["differs", "remember"]


def remember(resource: str, plan: Plan, *, exact: bool) -> None:
    """Keep the plan that a preview shows for a resource.

    Args:
        resource: Its URN.
        plan: What is shown.
        exact: Whether the database could be asked; else the plan is the way from nothing.
    """
    note = _note(resource)
    if note is None:
        return
    steps = [digest for step in plan.steps for digest in _digests(step)]
    with suppress(OSError):  # nor for a cache that can't be written
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(note.parent)
        note.write_text(json.dumps({"digest": plan.digest, "exact": exact, "steps": steps}))


def differs(resource: str, plan: Plan) -> bool:
    """Tell whether a plan would run what the same run's preview did not show.

    Where the preview could not ask the database, it showed the way from nothing; a part of that
    was shown as well.
    """
    note = _note(resource)
    if note is None or not plan.steps:
        return False
    try:
        shown = json.loads(note.read_text())
    except (OSError, ValueError):
        return False
    if shown["exact"]:
        return bool(shown["digest"] != plan.digest)
    return not {each for step in plan.steps for each in _digests(step)} <= set(shown["steps"])


def _digests(step: Step) -> list[str]:
    """Give the digest of a step's own SQL, and the SQL of env.py, which goes with another step.

    What env.py sends stands in the first and the last step, whichever those are.
    """
    return [replace(step, script=step.script.own).digest, *step.script.environment]


def _note(resource: str) -> Path | None:
    engine = cancellation.engine()
    if engine is None:
        return None
    name = hashlib.sha256(resource.encode()).hexdigest()[:16]
    with suppress(ToolchainError):  # no home folder: a preview is not refused for that
        return cache.folder("previewed") / f"{engine}-{name}"
    return None


def _sweep(folder: Path) -> None:
    """Take away what engines left that have ended."""
    for note in folder.iterdir():
        if not Path(f"/proc/{note.name.partition('-')[0]}").exists():
            with suppress(FileNotFoundError):
                note.unlink()
