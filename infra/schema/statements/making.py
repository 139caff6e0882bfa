"""Which tables statements make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.schema.statements.lexer import UnfinishedError, split
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["tables"]


def tables(texts: Iterable[str]) -> frozenset[str]:
    """Name the tables that statements make where the search_path leads, without quotes.

    A table whose statement names a schema is left out, and so is a temporary one.
    """
    return frozenset(name for text in texts for each in _split(text) if (name := _made(each)))


def _split(text: str) -> list[str]:
    try:
        return split(text)
    except UnfinishedError:  # PostgreSQL will say so too
        return []


def _made(text: str) -> str:
    sentence = Sentence(text)
    if not sentence.take("CREATE"):
        return ""
    sentence.skip("UNLOGGED")
    if not sentence.take("TABLE"):
        return ""
    sentence.take("IF", "NOT", "EXISTS")
    name = sentence.name()
    return name.key[0] if name is not None and len(name.key) == 1 else ""
