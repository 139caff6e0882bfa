"""SQL that `--sql` rendered, run the way a person's client runs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .place import Place

__all__ = ["run_script", "statements"]

_TRANSACTION = re.compile(r"^BEGIN;$(.*?)^COMMIT;$", re.MULTILINE | re.DOTALL)


def statements(sql: str) -> list[str]:
    """Split a script into transactions and the single statements between them.

    A server takes a message of several statements as one transaction, in which nothing can be
    built CONCURRENTLY.
    """
    parts: list[str] = []
    for index, part in enumerate(_TRANSACTION.split(sql)):
        if index % 2:  # what was between BEGIN and COMMIT
            parts.append(f"BEGIN;{part}COMMIT;")
        else:
            parts += [statement for statement in part.split(";\n") if statement.strip()]
    return parts


def run_script(place: Place, sql: str) -> None:
    """Run a whole script in one session."""
    place.execute(*statements(sql))
