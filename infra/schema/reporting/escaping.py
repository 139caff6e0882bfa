"""Text as GitHub's Markdown takes it: shown letter by letter, whatever it holds."""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["coded", "fenced", "length", "marker", "short", "text"]

# Every one of these can begin something in Markdown, in a table or in HTML. As numbers they can't,
# inside of HTML too, where Markdown's own backslashes would be shown.
_SPECIAL = re.compile(r"[\\`*\[\]{}|~<>&$]|(?<![^\W_])_|_(?![^\W_])")
# What begins a list, a heading or a quotation at the start of a line.
_FIRST = re.compile(r"\A(\d+)([.)])(?!\S)|\A[-+=#]")
# GitHub makes links of these after Markdown is done: mentions, issues, pictures, addresses.
_LINKED = re.compile(
    r"@(?=\w)|#(?=\d)|\bGH-(?=\d)|:(?=[\w+-]+:)|:(?=//)|\bwww(?=\.)", re.IGNORECASE
)
_NOTHING = "&#8203;"  # a space of no width, which keeps two letters from being one thing
_STACK = 100  # letters; Pulumi takes no more for the name of a stack
_TICKS = re.compile(r"`+")


def text(plain: str) -> str:
    """Write one line of plain text so that it reads as it is, in a paragraph, a table or HTML."""
    marked = _LINKED.sub(lambda found: f"{found[0]}\0", plain.replace("\0", ""))
    return _numbers(marked).replace("\0", _NOTHING)


def short(plain: str, room: int) -> str:
    """Write it as `text` does, cut so that it takes no more than `room`."""
    written = text(plain)
    while length(written) > room:
        plain = f"{plain.removesuffix('…')[: len(plain) * 3 // 4]}…"
        written = text(plain)
    return written


def coded(plain: str) -> str:
    """Write a name in the letters of code; in there GitHub makes no links."""
    return f"<code>{_numbers(plain)}</code>" if plain else ""


def _numbers(plain: str) -> str:
    safe = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", plain)
    return _FIRST.sub(_first, safe)


def _first(found: re.Match[str]) -> str:
    if found[1]:
        return f"{found[1]}&#{ord(found[2])};"
    return f"&#{ord(found[0])};"


def fenced(code: str, language: str) -> str:
    """Put code between fences that are longer than any in it."""
    longest = max((len(run) for run in _TICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def marker(stack: str) -> str:
    """Give the first line, by which whoever posts a report finds the one of the same stack.

    A report without a stack, of the command line, has a mark as well.
    """
    safe = quote(stack[:_STACK] or "schema", safe="/")
    safe = safe.replace("--", "-%2D")  # two would end the comment
    return f"<!-- groundwork: {safe} -->"


def length(markdown: str) -> int:
    """Count as GitHub does at most: in units of UTF-16.

    GitHub says "65536 characters", and keeps four bytes for each. A letter of Python is one or two
    units, and a unit is at most three bytes of UTF-8, so that what fits by this count fits by every
    other one.
    """
    return len(markdown) + sum(character > "\uffff" for character in markdown)
