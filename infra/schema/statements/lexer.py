"""Takes SQL apart as PostgreSQL's own scanner does, as far as locks and transactions need it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Token", "UnfinishedError", "closed", "scanned", "split", "tokens"]

Kind = Literal["word", "name", "text", "number", "mark", "comment"]

# Chapter 4.1 of the manual, with standard_conforming_strings on, as it is since 9.1. Words are of
# letters, digits, _ and $, and everything beyond ASCII counts as a letter.
_LETTER = r"[A-Za-z_\x80-\U0010ffff]"
_TOKEN = re.compile(
    rf"""
      (?P<space>\s+)
    | (?P<comment>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*(?P<escaped_end>'|\Z))
    | (?P<text>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?P<text_end>'|\Z))
    | (?P<dollar>\$(?P<tag>|{_LETTER}[\w\x80-\U0010ffff]*)\$)
    | (?P<name>(?:[uU]&)?"(?:[^"]|"")*(?P<name_end>"|\Z))
    | (?P<word>{_LETTER}[\w$\x80-\U0010ffff]*)
    | (?P<number>\d[\w.]*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class UnfinishedError(ValueError):
    """A quotation or a comment does not end; the message names which."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL.

    Attributes:
        kind: "name" is a quoted identifier, "mark" one character of punctuation.
        value: In capitals for a word; as written else.
        start: Offset of its first character.
        end: Offset after its last one.
    """

    kind: Kind
    value: str
    start: int
    end: int


@lru_cache(maxsize=64)  # a statement is looked at several times in a row
def tokens(sql: str) -> tuple[Token, ...]:
    """Give the tokens, comments included, blanks left out.

    Raises:
        UnfinishedError: A quotation or a comment does not end.
    """
    return tuple(scanned(sql))


def scanned(sql: str) -> Iterator[Token]:
    """Give the tokens one by one, up to what does not end.

    Raises:
        UnfinishedError: A quotation or a comment does not end.
    """
    place = 0
    while match := _TOKEN.match(sql, place):
        kind, start, place = match.lastgroup or "", place, match.end()
        if kind == "block":
            place = _after_comment(sql, place)
            yield Token("comment", "", start, place)
        elif kind == "dollar":
            place = _after_quotation(sql, match["dollar"], place)
            yield Token("text", sql[start:place], start, place)
        elif kind in {"escaped", "text", "name"}:
            if not match[f"{kind}_end"]:
                raise UnfinishedError("a quotation does not end")
            yield Token("name" if kind == "name" else "text", match[0], start, place)
        elif kind == "word":
            yield Token("word", match[0].upper(), start, place)
        elif kind == "number":
            yield Token("number", match[0], start, place)
        elif kind != "space":
            yield Token("comment" if kind == "comment" else "mark", match[0], start, place)


def split(sql: str) -> list[str]:
    """Divide a text into its statements, without the semicolons between them.

    Semicolons divide nothing inside parentheses (the actions of a rule), nor inside a function body
    in SQL's own style (BEGIN ATOMIC ... END).

    Raises:
        UnfinishedError: A quotation or a comment does not end.
    """
    statements, start, depth, before, filled = [], 0, 0, "", False
    for token in tokens(sql):
        if token.kind == "comment":
            continue
        if token.kind == "mark" and token.value == ";" and not depth:
            if filled:
                statements.append(closed(sql[start : token.start]))
            start, filled = token.end, False
            continue
        filled = True
        depth += _deeper(token, before, inside=depth > 0)
        before = token.value
    if filled:
        statements.append(closed(sql[start:]))
    return statements


def closed(sql: str) -> str:
    """Strip a statement, and end a comment that would swallow a semicolon after it."""
    text = sql.strip()
    last = tokens(text)[-1:] if "--" in text else ()
    swallows = any(token.kind == "comment" and text[token.start] == "-" for token in last)
    return text + "\n" if swallows else text


def _deeper(token: Token, before: str, *, inside: bool) -> int:
    """Tell how many brackets a token opens; END and CASE count inside of others only."""
    if token.kind == "mark":
        return {"(": 1, ")": -1 if inside else 0}.get(token.value, 0)
    if token.kind != "word":
        return 0
    if token.value == "ATOMIC" and before == "BEGIN":
        return 1
    return {"CASE": 1, "END": -1}.get(token.value, 0) if inside else 0


def _after_comment(sql: str, place: int) -> int:
    """Find the end of a comment that begins before `place`; they nest."""
    depth = 1
    while depth:
        match = re.compile(r"/\*|\*/").search(sql, place)
        if match is None:
            raise UnfinishedError("a comment does not end")
        depth += 1 if match[0] == "/*" else -1
        place = match.end()
    return place


def _after_quotation(sql: str, tag: str, place: int) -> int:
    end = sql.find(tag, place)
    if end < 0:
        raise UnfinishedError(f"the quotation {tag} does not end")
    return end + len(tag)
