"""Shows every character of a text: what a terminal or a page would obey or hide is escaped.

A revision's message, the name of an object or SQL may hold control characters (a terminal clears
its screen for ESC [2J), marks that turn the direction of writing, or letters without width. All
that is written for people goes through here; JSON alone has its own escapes.
"""

import re

__all__ = ["visible", "visible_line"]

# Printable by Unicode, and drawn as nothing: a joiner, and fillers of Hangul and Khmer.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_LINE_ENDS = "\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"
_RETURN = re.compile(r"\r(?!\n)")
_WHITE = re.compile(r"[\n\t]")


def visible(text: str) -> str:
    r"""Escape what can't be seen, ESC as `\x1b` for example; lines and tabs stay.

    Line ends become those of Unix, and spaces of another width become plain ones. A carriage return
    alone is shown and ends its line: in SQL it ends a comment, and what follows it runs.
    """
    lines = _RETURN.sub("\r\n", text.replace("\r\n", "\n"))
    if lines.isascii() and lines.replace("\n", "").replace("\t", "").isprintable():
        return lines
    return "".join(c if c in "\n\t" or _drawn(c) else _escaped(c) for c in lines)


def visible_line(text: str) -> str:
    r"""Escape line ends and tabs as well (`\n`, `\t`): a name can't begin a line of its own."""
    return _WHITE.sub(lambda found: _escaped(found[0]), visible(text))


def _drawn(character: str) -> bool:
    return character.isprintable() and character not in _BLANK


def _escaped(character: str) -> str:
    if character.isspace() and character not in _LINE_ENDS and character not in "\n\t":
        return " "
    return character.encode("unicode_escape").decode()
