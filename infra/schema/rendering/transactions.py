"""Statements that a transaction of somebody else's can't hold."""

from __future__ import annotations

from infra.schema.statements.sentence import Sentence

__all__ = ["objection"]

_CONTROL = (
    ("BEGIN",),
    ("START", "TRANSACTION"),
    ("COMMIT",),
    ("END",),
    ("ABORT",),
    ("PREPARE", "TRANSACTION"),
)
_ALONE = (
    ("VACUUM",),
    ("CREATE", "DATABASE"),
    ("DROP", "DATABASE"),
    ("CREATE", "TABLESPACE"),
    ("DROP", "TABLESPACE"),
    ("ALTER", "SYSTEM"),
    ("CREATE", "SUBSCRIPTION"),
    ("DROP", "SUBSCRIPTION"),
)
_CONCURRENTLY = ("CREATE", "DROP", "REINDEX", "ALTER")


def objection(sql: str, *, autocommit: bool) -> str:
    """Say why one statement can't be sent inside a transaction that is not its own.

    Args:
        sql: One statement.
        autocommit: Whether it is sent outside of one.

    Returns:
        What it does, to be read after a line number; empty where nothing is wrong.
    """
    sentence = Sentence(sql)
    if any(sentence.copy().take(*words) for words in _CONTROL) or _rolls_back(sentence.copy()):
        return "controls the transaction itself"
    if autocommit:
        return ""
    first = sentence.copy().word()
    concurrently = first in _CONCURRENTLY and sentence.has("CONCURRENTLY")
    if concurrently or any(sentence.copy().take(*words) for words in _ALONE):
        return f"runs {_shown(sql)} outside of an autocommit block"
    return ""


def _rolls_back(sentence: Sentence) -> bool:
    """Tell a whole ROLLBACK from one to a savepoint, which stays inside."""
    if not sentence.take("ROLLBACK"):
        return False
    sentence.skip("WORK", "TRANSACTION")
    return not sentence.take("TO")


def _shown(sql: str) -> str:
    words = sql.split()
    last = next((n for n, word in enumerate(words) if word.upper() == "CONCURRENTLY"), 1)
    return " ".join(words[: last + 1]).upper()
