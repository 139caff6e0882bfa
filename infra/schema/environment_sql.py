"""Makes the SQL that env.py itself sends a part of the plan: each statement where it runs, once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.schema.model import Part
from infra.schema.statements import locks, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.schema.model import History, Script, Step

__all__ = ["attach", "files_digest"]


def attach(history: History, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Put what env.py sends before and after the revisions into the first and the last step.

    What only prepares the session is sent before each revision, and belongs to the plan as a whole.
    Steps with SQL go before those that run through env.py, which sends it by itself there.

    Args:
        history: What env.py sends.
        steps: In order.
    """
    found = list(steps)
    opening = _changing(history.prologue, session.preparing(history.prologue))
    closing = _changing(history.epilogue, session.settings(history.epilogue))
    compiled = [place for place, step in enumerate(found) if not step.script.live]
    places = compiled or list(range(len(found)))
    if opening and places:
        first = places[0]
        found[first] = replace(found[first], script=_around(found[first].script, before=opening))
    if closing and places:
        last = places[-1]
        found[last] = replace(found[last], script=_around(found[last].script, after=closing))
    return tuple(found)


def files_digest(history: History) -> str:
    """Give the sha256 in hex of all project files that a run through env.py can load.

    With it, of how Alembic is called: other arguments may lead to other statements.
    """
    covered: list[Any] = [*sorted(history.sources.items()), *filter(None, [history.called])]
    return hashlib.sha256(json.dumps(covered).encode()).hexdigest()


def _changing(statements: tuple[str, ...], harmless: tuple[str, ...]) -> tuple[str, ...]:
    """Give all statements in their order, if any of them changes more than the session."""
    return statements if set(statements) - set(harmless) else ()


def _around(script: Script, *, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Script:
    parts = list(script.parts)
    if before:
        parts.insert(0, Part(statements=before, environment=True))
    if after:
        # Behind a part, so that it is told from one that stands before all.
        parts += [] if parts else [Part(statements=())]
        parts.append(Part(statements=after, environment=True))
    taken = (locks.derive(before), script.locks, locks.derive(after))
    return replace(script, parts=tuple(parts), locks=locks.combine(*taken))
