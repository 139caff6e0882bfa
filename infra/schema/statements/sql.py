"""Names and values as SQL text, for scripts that can't take parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["array", "first_line", "identifier", "literal", "quoted_block"]


def identifier(name: str) -> str:
    """Quote the name of an object."""
    return '"' + _sendable(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text; the connection has standard_conforming_strings on."""
    return "'" + _sendable(text).replace("'", "''") + "'"


def array(texts: Iterable[str]) -> str:
    """Write an array of texts."""
    return f"ARRAY[{', '.join(literal(text) for text in texts)}]::pg_catalog.text[]"


def quoted_block(text: str) -> str:
    """Quote a body with dollars, under a tag that it does not hold."""
    tag = "$groundwork$"
    while tag in text:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{text}{tag}"


def first_line(statement: str, width: int = 100) -> str:
    """Give the first line of a statement that says something, cut to `width` characters."""
    # Where PostgreSQL ends a comment, and nowhere else.
    lines = [line.strip() for line in re.split(r"[\r\n]+", statement)]
    said = [line for line in lines if line and not line.startswith("--")] or [*filter(None, lines)]
    line = said[0] if said else ""
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _sendable(text: str) -> str:
    """Replace what no PostgreSQL can hold: NUL, and bytes of file names that were no UTF-8."""
    return text.replace("\0", "�").encode("utf-8", "backslashreplace").decode("utf-8")
