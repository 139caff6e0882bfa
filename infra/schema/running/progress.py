"""How far a run has come, for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Progress", "line"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One thing to tell.

    Attributes:
        state: "waiting" for another run or for a server that went away, "started", "again" for a
            revision that is tried once more, "done".
        number: Of the revision in this run, from 1; 0 outside of one.
        total: Revisions of this run.
        revision: Its id.
        message: Its message.
        direction: Whether it is applied or taken back.
        seconds: How long it took; None unless it is done.
        note: What there is to wait for, or why it is tried again.
    """

    state: Literal["waiting", "started", "again", "done"]
    number: int = 0
    total: int = 0
    revision: str = ""
    message: str = ""
    direction: Literal["up", "down"] = "up"
    seconds: float | None = None
    note: str = ""


def line(progress: Progress) -> str:
    """Word it: `3/12 83c01ef4c8fc full-text search 1.2 s`."""
    if not progress.number:
        return f"waiting: {progress.note}"
    word = "back through " if progress.direction == "down" else ""
    parts = [f"{progress.number}/{progress.total}", f"{word}{progress.revision}", progress.message]
    if progress.seconds is not None:
        parts.append(f"{progress.seconds:.1f} s")
    text = " ".join(filter(None, parts))
    return f"{text}: {progress.note}" if progress.note else text
