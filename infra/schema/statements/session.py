"""Tells SQL that only prepares a session, which bears to be sent before each revision."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.schema.statements.lexer import UnfinishedError, split, tokens
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["lasting", "prepares", "preparing", "sets", "settings"]

_LOCKED = re.compile(
    r"SELECT\s+(pg_catalog\.)?pg_advisory(_xact)?_lock(_shared)?\s*\([-\d\s,]*\)", re.IGNORECASE
)
# What an argument of set_config may call: none of these changes anything.
_READING = frozenset(
    {"COALESCE", "CONCAT", "CURRENT_DATABASE", "CURRENT_SCHEMA", "CURRENT_SETTING", "FORMAT"}
    | {"NULLIF", "QUOTE_IDENT", "REPLACE", "SET_CONFIG"}
)
_ARGUMENTS = 3  # of set_config
_KEYWORDS = frozenset(
    {"AND", "ANY", "FROM", "IN", "JOIN", "NOT", "ON", "OR", "SELECT", "USING", "VALUES", "WHERE"}
)


def sets(sql: str) -> bool:
    """Tell whether a statement changes settings or the role of its session, and nothing else."""
    sentence = Sentence(sql)
    if sentence.copy().word() in {"SET", "RESET"}:
        return True
    if not sentence.take("SELECT"):
        return False
    if sentence.take("PG_CATALOG"):
        sentence.take(".")
    return sentence.take("SET_CONFIG") and _called(sql) <= _READING


def _called(sql: str) -> set[str]:
    """List the functions that a statement calls, in capitals; a quoted name as it is written."""
    called, words = set(), ["", ""]
    for token in tokens(sql):
        if token.kind == "comment":
            continue
        named = words[1] and words[1] not in _KEYWORDS and words[0] != "AS"
        if (token.kind, token.value) == ("mark", "(") and named:
            called.add(words[1])
        word = token.kind in {"word", "name"}
        words = [words[1], token.value if word else ""]
    return called


def prepares(sql: str) -> bool:
    """Tell whether a statement may be sent before each revision, and has an effect once."""
    return sets(sql) or _makes_schema(Sentence(sql)) or bool(_LOCKED.fullmatch(sql.strip()))


def _makes_schema(sentence: Sentence) -> bool:
    if not sentence.take("CREATE", "SCHEMA", "IF", "NOT", "EXISTS") or sentence.name() is None:
        return False
    if sentence.take("AUTHORIZATION"):
        sentence.name()
    return sentence.name() is None and not sentence.take("(")


def settings(statements: Iterable[str]) -> tuple[str, ...]:
    """Keep the statements that `sets`."""
    return tuple(each for each in statements if _bears(each) and sets(each))


def preparing(statements: Iterable[str]) -> tuple[str, ...]:
    """Keep the statements that `prepares`."""
    return tuple(each for each in statements if _bears(each) and prepares(each))


def lasting(statements: Iterable[str]) -> tuple[str, ...]:
    """List the settings of the session that differ after statements from what they were before.

    Returns:
        Their names in small letters, "role" and "session authorization" among them; "all" where all
        are reset. What is set and reset again is not among them, nor is what SET LOCAL sets.
    """
    found: dict[str, None] = {}
    pieces = (piece for text in statements if _bears(text) for piece in split(text))
    for sql in pieces:
        sentence = Sentence(sql)
        word = sentence.word()
        if word == "RESET":
            name = _setting(sentence)
            found = {} if name == "all" and found else _toggled(found, name)
        elif word == "SET" and not sentence.take("LOCAL"):
            session = sentence.take("SESSION")
            name = _setting(sentence, session=session)
            if name not in {"constraints", "transaction", "characteristics", ""}:
                back = sentence.take("NONE") or sentence.has("DEFAULT")
                found = _toggled(found, name) if back else {**found, name: None}
        elif word == "SELECT":
            found.update(dict.fromkeys(_configured(sql)))
    return tuple(found)


def _toggled(found: dict[str, None], name: str) -> dict[str, None]:
    if name in found:
        return {each: None for each in found if each != name}
    return {**found, name: None} if name else found


def _setting(sentence: Sentence, *, session: bool = False) -> str:
    """Read the name of a setting."""
    if sentence.take("TIME", "ZONE"):
        return "timezone"
    if sentence.take("AUTHORIZATION") or (not session and sentence.take("SESSION")):
        return "session authorization" if session or sentence.take("AUTHORIZATION") else ""
    name = sentence.name()
    return ".".join(name.key).lower() if name else ""


def _configured(sql: str) -> list[str]:
    """List the settings that set_config is called for until the session ends."""
    names = []
    for call in Sentence(sql).each("SET_CONFIG"):
        arguments = [clause.source for clause in call.inside().clauses()]
        if len(arguments) == _ARGUMENTS and arguments[2].lower() in {"false", "'f'", "'false'"}:
            names.append(arguments[0].strip("'").lower())
    return names


def _bears(sql: str) -> bool:
    try:
        tokens(sql)
    except UnfinishedError:
        return False
    return True
